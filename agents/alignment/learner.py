"""The learner with alignment prompts, a trace head and token masks in the same batch. Whatever is off is as if it were not there.

    J = E_{q ~ B_code}[ratio * A_gen] + E_{q' ~ B_align}[ratio * A_sem]      (CodeRL+, arXiv 2510.18471)

Both expectations are one mean over the tokens of the mixed batch: there are no task weights, the mixture is the weighting.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from codeenv.agents.alignment.advantage import whitened_by_kind
from codeenv.agents.alignment.answers import Answered, answer_items, mutated, tried
from codeenv.agents.alignment.buffer import AlignmentBuffer, quotas
from codeenv.agents.alignment.config import AlignmentConfig
from codeenv.agents.alignment.kind_critic import KindCritic
from codeenv.agents.lm.chat_format import ChatFormat
from codeenv.agents.lm.scoring import Critic, layer_states, logprobs_of_states
from codeenv.agents.rlef.collect import Collection, Played, PlayedRecord
from codeenv.agents.rlef.config import RLEFConfig
from codeenv.agents.rlef.devices import Devices
from codeenv.agents.rlef.trainer import Learner, Metrics, ProblemSource, Targets, collection_metrics
from codeenv.agents.rlef.turns import Chunk, TurnTable, build_turns
from codeenv.agents.stepcoder.completion import Completion
from codeenv.agents.stepcoder.masking import Masking
from codeenv.agents.trace_head.auxiliary import Auxiliary
from codeenv.episode import EnvConfig
from codeenv.errors import CodeenvError
from codeenv.judge import Judge
from codeenv.prediction import Attempt, Built, ItemBuilder, PredictionItem, PredictionScorer, prompt_of
from codeenv.problems import Problem

__all__ = ["MixedLearner"]

_ANSWERS = 10_000_019
"""Added to the number of an iteration for the generators of its answers, where each has its own."""


class MixedLearner(Learner):
    """A learner whose batch may hold alignment prompts.

    Args:
        policy, critic, chat, env, config, seed: as for `Learner`; the critic may be a `KindCritic`.
        alignment: how alignment prompts are mixed in; `None` is off.
        builder: makes items from attempts; needed with `alignment`.
        scorer: scores answers; needed with `alignment`.
        auxiliary: the trace head; `None` is off.
        masking: fine-grained token masks (StepCoder); `None` is off.
        completion, devices: as for `Learner`.

    Attributes:
        answered: the alignment answers of the last iteration.
        frozen: the first items, on which the floor is measured.
    """

    def __init__(
        self,
        policy: PreTrainedModel,
        critic: Critic,
        chat: ChatFormat,
        env: EnvConfig,
        config: RLEFConfig,
        seed: int,
        *,
        alignment: AlignmentConfig | None = None,
        builder: ItemBuilder | None = None,
        scorer: PredictionScorer | None = None,
        auxiliary: Auxiliary | None = None,
        masking: Masking | None = None,
        completion: Completion | None = None,
        devices: Devices | None = None,
    ) -> None:
        super().__init__(policy, critic, chat, env, config, seed, devices, completion)
        if alignment is not None and (builder is None or scorer is None):
            raise CodeenvError("alignment needs a builder of items and a scorer of answers")
        self.alignment = alignment if alignment is not None and alignment.fraction > 0 else None
        self._samples = (alignment.samples if alignment else None) or config.group_size
        if self.alignment and self.method.grouped and self._samples == 1:
            raise CodeenvError(
                f"alignment.samples is 1, and algorithm {config.algorithm!r} compares the answers to one item; leave it out"
            )
        self.builder = builder
        self.scorer = scorer
        if auxiliary is not None and auxiliary.config.layer:
            auxiliary.config.check_layer(int(policy.config.num_hidden_layers))
        self.auxiliary = auxiliary
        self.masking = masking
        self.buffer = AlignmentBuffer(alignment.buffer, alignment.strategy, seed) if alignment else None
        self.answered: list[Answered] = []
        self.frozen: list[PredictionItem] = []
        self._ready = False
        self._turn_kind = torch.zeros(0, dtype=torch.long)  # per turn: 0 code, 1 alignment, 2 repairs where they are asked for
        self._success = torch.zeros(0, dtype=torch.bool)  # per episode
        self._hidden: Tensor | None = None  # states of the chunk in hand
        self._token_weight: Tensor | None = None
        self._divisor = 1
        self._entropy = torch.zeros(2, 2)
        self._chunk_weight = 1.0  # 0 for chunks that only keep processes in step

    def step(self, problems: ProblemSource, judge: Judge) -> Metrics:
        """Do one iteration: collect code and alignment episodes, learn from both, and make items of the failed programs."""
        start, start_cpu = time.perf_counter(), time.process_time()
        self.phase = "updating"  # drawing items changes the buffer's state: an iteration is done whole or not at all
        prompts = self.config.episodes // self.config.group_size
        items, look = self._draw(quotas(prompts, self.alignment.fraction)[1]) if self.alignment else ([], None)
        collection = self._collect(problems, judge, prompts - len(items))
        self.answered = self._answers([item for item in items for _ in range(self._samples)])
        metrics = self.learn_mixed(collection, self.answered) | self._begun
        if self.alignment and self.buffer is not None:
            chosen = self._chosen(problems, self.iteration, prompts - len(items))
            built = self._built([(chosen[place], one) for place, one in zip(collection.places, collection.played, strict=True)])
            self.buffer.push(built.items)
            metrics |= {"align_built": len(built.items), "align_buffer": len(self.buffer)}
            metrics |= {f"align_dropped_{reason}": float(count) for reason, count in built.dropped.items()}
            if look is not None:
                metrics["align_frozen"] = look
        self.iteration += 1
        self.phase = "between"
        return metrics | {"iteration_s": time.perf_counter() - start, "iteration_cpu_s": time.process_time() - start_cpu}

    def _note(self, collection: Collection, judge: Judge) -> None:
        """Note attempts, masks and labels of the episodes where they were played, so that no program is run again elsewhere."""
        played: list[Played] = collection.played
        if self.alignment is not None:
            for one in played:
                one.notes["attempts"] = tried(one)
        if self.masking is not None:
            for one, masks in zip(played, self.masking.masks(played, self.chat, judge), strict=True):
                one.notes["masks"] = masks
        if self.auxiliary is not None:
            for one, labels in zip(played, self.auxiliary.labelled(played, self.chat, judge), strict=True):
                one.notes["labels"] = labels

    def learn_mixed(self, collection: Collection, answered: Sequence[Answered]) -> Metrics:
        """Update policy and critic on code episodes and alignment answers together."""
        played = collection.played
        if not played:
            return self.learn(collection)  # which says why
        table = build_turns([*played, *answered], self.device)
        self._describe(table, played, answered)
        self._token_weight = None
        kept = 1.0
        if self.masking is not None:
            weights = self.masking.weights([one.notes["masks"] for one in played], self.iteration)
            kept = float(weights.mean())
            if self.masking.config.normalise and self.method.mean == "sequence":  # each episode is divided by what it keeps
                for start, stop in zip(table.token_start[: len(played)], table.token_start[1:], strict=False):
                    weights[start:stop] *= (stop - start) / weights[start:stop].sum().clamp(min=1.0)
            self._token_weight = torch.cat([weights, torch.ones(table.tokens - len(weights))]).to(self.device)
        if self.auxiliary is not None:
            self.auxiliary.begin([row for one in played for row in one.notes["labels"]])
        targets = self.targets(table)
        code = build_turns(played, self.device)
        size = code.tokens if self.with_critic and self.config.critic_level == "token" else code.turns
        part = Targets(
            targets.old[: code.tokens],
            targets.log_ratio[: code.turns],
            targets.old_values[:size],
            targets.returns[: code.turns],
            targets.advantages[: code.turns],
        )
        metrics = collection_metrics(self.iteration, collection, code, part) | _answer_metrics(answered, targets, code)
        self._entropy.zero_()
        metrics |= self._passes(table, targets)
        self._entropy = self.devices.add(self._entropy)
        for number, name in enumerate(("code_entropy", "align_entropy")):
            if self._entropy[number, 1]:
                metrics[name] = float(self._entropy[number, 0] / self._entropy[number, 1])
        if self.auxiliary is not None:
            metrics |= self.auxiliary.metrics()
        if self._token_weight is not None:
            metrics["mask_kept"] = kept
        return metrics

    # Alignment prompts

    def _draw(self, count: int) -> tuple[list[PredictionItem], float | None]:
        """Return the items of this batch, none until there are enough of them and the policy is right often enough; and the share
        of the first items that it answers rightly, if this iteration looks at them.
        """
        assert self.alignment is not None
        assert self.buffer is not None
        items = self.buffer.sample(count)
        first = bool(items) and not self.frozen
        if first:
            self.frozen = items
        look = None
        if first or (self.frozen and self.iteration % self.alignment.recheck == 0):
            look = self.frozen_accuracy()
            self._ready = self._ready or look >= self.alignment.least_share
        return items if self._ready else [], look

    def frozen_accuracy(self) -> float:
        """Return the share of the first items that the policy answers wholly right, sampled; 0.0 before there are any."""
        if not self.frozen:
            return 0.0
        state = self.generator.get_state()
        answers = self._answers(self.frozen)
        self.generator.set_state(state)
        return sum(answer.score.exact for answer in answers) / max(1, len(answers))

    def _answers(self, items: Sequence[PredictionItem]) -> list[Answered]:
        """Return the answers to some items, this process's share of them its own; prompts without room for one are left out."""
        if not items or self.alignment is None or self.scorer is None:
            return []
        style, limit = self.alignment.style, self.sampling.max_context
        asked = [item for item in items if len(self.chat.opening(prompt_of(item, style))) < limit]  # type: ignore[arg-type]
        own, model = self.devices.own(range(len(asked))), self.devices.sampler(self.policy)
        mine = [asked[place] for place in own]
        seeds = self._streams(_ANSWERS + self.iteration, own)
        answers = answer_items(model, self.chat, mine, style, self.scorer, self.sampling, self.generator, seeds)
        rows = [(place, one.conversation, one.score) for place, one in zip(own, answers, strict=True)]
        found = sorted((row for rows in self.devices.objects(rows) for row in rows), key=lambda row: row[0])
        return [Answered(asked[place], conversation, score) for place, conversation, score in found]

    def _built(self, episodes: Sequence[tuple[Problem, Any]]) -> Built:
        """Return the items that are made of the attempts of some episodes; the first process makes them for all."""
        assert self.alignment is not None
        assert self.builder is not None
        attempts = [Attempt(problem, *row) for problem, one in episodes for row in one.notes["attempts"]]
        if self.alignment.mutants:
            attempts += mutated(attempts, self._seed * 1_000_003 + self.iteration)
        found = self.devices.objects(self.builder.build(attempts) if self.devices.rank == 0 else Built())
        return found[0]

    def _describe(self, table: TurnTable, played: Sequence[Played | PlayedRecord], answered: Sequence[Answered]) -> None:
        """Note the kind of each turn, and of each episode its group (the samples of one prompt) and whether it succeeded."""
        names = [f"code/{one.problem_id}" for one in played] + [f"item/{one.item.id}" for one in answered]
        places: dict[str, int] = {}
        self._group = torch.tensor([places.setdefault(name, len(places)) for name in names], device=self.device)
        apart = self.alignment is not None and self.alignment.repairs > 0
        numbers = [2 if apart and one.item.kind == "repair" else 1 for one in answered]
        kind = torch.tensor([0] * len(played) + numbers, device=self.device)
        self._turn_kind = kind[table.episode]
        success = [one.solved for one in played] + [one.score.exact for one in answered]
        self._success = torch.tensor(success, dtype=torch.bool, device=self.device)

    def more_state(self) -> dict[str, Any]:
        """Return the buffer, the frozen items, the head and what the builder remembers."""
        state: dict[str, Any] = super().more_state() | {
            "ready": self._ready,
            "frozen": json.dumps([item.to_dict() for item in self.frozen]),
        }
        if self.buffer is not None:
            state["buffer"] = json.dumps(self.buffer.to_dict())
        if self.builder is not None:
            state["builder"] = json.dumps(self.builder.to_dict())
        if self.auxiliary is not None:
            state["auxiliary"] = self.auxiliary.state_dict()
        return state

    def load_more_state(self, state: dict[str, Any]) -> None:
        """Take what `more_state` returned."""
        super().load_more_state(state)
        self._ready = bool(state.get("ready", False))
        self.frozen = [PredictionItem.from_dict(row) for row in json.loads(state.get("frozen", "[]"))]
        if self.buffer is not None and "buffer" in state:
            self.buffer.load_dict(json.loads(state["buffer"]))
        if self.builder is not None and "builder" in state:
            self.builder.load_dict(json.loads(state["builder"]))
        if self.auxiliary is not None and "auxiliary" in state:
            self.auxiliary.load_state_dict(state["auxiliary"])

    # Values and advantages

    def _values(self, chunk: Chunk) -> Tensor:
        if self.config.critic_level == "token" or not isinstance(self.critic, KindCritic):
            return super()._values(chunk)
        return self.critic.of_kind(chunk.batch, self._turn_kind[chunk.turns])

    def _normalised(self, advantages: Tensor, table: TurnTable) -> Tensor:
        if not self.answered:
            return super()._normalised(advantages, table)
        return whitened_by_kind(advantages, self._turn_kind, self._success[table.episode], self._least)

    def _normalised_tokens(self, advantages: Tensor, table: TurnTable) -> Tensor:
        if not self.answered:
            return super()._normalised_tokens(advantages, table)
        success = self._success[table.episode][table.token_turn]
        return whitened_by_kind(advantages, self._turn_kind[table.token_turn], success, self._least)

    @property
    def _least(self) -> int:
        return self.alignment.least_right if self.alignment else 0

    # The loss

    def _weight(self, table: TurnTable, episodes: Sequence[int]) -> int:
        self._divisor = super()._weight(table, episodes)
        if self._token_weight is not None and self.masking and self.masking.config.normalise and self.method.mean == "tokens":
            spans = [slice(table.token_start[index], table.token_start[index + 1]) for index in episodes]
            self._divisor = int(sum(float(self._token_weight[span].sum()) for span in spans))
        if self.auxiliary is not None:
            turns = [turn for index in episodes for turn in range(table.turn_start[index], table.turn_start[index + 1])]
            self.auxiliary.begin_minibatch(turns)
        return self._divisor

    def _chunks(self, table: TurnTable, episodes: Sequence[int]) -> Iterator[tuple[Chunk, float]]:
        for chunk, weight in super()._chunks(table, episodes):
            self._chunk_weight = weight
            yield chunk, weight

    def _logprobs(self, table: TurnTable, chunk: Chunk) -> tuple[Tensor, Tensor]:
        layer = self.auxiliary.config.layer if self.auxiliary is not None else 0
        last, self._hidden = layer_states(self.policy, chunk.batch, layer)
        logprobs, entropy = logprobs_of_states(self.policy, last, chunk.batch, self.config.temperature)
        kind = self._turn_kind[table.token_turn[chunk.tokens]].clamp(max=1)
        for number in range(2):
            found = torch.tensor([float(entropy[kind == number].sum()), float((kind == number).sum())])
            self._entropy[number] += self._chunk_weight * found
        return logprobs, entropy

    def _masked(self, loss: Tensor, chunk: Chunk) -> Tensor:
        return loss if self._token_weight is None else loss * self._token_weight[chunk.tokens]

    def _policy_loss(self, table: TurnTable, targets: Targets, chunk: Chunk) -> tuple[Tensor, Metrics]:
        total, sums = super()._policy_loss(table, targets, chunk)
        if self.auxiliary is None or self._hidden is None:
            return total, sums
        term = self.auxiliary.loss(self._hidden, chunk)
        if term is None:
            return total, sums
        if self.auxiliary.due(self.iteration):
            parameters = [parameter for parameter in self.policy.parameters() if parameter.requires_grad]
            self.auxiliary.measure(self.iteration, total / self._divisor, self._hidden, chunk, parameters)
        return total + term * self._divisor, sums  # divided again by the caller

    def _update(self, table: TurnTable, targets: Targets, episodes: Sequence[int]) -> Metrics:
        sums = super()._update(table, targets, episodes)
        if self.auxiliary is not None:
            self.auxiliary.apply()
        return sums


def _answer_metrics(answered: Sequence[Answered], targets: Targets, code: TurnTable) -> Metrics:
    if not answered:
        return {"align_answers": 0}
    count = len(answered)
    each = targets.token_advantages
    advantages = targets.advantages[code.turns :] if each is None else each[code.tokens :]
    return {
        "align_answers": count,
        "align_items": len({one.item.id for one in answered}),
        "align_reward": sum(one.score.reward for one in answered) / count,
        "align_exact": sum(one.score.exact for one in answered) / count,
        "align_parsed": sum(one.score.parsed for one in answered) / count,
        "align_tokens": sum(len(one.conversation.response(0)) for one in answered) / count,
        "align_kl": float(targets.log_ratio[code.turns :].mean()),
        "align_advantage": float(advantages.abs().mean()),
        **_exact_by_kind(answered),
    }


def _exact_by_kind(answered: Sequence[Answered]) -> Metrics:
    """Return the share of wholly right answers of each kind of item, if there is more than one."""
    by: dict[str, list[bool]] = {}
    for one in answered:
        by.setdefault(one.item.kind, []).append(one.score.exact)
    return {f"align_exact_{kind}": sum(found) / len(found) for kind, found in by.items()} if len(by) > 1 else {}
