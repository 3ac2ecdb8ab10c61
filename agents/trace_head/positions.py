"""From labels by line and variable to positions of tokens in a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from codeenv.agents.trace_head.heads import Positions
from codeenv.agents.trace_head.labels import RunLabels
from codeenv.text import program_lines

__all__ = ["TurnLabels", "build_positions", "turn_labels"]


@dataclass(frozen=True, slots=True)
class TurnLabels:
    """Labels of one turn by token offset in its response.

    Attributes:
        end: offset of the last token of the code (of the response, if there is no code).
        labels: the run's labels.
        lines: (offsets of the line's tokens, class) of each executable line that has tokens; `line_numbers` beside it.
        variables: (offset, type, bucket) of each variable; `names` beside it.
    """

    end: int
    labels: RunLabels
    lines: tuple[tuple[tuple[int, ...], int], ...]
    line_numbers: tuple[int, ...]
    variables: tuple[tuple[int, int, int], ...]
    names: tuple[str, ...]


def turn_labels(
    text: str, source: str | None, spans: Sequence[tuple[int, int]], labels: RunLabels, given: str = ""
) -> TurnLabels | None:
    """Return the labels of a turn by token; `None` if the response has no token or nothing is known of the run.

    Args:
        text: the response.
        source: the program in it.
        spans: character spans of the response's tokens, from `response_spans`.
        labels: the run's labels.
        given: the beginning of the program that is in the prompt; its lines and variables have no token here.
    """
    if not spans or labels.outcome is None:
        return None
    written = source.removeprefix(given) if source else ""
    start = text.rfind(written) if written else -1
    if source is None or start < 0:
        return TurnLabels(len(spans) - 1, labels, (), (), (), ())
    stop = start + len(written)
    inside = [offset for offset, (left, right) in enumerate(spans) if left < stop and right > start]
    if not inside:
        return TurnLabels(len(spans) - 1, labels, (), (), (), ())
    begins = [start - len(source) + len(written)]
    rows = program_lines(source)
    for row in rows:
        begins.append(begins[-1] + len(row))
    lines, numbers = [], []
    for number, run in labels.lines.items():
        left = begins[number - 1]
        right = left + len(rows[number - 1].rstrip("\r\n"))
        if right <= start:
            continue
        tokens = tuple(offset for offset in inside if spans[offset][0] < right and spans[offset][1] > left)
        if tokens:
            lines.append((tokens, int(run)))
            numbers.append(number)
    variables, names = [], []
    for variable in labels.variables:
        last = begins[0] + variable.end
        before = [offset for offset in inside if start < last and spans[offset][0] < last]
        if before:
            variables.append((before[-1], variable.type, variable.bucket))
            names.append(variable.name)
    return TurnLabels(inside[-1], labels, tuple(lines), tuple(numbers), tuple(variables), tuple(names))


def build_positions(
    turns: Sequence[TurnLabels], rows: Sequence[int], starts: Sequence[int], device: torch.device | str = "cpu"
) -> Positions:
    """Return the positions of some turns in a batch.

    Args:
        turns: their labels.
        rows: the row of each in the batch.
        starts: the column of each turn's first response token.
    """
    end: list[tuple[int, int, int, int]] = []
    tokens: list[tuple[int, int, int]] = []
    lines: list[tuple[int, int]] = []
    variables: list[tuple[int, int, int, int, int]] = []
    for sample, (turn, row, start) in enumerate(zip(turns, rows, starts, strict=True)):
        outcome, exception = turn.labels.outcome, turn.labels.exception
        end.append((row, start + turn.end, -1 if outcome is None else outcome, -1 if exception is None else exception))
        for offsets, run in turn.lines:
            tokens += [(row, start + offset, len(lines)) for offset in offsets]
            lines.append((sample, run))
        variables += [(row, start + offset, sample, kind, bucket) for offset, kind, bucket in turn.variables]

    def columns(table: Sequence[tuple[int, ...]], width: int) -> list[torch.Tensor]:
        whole = torch.tensor(table, dtype=torch.long, device=device).reshape(-1, width)
        return list(whole.unbind(dim=1))

    return Positions(*columns(end, 4), *columns(tokens, 3), *columns(lines, 2), *columns(variables, 5))
