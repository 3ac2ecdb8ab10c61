"""Linear probes of a frozen policy: what its states tell about runs, layer by layer, next to controls.

For each layer and question a logistic regression is fitted on states of some problems and scored on states of others. Controls:
labels shuffled among the training positions, the input embeddings alone (layer 0: the token without its context), and the
commonest class. What counts is the accuracy minus the best control.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from codeenv.agents.lm.scoring import build_batch
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.agents.trace_head.classes import HEADS
from codeenv.agents.trace_head.heads import Positions
from codeenv.agents.trace_head.metrics import accuracy
from codeenv.agents.trace_head.positions import TurnLabels, build_positions
from codeenv.errors import CodeenvError

__all__ = ["LEAST", "QUESTIONS", "ProbeResult", "ProbedTurn", "probe_policy"]

QUESTIONS = ("outcome", "line", "type", "bucket")
LEAST = 10
"""Positions to fit to, and to score on, without which a question is left out."""


@dataclass(frozen=True, slots=True)
class ProbedTurn:
    """One labelled submission: its conversation, the number of its turn, its labels, and the problem that it belongs to."""

    conversation: TokenConversation
    turn: int
    labels: TurnLabels
    problem_id: str


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Accuracies of one question at one layer, on positions of held-out problems.

    Attributes:
        layer: 0 is the input embedding.
        accuracy: of the probe.
        shuffled: of a probe that was fitted to shuffled labels.
        token_only: of the probe at layer 0.
        majority: of the commonest training class.
        positions: number of held-out positions.
    """

    question: str
    layer: int
    accuracy: float
    shuffled: float
    token_only: float
    majority: float
    positions: int

    @property
    def gain(self) -> float:
        """The accuracy beyond the best control."""
        return self.accuracy - max(self.shuffled, self.token_only, self.majority)


def probe_policy(
    policy: PreTrainedModel, turns: Sequence[ProbedTurn], seed: int = 0, held_out: float = 0.3, batch: int = 32
) -> list[ProbeResult]:
    """Return the result of each question at each layer; a question with fewer than `LEAST` positions is left out.

    Args:
        policy: the frozen policy.
        turns: labelled submissions of several problems.
        seed: of the split by problem and of the shuffled labels.
        held_out: share of the problems that the probes are scored on.
        batch: conversations of one forward pass.

    Raises:
        CodeenvError: if there are fewer than 4 problems, which cannot be split.
    """
    problems = sorted({turn.problem_id for turn in turns})
    if len(problems) < 4:
        raise CodeenvError(
            f"there are labelled programs of {len(problems)} problems; probes need at least 4, record more episodes"
        )
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(problems), generator=generator).tolist()
    tested = {problems[index] for index in order[: max(1, int(held_out * len(problems)))]}
    states, targets, owners = _read(policy, turns, batch)
    results: list[ProbeResult] = []
    for question in QUESTIONS:
        true = targets[question]
        test = torch.tensor([turns[owner].problem_id in tested for owner in owners[question].tolist()], dtype=torch.bool)
        known = true >= 0
        fit, held = known & ~test, known & test
        if int(fit.sum()) < LEAST or int(held.sum()) < LEAST:
            continue
        commonest = int(true[fit].mode().values)
        guess = accuracy(torch.full_like(true[held], commonest), true[held])
        mixed = true[fit][torch.randperm(int(fit.sum()), generator=generator)]
        scores = []
        for layer in states[question]:
            right = _fitted(layer[fit], true[fit], layer[held], len(HEADS[question]))
            control = _fitted(layer[fit], mixed, layer[held], len(HEADS[question]))
            scores.append((accuracy(right, true[held]), accuracy(control, true[held])))
        results += [
            ProbeResult(question, number, score, control, scores[0][0], guess, int(held.sum()))
            for number, (score, control) in enumerate(scores)
        ]
    return results


@torch.no_grad()
def _read(
    policy: PreTrainedModel, turns: Sequence[ProbedTurn], size: int
) -> tuple[Mapping[str, list[Tensor]], Mapping[str, Tensor], Mapping[str, Tensor]]:
    """Return per question the states of each layer, (positions, hidden), the classes, and the turn of each position."""
    policy.eval()
    states: dict[str, list[list[Tensor]]] = {question: [] for question in QUESTIONS}
    targets: dict[str, list[Tensor]] = {question: [] for question in QUESTIONS}
    owners: dict[str, list[Tensor]] = {question: [] for question in QUESTIONS}
    for start in range(0, len(turns), size):
        part = turns[start : start + size]
        batch = build_batch([turn.conversation for turn in part], pad_id=0, device=policy.device)
        layers = policy.base_model(input_ids=batch.ids, use_cache=False, output_hidden_states=True).hidden_states
        starts = [turn.conversation.spans[turn.turn].start for turn in part]
        at = build_positions([turn.labels for turn in part], range(len(part)), starts, policy.device)
        for question in QUESTIONS:
            states[question].append([_states(layer, question, at).float().cpu() for layer in layers])
            targets[question].append(at.target(question).cpu())
            owners[question].append(at.owner(question).cpu() + start)
    stacked = {
        question: [torch.cat([part[number] for part in parts]) for number in range(len(parts[0]))]
        for question, parts in states.items()
    }
    return stacked, {name: torch.cat(parts) for name, parts in targets.items()}, {n: torch.cat(p) for n, p in owners.items()}


def _states(layer: Tensor, question: str, at: Positions) -> Tensor:
    if question == "outcome":
        return layer[at.end_row, at.end_column]
    if question == "line":
        tokens = layer[at.line_token_row, at.line_token_column]
        sums = torch.zeros(len(at.line), layer.shape[-1], dtype=tokens.dtype, device=tokens.device).index_add(
            0, at.token_line, tokens
        )
        return sums / torch.bincount(at.token_line, minlength=len(at.line)).clamp(min=1)[:, None]
    return layer[at.variable_row, at.variable_column]


def _fitted(states: Tensor, true: Tensor, held: Tensor, classes: int, steps: int = 200) -> Tensor:
    """Return the classes that a ridge-regularised logistic regression predicts for held-out states."""
    mean, deviation = states.mean(0), states.std(0) + 1e-6
    model = nn.Linear(states.shape[1], classes)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.01)
    inputs = (states - mean) / deviation
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), true).backward()
        optimizer.step()
    with torch.no_grad():
        predicted: Tensor = model((held - mean) / deviation).argmax(dim=-1)
    return predicted
