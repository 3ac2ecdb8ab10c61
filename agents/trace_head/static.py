"""The static baseline of the trace head: what the text of a line alone tells, without states and without a run.

Logistic regression on hashed character n-grams of the line (for a variable: the line of its last assignment, and its name). It
learns as the head does, on each collection after having predicted it.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from codeenv.agents.trace_head.classes import HEADS
from codeenv.agents.trace_head.metrics import accuracy
from codeenv.agents.trace_head.positions import TurnLabels

__all__ = ["StaticBaseline", "ngrams"]

BUCKETS = 1 << 14


@functools.lru_cache(maxsize=1 << 14)
def ngrams(text: str, longest: int = 4) -> tuple[int, ...]:
    """Return the hashed character n-grams of a text, up to `longest` characters each, without repetition."""
    marked = f"\x02{text.strip()}\x03"
    found = {marked[at : at + size] for size in range(1, longest + 1) for at in range(len(marked) - size + 1)}
    return tuple(sorted(zlib.crc32(part.encode()) % BUCKETS for part in found))


class StaticBaseline:
    """One linear model a head; the heads are `line`, `type` and `bucket`.

    Args:
        learning_rate: of Adagrad.
        passes: over each collection.
    """

    def __init__(self, learning_rate: float = 0.3, passes: int = 2) -> None:
        self._passes = passes
        self._models = {name: _zero_bag(len(HEADS[name])) for name in ("line", "type", "bucket")}
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
        texts: dict[str, list[str]] = {"line": [], "variable": []}
        targets: dict[str, list[int]] = {"line": [], "type": [], "bucket": []}
        for source, turn in zip(sources, turns, strict=True):
            if source is None or turn is None:
                continue
            lines = source.split("\n")
            texts["line"] += [lines[number - 1] for number in turn.line_numbers]
            targets["line"] += [run for _, run in turn.lines]
            ends = {variable.name: variable.end for variable in turn.labels.variables}
            texts["variable"] += [f"{name} {lines[source.count(chr(10), 0, ends[name] - 1)]}" for name in turn.names]
            targets["type"] += [kind for _, kind, _ in turn.variables]
            targets["bucket"] += [bucket for _, _, bucket in turn.variables]
        found = {}
        for name, model in self._models.items():
            rows = [ngrams(text) for text in texts["line" if name == "line" else "variable"]]
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
