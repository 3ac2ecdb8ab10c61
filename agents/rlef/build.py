"""The learner of a run: the plain one, or the mixed one if alignment, the trace head or masks are on."""

from __future__ import annotations

from transformers import PreTrainedModel

from codeenv.agents.alignment.kind_critic import KindCritic
from codeenv.agents.alignment.learner import MixedLearner
from codeenv.agents.lm.chat_format import ChatFormat
from codeenv.agents.lm.scoring import Critic
from codeenv.agents.rlef.checks import check_settings
from codeenv.agents.rlef.devices import Devices
from codeenv.agents.rlef.families import FAMILIES
from codeenv.agents.rlef.run_config import TrainConfig
from codeenv.agents.rlef.trainer import Learner
from codeenv.agents.stepcoder.completion import Completion
from codeenv.agents.stepcoder.masking import Masking
from codeenv.agents.trace_head.auxiliary import Auxiliary
from codeenv.errors import CodeenvError
from codeenv.judge import Judge
from codeenv.prediction import ItemBuilder, PredictionScorer
from codeenv.prediction.masked import MaskingBuilder
from codeenv.prediction.released import ReleasedBuilder
from codeenv.prediction.scoped import ScopedBuilder, ScopedConfig

__all__ = ["build_learner"]


def build_learner(
    config: TrainConfig,
    policy: PreTrainedModel,
    critic: Critic,
    chat: ChatFormat,
    judge: Judge,
    devices: Devices | None = None,
) -> Learner:
    """Return the learner that the settings ask for.

    Raises:
        CodeenvError: a combination of settings that no learner has.
    """
    aligned, head, masked = config.alignment.fraction > 0, config.trace_head.mode != "off", config.mask.mode != "off"
    completion = Completion(config.curriculum, config.seed) if config.curriculum.mode != "off" else None
    check_settings(config)
    devices = devices or Devices()
    if head and devices.casts:
        raise CodeenvError("trace_head reads a whole policy, and FSDP keeps shards of it; turn the head off, or use gpus.yaml")
    if not (aligned or head or masked):
        return Learner(policy, critic, chat, config.task.env(), config.rlef, config.seed, devices, completion)
    if aligned and config.rlef.critic_level == "turn":
        critic = _of_kinds(critic, kinds=3 if config.alignment.repairs else 2)
    return MixedLearner(
        policy,
        critic,
        chat,
        config.task.env(),
        config.rlef,
        config.seed,
        alignment=config.alignment if aligned else None,
        builder=_builder(config, chat, judge) if aligned else None,
        scorer=PredictionScorer(judge, config.alignment.reward, strict=config.alignment.mode == "official"),
        auxiliary=_head(config, policy, devices) if head else None,
        masking=Masking(config.mask, config.seed) if masked else None,
        completion=completion,
        devices=devices,
    )


def _head(config: TrainConfig, policy: PreTrainedModel, devices: Devices) -> Auxiliary:
    size, device = int(policy.config.hidden_size), devices.device_of(policy)
    return Auxiliary(size, config.trace_head, config.seed, device=device, devices=devices)


def _builder(config: TrainConfig, chat: ChatFormat, judge: Judge) -> ItemBuilder:
    settings = config.alignment
    builder = _plain_builder(config, chat, judge)
    if not settings.repairs:
        return builder
    return MaskingBuilder(builder, settings.repairs, config.seed)


def _plain_builder(config: TrainConfig, chat: ChatFormat, judge: Judge) -> ItemBuilder:
    settings = config.alignment
    if settings.mode == "official":
        return ReleasedBuilder(judge, prompt_tokens=lambda text: len(chat.opening(text)))
    family = FAMILIES.get(config.problems)
    if family is not None and family.builder is not None:
        return family.builder(settings.source, config.seed, settings.names)
    return ScopedBuilder(judge, ScopedConfig(names=settings.names, source=settings.source, seed=config.seed))


def _of_kinds(critic: Critic, kinds: int) -> KindCritic:
    """Return the critic with outputs for alignment prompts beside its own."""
    wide = KindCritic(critic.trunk, kinds).to(next(critic.parameters()).device)
    wide.head.load_state_dict(critic.head.state_dict())
    return wide
