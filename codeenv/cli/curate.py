"""Two commands of `codeenv problems`: tests from a trusted reference, and problems that two collections share."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

import tyro

from codeenv.cli.choice import ALL, Choice, Json
from codeenv.curation.generate import GeneratedTests, generate_tests
from codeenv.errors import CodeenvError
from codeenv.judge import Judge
from codeenv.problems import Problem
from codeenv.problems.duplicates import find_overlaps
from codeenv.problems.jsonl import check_targets, write_jsonl

__all__ = ["Generate", "Overlaps", "generate", "overlaps"]


@dataclass(frozen=True)
class Generate:
    """Make private tests from the first correct solution: codeenv problems generate humaneval HumanEval/0 --out more.jsonl

    Problems with a correct solution and a test that has an input; others of a collection are said and left as they are.

    Attributes:
        path: a data set's name, NAME:PATH, a JSONL or JSON file, or a problem package.
        id: the problem's id; all chosen problems if not given.
        choice: which of its problems.
        out: write the problems with their new tests to this JSONL file.
        count: most new tests a problem.
        seed: of the inputs.
        sandbox: where programs run.
        workers: sandbox workers.
        as_json: print one JSON object a problem.
    """

    path: tyro.conf.Positional[str]
    id: tyro.conf.Positional[str | None] = None
    choice: tyro.conf.OmitArgPrefixes[Choice] = ALL
    out: str | None = None
    count: int = 20
    seed: int = 0
    sandbox: str = "local"
    workers: int = 2
    as_json: Json = False


@dataclass(frozen=True)
class Overlaps:
    """Find problems that are in two collections, or twice in one: codeenv problems overlaps train.jsonl humaneval

    Statements are compared by runs of five words, solutions without names and layout. Exit status 1 if something was found.

    Attributes:
        path: the problems to look at: a data set's name, NAME:PATH, a JSONL or JSON file, or a problem package.
        against: the problems to compare with; without it, repetitions within the first.
        choice: which problems of the first.
        threshold: share of common runs of words from which statements count as the same.
        as_json: print one JSON object an overlap.
    """

    path: tyro.conf.Positional[str]
    against: tyro.conf.Positional[str | None] = None
    choice: tyro.conf.OmitArgPrefixes[Choice] = ALL
    threshold: float = 0.7
    as_json: Json = False


def generate(command: Generate) -> int:
    """Run `codeenv problems generate`."""
    if command.count < 1:
        raise CodeenvError(f"--count is {command.count}; use a number of at least 1")
    if command.out is not None:
        check_targets(command.out, command.choice.skip_bad)
    problems = command.choice.load(command.path)
    chosen = [problems.by_id(command.id)] if command.id else list(problems)
    written: list[Problem] = []
    with Judge(sandbox=command.sandbox, workers=command.workers) as judge:
        for problem in chosen:
            try:
                made = generate_tests(problem, judge, command.count, command.seed)
            except CodeenvError as error:
                if command.id:
                    raise
                print(str(error), file=sys.stderr)
                written.append(problem)
                continue
            written.append(made.problem)
            print(json.dumps(_row(made)) if command.as_json else _sentence(made), flush=True)
    if command.out is not None:
        write_jsonl(command.out, written)
        print(f"{len(written)} problems in {command.out}", file=sys.stderr)
    return 0


def overlaps(command: Overlaps) -> int:
    """Run `codeenv problems overlaps`."""
    if not 0 < command.threshold <= 1:
        raise CodeenvError(f"--threshold is {command.threshold:g}; use a number above 0 and at most 1")
    against = ALL.load(command.against) if command.against else None
    found = find_overlaps(command.choice.load(command.path), against, command.threshold)
    for one in found:
        if command.as_json:
            print(json.dumps({"left": one.left, "right": one.right, "kind": one.kind, "similarity": one.similarity}))
        else:
            print(f"{one.left}  {one.right}  {one.kind} {one.similarity:.2f}")
    if not command.as_json:
        print(f"{len({one.left for one in found})} problems overlap")
    return 1 if found else 0


def _row(made: GeneratedTests) -> dict[str, object]:
    return {
        "id": made.problem.id,
        "tests": len(made.tests),
        "tried": made.tried,
        "mutants": made.mutants,
        "killed_before": made.killed_before,
        "killed_after": made.killed_after,
        "coverage_before": made.coverage_before,
        "coverage_after": made.coverage_after,
    }


def _sentence(made: GeneratedTests) -> str:
    lines = ""
    if made.coverage_before is not None and made.coverage_after is not None:
        lines = f", lines run {made.coverage_before:.0%} -> {made.coverage_after:.0%}"
    killed = f"mutants that fail {made.killed_before} -> {made.killed_after} of {made.mutants}"
    return f"{made.problem.id}: {len(made.tests)} new tests of {made.tried} inputs, {killed}{lines}"
