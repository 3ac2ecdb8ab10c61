"""The static baseline of the trace head: what the text alone tells, without states and without a run.

Logistic regression on hashed character n-grams: of the line; for a variable of the line of its last assignment, and its name; for
outcome and exception of the whole program. It learns as the head does, on each collection after having predicted it.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from codeenv.agents.trace_head.classes import HEADS
from codeenv.agents.trace_head.metrics import accuracy
from codeenv.agents.trace_head.positions import TurnLabels
from codeenv.text import program_lines

__all__ = ["StaticBaseline", "ngrams"]

BUCKETS = 1 << 14
LONGEST_PROGRAM = 4_000
"""Characters of a program that are read."""


def ngrams(text: str, longest: int = 4) -> tuple[int, ...]:
    """Return the hashed character n-grams of a text, up to `longest` characters each, without repetition."""
    marked = f"\x02{text.strip()}\x03"
    found = {marked[at : at + size] for size in range(1, longest + 1) for at in range(len(marked) - size + 1)}
    return tuple(sorted(zlib.crc32(part.encode()) % BUCKETS for part in found))


class StaticBaseline:
    """One linear model a head.

    Args:
        learning_rate: of Adagrad.
        passes: over each collection.
    """

    def __init__(self, learning_rate: float = 0.3, passes: int = 2) -> None:
        self._passes = passes
        self._models = {name: _zero_bag(len(HEADS[name])) for name in HEADS}
        self._optimizers = {
            name: torch.optim.Adagrad(model.parameters(), lr=learning_rate, initial_accumulator_value=1e-3)
            for name, model in self._models.items()
        }

    def observe(self, sources: Sequence[str | None], turns: Sequence[TurnLabels | None]) -> dict[str, float]:
        """Predict the labels of some turns from their programs, then learn from them; return the accuracy of each head.

        Args:
            sources: the program of each turn.
            turns: its labels.
        """
        texts: dict[str, list[str]] = {name: [] for name in HEADS}
        targets: dict[str, list[int]] = {name: [] for name in HEADS}

        def add(name: str, text: str, true: int) -> None:
            texts[name].append(text)
            targets[name].append(true)

        for source, turn in zip(sources, turns, strict=True):
            if turn is None:
                continue
            program = (source or "")[:LONGEST_PROGRAM]
            for name, outcome in (("outcome", turn.labels.outcome), ("exception", turn.labels.exception)):
                if outcome is not None:
                    add(name, program, outcome)
            if source is None:
                continue
            lines = [row.rstrip("\r\n") for row in program_lines(source)]
            for number, (_, run) in zip(turn.line_numbers, turn.lines, strict=True):
                add("line", lines[number - 1], run)
            ends = {variable.name: variable.end for variable in turn.labels.variables}
            for variable, (_, kind, bucket) in zip(turn.names, turn.variables, strict=True):
                text = f"{variable} {lines[len(program_lines(source[: ends[variable] - 1])) - 1]}"
                add("type", text, kind)
                add("bucket", text, bucket)
        found = {}
        for name, model in self._models.items():
            known = {text: ngrams(text) for text in set(texts[name])}
            rows = [known[text] for text in texts[name]]
            if not rows:
                continue
            true = torch.tensor(targets[name])
            with torch.no_grad():
                found[f"head_{name}_static"] = accuracy(_scores(model, rows).argmax(-1), true)
            for _ in range(self._passes):
                self._optimizers[name].zero_grad(set_to_none=True)
                nn.functional.cross_entropy(_scores(model, rows), true).backward()
                self._optimizers[name].step()
        return found

    def state_dict(self) -> dict[str, dict[str, object]]:
        """Return models and optimisers."""
        return {name: {"model": self._models[name].state_dict(), "optimizer": self._optimizers[name].state_dict()}
                for name in self._models}  # fmt: skip

    def load_state_dict(self, state: dict[str, dict[str, dict[str, object]]]) -> None:
        """Take what `state_dict` returned."""
        for name, parts in state.items():
            self._models[name].load_state_dict(parts["model"])
            self._optimizers[name].load_state_dict(parts["optimizer"])


def _zero_bag(classes: int) -> nn.EmbeddingBag:
    bag = nn.EmbeddingBag(BUCKETS, classes, mode="sum")
    nn.init.zeros_(bag.weight)
    return bag


def _scores(model: nn.EmbeddingBag, rows: Sequence[Sequence[int]]) -> Tensor:
    starts = [0]
    for row in rows[:-1]:
        starts.append(starts[-1] + len(row))
    scores: Tensor = model(torch.tensor([place for row in rows for place in row]), torch.tensor(starts))
    return scores
