"""A whole training run as one frozen dataclass, read from YAML and from flags that are made from the same fields."""

from __future__ import annotations

import dataclasses
import os
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from codeenv.agents.alignment.config import AlignmentConfig
from codeenv.agents.lm.vllm_server import ServerConfig
from codeenv.agents.rlef.config import RLEFConfig
from codeenv.agents.rlef.sft import SFTConfig
from codeenv.agents.settings import check_number, check_whole
from codeenv.agents.stepcoder.curriculum import CurriculumConfig
from codeenv.agents.stepcoder.mask import MaskConfig
from codeenv.agents.trace_head.config import AuxiliaryConfig
from codeenv.episode import EnvConfig
from codeenv.errors import CodeenvError

__all__ = ["GuardConfig", "ModelConfig", "TaskConfig", "TrainArguments", "TrainConfig", "read_config"]

Config = TypeVar("Config")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The policy and the critic.

    Attributes:
        name: `mini` (built from scratch), or the path or name of a Hugging Face causal language model.
        critic: path or name of the critic's trunk; empty takes the policy's.
        dtype: of the weights, `float32` or `bfloat16`; bfloat16 weights lose updates of small learning rates.
        lora_rank: train adapters of this rank instead of all weights; 0 trains all.
        lora_bits: 4 keeps the weights beside the adapters in 4 bits (QLoRA; needs bitsandbytes); 0 keeps them in `dtype`.
        gradient_checkpointing: recompute activations in the backward pass to save memory.
    """

    name: str = "mini"
    critic: str = ""
    dtype: str = "float32"
    lora_rank: int = 0
    lora_bits: int = 0
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in ("float32", "bfloat16"):
            raise CodeenvError(f"dtype is {self.dtype!r}; use 'float32' or 'bfloat16'")
        if self.lora_rank < 0:
            raise CodeenvError(f"lora_rank is {self.lora_rank}; use 0 for none, or a rank such as 16")
        if self.lora_bits not in (0, 4) or (self.lora_bits and not self.lora_rank):
            raise CodeenvError(f"lora_bits is {self.lora_bits}; use 4, with a lora_rank such as 16, or 0")


@dataclass(frozen=True, slots=True)
class TaskConfig:
    """The task's settings, by name; see `codeenv.EnvConfig`. The paper's comparisons are `turn_limit: 1` (single-turn RL) and
    `feedback: none` with `early_stop: false` (RL without feedback).
    """

    turn_limit: int = 3
    feedback: str = "rlef"
    prompt: str = "rlef"
    reward: str = "rlef"
    trace: str = "off"
    trace_tokens: int = 512
    require_fence: bool = True
    early_stop: bool = True

    def __post_init__(self) -> None:
        self.env()

    def env(self) -> EnvConfig:
        """Return the environment's settings."""
        return EnvConfig(**dataclasses.asdict(self))


@dataclass(frozen=True, slots=True)
class GuardConfig:
    """When a run stops itself with a sentence and a checkpoint. NaN and infinity always stop it.

    Attributes:
        max_kl: most mean log-ratio to the reference policy over a collection, in nats a token.
        min_entropy: least mean entropy of the policy at its sampled tokens, in nats.
        max_judge_errors: largest share of episodes that the judge could not judge.
    """

    max_kl: float = 10.0
    min_entropy: float = 0.0
    max_judge_errors: float = 0.1

    def __post_init__(self) -> None:
        for name, most in (("max_kl", 1e6), ("min_entropy", 1e3), ("max_judge_errors", 1.0)):
            check_number(f"guards.{name}", getattr(self, name), 0.0, most)


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """One training run.

    Attributes:
        model: the policy and the critic.
        problems: `mini`, `values`, `branches`, or the name or path of a data set for `codeenv.load_problems`.
        split, validation_split: parts of the data set to train on and to choose the best checkpoint on; "" is the set's default.
        task: the task's settings.
        rlef: the learner's settings.
        alignment: prompts that ask for predictions, in the same batch (CodeRL+); off with `fraction: 0`.
        trace_head: the auxiliary trace head; `mode: off`.
        mask: fine-grained token masks (StepCoder); `mode: off`.
        curriculum: episodes that begin behind a part of a known solution (StepCoder); `mode: off`.
        server: a vLLM server that writes the responses; `url: ""` writes in this process.
        sft_steps: gradient steps of the miniature's supervised warm start; 0 for models that can already write programs.
        guards: when the run stops itself.
        checkpoint_every: iterations between checkpoints.
        keep: most checkpoints kept, beside the best one.
        validate_every: iterations between validations; 0 never validates.
        validation_episodes: problems of one validation.
        seed: decides everything but times; from 0 to 2**32 - 1.
        threads: of torch; at most 4 for each processor core, or 64.
        workers: judge workers.
        accelerate: learn on accelerate's devices: a GPU, or the processes of `accelerate launch`.
        tensorboard: also write metrics for TensorBoard.
        wandb: also write metrics for Weights & Biases; offline without a key, or with WANDB_MODE=offline.
        wandb_project: the project there.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    problems: str = "mini"
    split: str = ""
    validation_split: str = ""
    task: TaskConfig = field(default_factory=TaskConfig)
    rlef: RLEFConfig = field(default_factory=RLEFConfig)
    alignment: AlignmentConfig = field(default_factory=lambda: AlignmentConfig(fraction=0.0))
    trace_head: AuxiliaryConfig = field(default_factory=lambda: AuxiliaryConfig(mode="off"))
    mask: MaskConfig = field(default_factory=lambda: MaskConfig(mode="off"))
    curriculum: CurriculumConfig = field(default_factory=lambda: CurriculumConfig(mode="off"))
    server: ServerConfig = field(default_factory=ServerConfig)
    sft_steps: int = 0
    guards: GuardConfig = field(default_factory=GuardConfig)
    checkpoint_every: int = 20
    keep: int = 2
    validate_every: int = 200
    validation_episodes: int = 200
    seed: int = 0
    threads: int = 1
    workers: int = 2
    accelerate: bool = False
    tensorboard: bool = False
    wandb: bool = False
    wandb_project: str = "codeenv"

    def __post_init__(self) -> None:
        for name in ("checkpoint_every", "keep", "workers", "validation_episodes"):
            check_whole(name, getattr(self, name), 1)
        for name in ("sft_steps", "validate_every"):
            check_whole(name, getattr(self, name), 0)
        for name, least, most in (("threads", 1, max(64, 4 * (os.cpu_count() or 1))), ("seed", 0, 2**32 - 1)):
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise CodeenvError(f"{name} is {value!r}; use a whole number from {least} to {most}")
        if self.sft_steps and self.model.name != "mini":
            raise CodeenvError(f"sft_steps is {self.sft_steps}; the supervised warm start is the miniature's, set it to 0")

    def sft(self) -> SFTConfig:
        """Return the settings of the warm start."""
        return SFTConfig(steps=self.sft_steps, warmup=min(50, self.sft_steps))


@dataclass(frozen=True)
class TrainArguments(TrainConfig):
    """The command line of `codeenv train`: every setting, and three that are not part of the run itself.

    Attributes:
        config: YAML file with settings.
        out: folder of the run: checkpoints, metrics.jsonl, the policy.
        resume: go on with the run in the folder.
    """

    config: Path | None = None
    out: Path = Path("runs/train")
    resume: bool = False


def read_config(path: Path) -> TrainConfig:
    """Read a run's settings from YAML.

    Raises:
        CodeenvError: the file is missing or no YAML, or a key is unknown or its value of the wrong type.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        if doubled := _doubled_key(yaml.compose(text, Loader=yaml.SafeLoader)):
            raise CodeenvError(f"the config {str(path)!r} sets {doubled}; set it once")
        data = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise CodeenvError(f"the config {str(path)!r} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise CodeenvError(f"cannot read the config {str(path)!r}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise CodeenvError(f"the config {str(path)!r} is not YAML: {str(error).splitlines()[0]}") from None
    return build_config(TrainConfig, data or {}, str(path))


def _doubled_key(node: Any) -> str:
    """Return words for the first key that stands twice in a mapping of a YAML document; "" if there is none."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return ""
    seen: set[str] = set()
    for key, value in node.value:
        if key.value in seen:
            return f"{str(key.value)!r} a second time in line {key.start_mark.line + 1}"
        if isinstance(key, yaml.ScalarNode):
            seen.add(key.value)
        if found := _doubled_key(value):
            return found
    return ""


def build_config(kind: type[Config], data: Any, where: str, prefix: str = "") -> Config:
    """Return a dataclass from a mapping, nested ones included; keys and types are checked."""
    if not isinstance(data, Mapping):
        raise CodeenvError(f"{where}: {prefix.rstrip('.') or 'the config'} is {data!r}; it must be a mapping of settings")
    hints = typing.get_type_hints(kind)
    known = {item.name for item in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(map(str, data)) - known):
        raise CodeenvError(f"{where}: there is no setting {prefix + unknown[0]!r}; the settings are {', '.join(sorted(known))}")
    values: dict[str, Any] = {}
    for name, value in data.items():
        hint = hints[name]
        if dataclasses.is_dataclass(hint):
            values[name] = build_config(hint, value, where, f"{prefix}{name}.")  # type: ignore[arg-type]
        else:
            values[name] = _checked(value, hint, where, prefix + name)
    try:
        return kind(**values)
    except CodeenvError as error:
        raise CodeenvError(f"{where}: {error}") from None


def _checked(value: Any, hint: Any, where: str, name: str) -> Any:
    if typing.get_origin(hint) is typing.Literal:
        if value is False and "off" in typing.get_args(hint):  # so YAML reads the word
            value = "off"
        if value not in typing.get_args(hint):
            raise CodeenvError(f"{where}: {name} is {value!r}; use one of {', '.join(map(str, typing.get_args(hint)))}")
        return value
    if typing.get_origin(hint) is tuple and isinstance(value, (list, tuple)):
        return tuple(_checked(item, typing.get_args(hint)[0], where, name) for item in value)
    allowed = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    if float in allowed and isinstance(value, str):  # YAML reads 2e-7 as a text
        try:
            return float(value)
        except ValueError:
            pass
    if float in allowed and type(value) is int:
        return float(value)
    if type(value) not in allowed:
        wanted = " or ".join("nothing" if kind is type(None) else kind.__name__ for kind in allowed)
        raise CodeenvError(f"{where}: {name} is {value!r}; it must be {wanted}")
    return value
