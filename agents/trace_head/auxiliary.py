"""The head beside a learner: labels for a collection, the auxiliary loss in its minibatches, an optimiser of its own, numbers.

    L = L_policy + lambda * mean over submissions of the mean over heads of CE_k

`probe` stops the gradient at the states, so the policy is as if there were no head; `on` sends lambda times it into the trunk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from logging import getLogger
from typing import Any

import torch
from torch import Tensor

from codeenv.agents.lm.chat_format import ChatFormat
from codeenv.agents.lm.token_text import response_spans
from codeenv.agents.rlef.collect import Played
from codeenv.agents.rlef.devices import Devices
from codeenv.agents.rlef.turns import Chunk
from codeenv.agents.stepcoder.completion import given_part
from codeenv.agents.trace_head.classes import HEADS
from codeenv.agents.trace_head.config import AuxiliaryConfig
from codeenv.agents.trace_head.heads import Positions, TraceHead, head_loss, scaled_gradient
from codeenv.agents.trace_head.labels import RunLabels, Submission, TracedLabels
from codeenv.agents.trace_head.metrics import head_metrics
from codeenv.agents.trace_head.positions import TurnLabels, build_positions, turn_labels
from codeenv.agents.trace_head.static import StaticBaseline
from codeenv.judge import Judge

__all__ = ["CONFLICT", "PERSISTENT", "Auxiliary", "LabelledTurn"]

CONFLICT = -0.5
"""A cosine of the gradients below this is a conflict; `PERSISTENT` of them in a row are warned of."""
PERSISTENT = 3

_LOG = getLogger(__name__)

Labeller = Callable[[Sequence[Submission]], list[RunLabels]]
LabelledTurn = tuple[str | None, TurnLabels | None]
"""The program of a turn, and its labels."""


class Auxiliary:
    """The trace head of a learner.

    Args:
        hidden: size of the policy's states.
        config: the settings.
        seed: of the head's weights.
        labeller: makes labels; by default from traced runs in the learner's judge.
        device: where the head lives.
        devices: the processes that learn; each has the whole head.
    """

    def __init__(
        self,
        hidden: int,
        config: AuxiliaryConfig | None = None,
        seed: int = 0,
        labeller: Labeller | None = None,
        device: torch.device | str = "cpu",
        devices: Devices | None = None,
    ) -> None:
        self.config = config or AuxiliaryConfig()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.head = TraceHead(hidden, self.config.width, self.config.heads).to(device)
        self.optimizer = torch.optim.AdamW(
            self.head.parameters(), lr=self.config.learning_rate, betas=(0.9, 0.95), weight_decay=0.0
        )
        self.device = torch.device(device)
        self._devices = devices or Devices()
        self.turns: list[TurnLabels | None] = []
        self.relation: dict[str, float] = {}
        self.conflicts = 0
        self._measured: int | None = None
        self._static = StaticBaseline()
        self._guessed: dict[str, float] = {}
        self._labeller = labeller
        self._count = 1
        self._seen: list[tuple[dict[str, Tensor], dict[str, Tensor], Tensor]] = []

    def prepare(self, played: Sequence[Played], chat: ChatFormat, judge: Judge) -> None:
        """Label every turn of a collection, to learn from it."""
        self.begin([row for rows in self.labelled(played, chat, judge) for row in rows])

    def labelled(self, played: Sequence[Played], chat: ChatFormat, judge: Judge) -> list[list[LabelledTurn]]:
        """Return the program and the labels of every turn of each episode, from runs in the judge."""
        turns = [(one, number, turn) for one in played for number, turn in enumerate(one.episode.turns)]
        labeller = self._labeller or TracedLabels(judge)
        labels = labeller([Submission(one.episode.problem, turn.source, turn.public) for one, _, turn in turns])
        rows: dict[int, list[LabelledTurn]] = {id(one): [] for one in played}
        for (one, number, turn), found in zip(turns, labels, strict=True):
            ids = one.conversation.response(number)
            text = chat.text(ids)
            spans = response_spans(chat.tokenizer, ids, text)
            given = given_part(turn.source or "", text, one.given)
            rows[id(one)].append((turn.source, turn_labels(text, turn.source, spans, found, given)))
        return [rows[id(one)] for one in played]

    def begin(self, turns: Sequence[LabelledTurn]) -> None:
        """Take the labels of a collection, in the order of its turns."""
        self.turns = [labels for _, labels in turns]
        self._guessed = self._static.observe([source for source, _ in turns], self.turns)
        self._seen = []

    def begin_minibatch(self, turns: Sequence[int]) -> None:
        """Say which turns of the collection a gradient step uses; their labelled ones share its loss equally."""
        self._count = max(1, sum(turn < len(self.turns) and self.turns[turn] is not None for turn in turns))
        self.optimizer.zero_grad(set_to_none=True)

    def loss(self, hidden: Tensor, chunk: Chunk) -> Tensor | None:
        """Return the chunk's share of the auxiliary loss; `None` if it has no labelled turn (alignment prompts have none).

        Args:
            hidden: (N, L, hidden) states of the chunk.
            chunk: its tokens and turns.
        """
        at = self._at(chunk, hidden.device)
        if at is None:
            return None
        logits = self.head(scaled_gradient(hidden, self.config.scale), at)
        targets = {name: at.target(name) for name in logits}
        self._seen.append(({name: values.detach() for name, values in logits.items()}, targets, at.line_sample))
        return head_loss(logits, at).sum() / self._count

    def _at(self, chunk: Chunk, device: torch.device) -> Positions | None:
        """Return where the head reads in a chunk, `None` if none of its turns has labels."""
        chosen: list[TurnLabels] = []
        rows: list[int] = []
        starts: list[int] = []
        triples = zip(chunk.turns.tolist(), chunk.batch.turn_row.tolist(), chunk.batch.turn_column.tolist(), strict=True)
        for turn, row, column in triples:
            labels = self.turns[turn] if turn < len(self.turns) else None
            if labels is not None:
                chosen.append(labels)
                rows.append(row)
                starts.append(column + 1)
        if not chosen:
            return None
        return build_positions(chosen, rows, starts, device)

    def apply(self) -> None:
        """Do one step of the head's optimiser, if a minibatch gave it a gradient."""
        parameters = list(self.head.parameters())
        asked = torch.tensor([float(parameter.grad is not None) for parameter in parameters], device=self.device)
        asked = self._devices.add(asked)
        self._devices.add_gradients(self.head)
        for parameter, count in zip(parameters, asked.tolist(), strict=True):
            if not count:
                parameter.grad = None  # no process asked that: the optimiser leaves its weights alone
        if asked.any():
            self.optimizer.step()

    def metrics(self) -> dict[str, float]:
        """Return the numbers of the predictions made while learning from the last collection, each before its gradient step."""
        seen = [row for rows in self._devices.objects(self._seen) for row in rows]
        if not seen:
            return dict(self.relation)
        logits = {name: torch.cat([row[0][name].cpu() for row in seen]) for name in seen[0][0]}
        targets = {name: torch.cat([row[1][name].cpu() for row in seen]) for name in logits}
        shift, samples = 0, []
        for _, _, owner in seen:
            samples.append(owner.cpu() + shift)
            shift += int(owner.max()) + 1 if len(owner) else 0
        return head_metrics(logits, targets, torch.cat(samples)) | self._guessed | self.relation

    def due(self, iteration: int) -> bool:
        """Return whether the gradients are to be measured now; once in an iteration."""
        every = self.config.measure_every
        return every > 0 and (self._measured is None or iteration - self._measured >= every)

    def measure(self, iteration: int, policy_loss: Tensor, hidden: Tensor, chunk: Chunk, parameters: Sequence[Tensor]) -> None:
        """Record the ratio of the gradient norms lambda |g_aux| / |g_policy| on the trunk and their cosine, on one chunk.

        In mode `probe` these are the numbers that `on` would have. A cosine below -0.5 three times in a row is warned of.

        Args:
            iteration: the learner's.
            policy_loss: the chunk's share of the mean policy loss.
            hidden, chunk: as for `loss`.
            parameters: the policy's.
        """
        at = self._at(chunk, hidden.device)
        if at is None:
            return
        auxiliary_loss = self.config.weight * head_loss(self.head(hidden, at), at).sum() / self._count
        one = _flat_gradient(policy_loss, parameters)
        other = _flat_gradient(auxiliary_loss, parameters)
        norms = float(one.norm()), float(other.norm())
        cosine = float(one @ other) / (norms[0] * norms[1]) if norms[0] > 0 and norms[1] > 0 else 0.0
        self._measured = iteration
        self.conflicts = self.conflicts + 1 if cosine < CONFLICT else 0
        self.relation = {
            "head_gradient_ratio": norms[1] / norms[0] if norms[0] > 0 else 0.0,
            "head_gradient_cosine": cosine,
            "head_gradient_conflicts": float(self.conflicts),
        }
        if self.conflicts == PERSISTENT and self.config.scale > 0:
            _LOG.warning(
                "the trace head pulls against the policy: the cosine of their gradients was below %g in %d measurements "
                "in a row; lower trace_head.weight, or set trace_head.mode to probe", CONFLICT, PERSISTENT,
            )  # fmt: skip

    def predictions(self, hidden: Tensor, chunk: Chunk) -> list[dict[str, Any]]:
        """Return what the head says of each turn of a chunk, ready for JSON: `extras["trace_head"]` of a trajectory's turns.

        Each is `{"outcome": {class: probability}, "true_outcome": class, "exception": {class: probability}, "true_exception":
        class or None, "lines": [[line, probability that it is run, whether it was]], "variables": [[name, type, bucket, true
        type, true bucket]]}`, without what the head is not asked; an unlabelled turn is {}.
        """
        found: list[dict[str, Any]] = []
        triples = zip(chunk.turns.tolist(), chunk.batch.turn_row.tolist(), chunk.batch.turn_column.tolist(), strict=True)
        for turn, row, column in triples:
            labels = self.turns[turn] if turn < len(self.turns) else None
            if labels is None:
                found.append({})
                continue
            with torch.no_grad():
                logits = self.head(hidden, build_positions([labels], [row], [column + 1], hidden.device))
            found.append(_said(logits, labels))
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return the head, its optimiser and the static baseline."""
        state = {"head": self.head.state_dict(), "optimizer": self.optimizer.state_dict()}
        measured = {"measured": self._measured, "conflicts": self.conflicts, "relation": dict(self.relation)}
        return state | {"static": self._static.state_dict(), "measured": measured}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what `state_dict` returned."""
        self.head.load_state_dict(state["head"])
        self.optimizer.load_state_dict(state["optimizer"])
        if "static" in state:
            self._static.load_state_dict(state["static"])
        if measured := state.get("measured"):
            self._measured, self.conflicts, self.relation = (
                measured["measured"],
                measured["conflicts"],
                dict(measured["relation"]),
            )


def _said(logits: dict[str, Tensor], labels: TurnLabels) -> dict[str, Any]:
    said: dict[str, Any] = {}
    truth = {"outcome": labels.labels.outcome, "exception": labels.labels.exception}
    for head, true in truth.items():
        if head in logits:
            shares = logits[head][0].softmax(-1).tolist()
            said[head] = {name: round(share, 4) for name, share in zip(HEADS[head], shares, strict=True)}
            said[f"true_{head}"] = None if true is None else HEADS[head][true]
    if "line" in logits:
        run = logits["line"].softmax(-1)[:, 1].tolist()
        rows = zip(labels.line_numbers, run, labels.lines, strict=True)
        said["lines"] = [[number, round(share, 4), bool(true)] for number, share, (_, true) in rows]
    if "type" in logits and "bucket" in logits:
        kinds, buckets = logits["type"].argmax(-1).tolist(), logits["bucket"].argmax(-1).tolist()
        said["variables"] = [
            [name, HEADS["type"][kind], HEADS["bucket"][bucket], HEADS["type"][true[1]], HEADS["bucket"][true[2]]]
            for name, kind, bucket, true in zip(labels.names, kinds, buckets, labels.variables, strict=True)
        ]
    return said


def _flat_gradient(loss: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    gradients = torch.autograd.grad(loss, list(parameters), retain_graph=True, allow_unused=True)
    pairs = zip(parameters, gradients, strict=True)
    return torch.cat([torch.zeros_like(p).flatten() if g is None else g.flatten() for p, g in pairs])
