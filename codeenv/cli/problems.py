"""`codeenv problems`: list data sets, look at problems, validate, convert and count them, make tests, find repetitions."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro
from rich.console import Console
from rich.table import Table

from codeenv.cli.choice import ALL, Choice, Json
from codeenv.cli.curate import Generate, Overlaps, generate, overlaps
from codeenv.cli.progress import Bar
from codeenv.curation.validate import Validation, mend, validate
from codeenv.judge import Judge
from codeenv.problems import CallTest, Problem, StdioTest, sources
from codeenv.problems.jsonl import check_targets, check_writable, write_jsonl

__all__ = ["main"]

Item = TypeVar("Item")


@dataclass(frozen=True)
class List:
    """List the data sets: codeenv problems list"""

    as_json: Json = False


@dataclass(frozen=True)
class Show:
    """Show one problem: codeenv problems show humaneval HumanEval/0

    Attributes:
        path: a data set's name, NAME:PATH, a JSONL or JSON file, or a problem package.
        choice: which of its problems.
        id: the problem's id; the first problem if not given.
        private: show the private tests too.
        as_json: print the problem as a row of the schema.
    """

    path: tyro.conf.Positional[str]
    id: tyro.conf.Positional[str | None] = None
    choice: tyro.conf.OmitArgPrefixes[Choice] = ALL
    private: bool = False
    as_json: Json = False


@dataclass(frozen=True)
class Validate:
    """Judge the known solutions and look for bad tests: codeenv problems validate rows.jsonl

    Exit status 1 if something serious was found.

    Attributes:
        path: a data set's name, NAME:PATH, a JSONL or JSON file, or a problem package.
        choice: which of its problems.
        fix: write the problems without their bad tests and solutions to this JSONL file, and those that cannot be mended to a
            file beside it whose name ends in .quarantine.jsonl.
        solutions: how many correct and how many incorrect solutions of each problem are judged.
        sandbox: where programs run.
        workers: sandbox workers.
        as_json: print one JSON object a problem.
    """

    path: tyro.conf.Positional[str]
    choice: tyro.conf.OmitArgPrefixes[Choice] = ALL
    fix: str | None = None
    solutions: int = 3
    sandbox: str = "local"
    workers: int = 2
    as_json: Json = False


@dataclass(frozen=True)
class Convert:
    """Write problems as rows of the schema: codeenv problems convert codecontests:valid.parquet valid.jsonl

    Attributes:
        path: a data set's name, NAME:PATH, a JSONL or JSON file, or a problem package.
        choice: which of its problems.
        target: the JSONL file to write.
    """

    path: tyro.conf.Positional[str]
    target: tyro.conf.Positional[str]
    choice: tyro.conf.OmitArgPrefixes[Choice] = ALL


@dataclass(frozen=True)
class Stats:
    """Count problems, tests and sizes: codeenv problems stats humaneval

    Attributes:
        path: a data set's name, NAME:PATH, a JSONL or JSON file, or a problem package.
        choice: which of its problems.
        as_json: print a JSON object.
    """

    path: tyro.conf.Positional[str]
    choice: tyro.conf.OmitArgPrefixes[Choice] = ALL
    as_json: Json = False


Command = (
    Annotated[List, tyro.conf.subcommand("list")]
    | Annotated[Show, tyro.conf.subcommand("show")]
    | Annotated[Validate, tyro.conf.subcommand("validate")]
    | Annotated[Convert, tyro.conf.subcommand("convert")]
    | Annotated[Stats, tyro.conf.subcommand("stats")]
    | Annotated[Generate, tyro.conf.subcommand("generate")]
    | Annotated[Overlaps, tyro.conf.subcommand("overlaps")]
)


def main(command: tyro.conf.OmitSubcommandPrefixes[tyro.conf.OmitArgPrefixes[Command]]) -> int:
    """List, show, validate, convert and count problems, make tests for them, find those that are there twice.

    Example: codeenv problems validate humaneval --limit 20
    """
    match command:
        case List():
            return _list(command)
        case Show():
            return _show(command)
        case Validate():
            return _validate(command)
        case Convert():
            return _convert(command)
        case Stats():
            return _stats(command)
        case Generate():
            return generate(command)
        case Overlaps():
            return overlaps(command)


def _list(command: List) -> int:
    if command.as_json:
        names = ("name", "summary", "splits", "tests", "hub")
        print(json.dumps([{name: getattr(source, name) for name in names} for source in sources().values()]))
        return 0
    table = Table("name", "what it is", "splits", "tests", box=None, pad_edge=False)
    for source in sources().values():
        table.add_row(source.name, source.summary, " ".join(source.splits), source.tests)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    return 0


def _show(command: Show) -> int:
    problems = command.choice.load(command.path)
    problem = problems.by_id(command.id) if command.id else problems[0]
    if command.as_json:
        row = problem.to_dict()
        if not command.private:
            row["private_tests"] = f"{len(problem.private_tests)} tests; add --private to see them"
        print(json.dumps(row, ensure_ascii=False))
        return 0
    facts = [
        problem.mode,
        f"limits {problem.limits.time_limit_s:g} s {problem.limits.memory_mb} MB",
        f"checker {problem.checker.kind}",
    ]
    facts += [f"difficulty {problem.difficulty:g}"] if problem.difficulty is not None else []
    print(f"{problem.id}  ({', '.join(facts)})\n\n{problem.statement}\n")
    for index, test in enumerate(problem.tests("all") if command.private else problem.public_tests):
        which = "public" if index < len(problem.public_tests) else "private"
        print(f"--- {which} test {index}\n{_test_text(problem, test)}")
    known = f"{len(problem.correct_solutions)} correct and {len(problem.incorrect_solutions)} incorrect solutions"
    print(f"--- {len(problem.public_tests)} public and {len(problem.private_tests)} private tests, {known}")
    return 0


def _validate(command: Validate) -> int:
    aside: Path | None = None
    if command.fix is not None:
        check_writable(command.fix)
        aside = Path(command.fix).with_suffix(".quarantine.jsonl")
        check_targets(command.fix, command.choice.skip_bad, aside)
    problems = command.choice.load(command.path)
    good = serious = 0
    kinds: Counter[str] = Counter()
    mended: list[Problem] = []
    quarantined: list[dict[str, Any]] = []
    with Judge(sandbox=command.sandbox, workers=command.workers) as judge:
        for result in _tracked(validate(problems, judge, command.solutions), len(problems), "validating"):
            good += result.good
            serious += not result.good
            kinds.update({finding.kind for finding in result.findings})
            _print_result(result, command.as_json)
            if command.fix is not None:
                repaired = mend(result, judge, command.solutions)
                if repaired is not None:
                    mended.append(repaired)
                else:
                    reasons = [finding.detail for finding in result.findings if finding.serious]
                    quarantined.append({"reasons": reasons, "problem": result.problem.to_dict()})
    if not command.as_json:
        table = Table("finding", "problems", box=None, pad_edge=False)
        for kind, count in kinds.most_common():
            table.add_row(kind, str(count))
        Console().print(table)
        print(f"{good} of {good + serious} problems have nothing serious")
    if command.fix is not None and aside is not None:
        write_jsonl(command.fix, mended)
        write_jsonl(aside, quarantined)
        print(f"{len(mended)} problems in {command.fix}, {len(quarantined)} in {aside}", file=sys.stderr)
    return 1 if serious else 0


def _convert(command: Convert) -> int:
    check_targets(command.target, command.choice.skip_bad)
    problems = command.choice.load(command.path)
    count = write_jsonl(command.target, _tracked(iter(problems), len(problems), "converting"))
    print(f"{count} problems in {command.target}")
    return 0


def _stats(command: Stats) -> int:
    facts = _count(command.choice.load(command.path))
    if command.as_json:
        print(json.dumps(facts))
        return 0
    table = Table("", "", show_header=False, box=None, pad_edge=False)
    for name, value in facts.items():
        table.add_row(name, f"{value:g}" if isinstance(value, float) else str(value))
    Console().print(table)
    return 0


def _count(problems: Iterable[Problem]) -> dict[str, Any]:
    total: Counter[str] = Counter()
    modes: Counter[str] = Counter()
    tests: Counter[str] = Counter()
    public: list[int] = []
    private: list[int] = []
    for problem in problems:
        public.append(len(problem.public_tests))
        private.append(len(problem.private_tests))
        modes[problem.mode] += 1
        tests.update(type(test).__name__ for test in problem.tests("all"))
        total["statement_chars"] += len(problem.statement)
        total["without_public_tests"] += not problem.public_tests
        total["with_correct_solutions"] += bool(problem.correct_solutions)
        total["with_incorrect_solutions"] += bool(problem.incorrect_solutions)
    count = len(public)
    return {
        "problems": count,
        **{f"mode {mode}": number for mode, number in sorted(modes.items())},
        **{f"tests {kind}": number for kind, number in sorted(tests.items())},
        "public tests, median": sorted(public)[count // 2],
        "private tests, median": sorted(private)[count // 2],
        "without public tests": total["without_public_tests"],
        "with correct solutions": total["with_correct_solutions"],
        "with incorrect solutions": total["with_incorrect_solutions"],
        "statement characters, mean": total["statement_chars"] / count,
    }


def _print_result(result: Validation, as_json: bool) -> None:
    if as_json:
        findings = [
            {
                "kind": finding.kind,
                "serious": finding.serious,
                "detail": finding.detail,
                "test": finding.test,
                "solution": finding.solution,
            }
            for finding in result.findings
        ]
        print(json.dumps({"id": result.problem.id, "good": result.good, "findings": findings}), flush=True)
        return
    for finding in result.findings:
        if finding.serious:
            print(f"{result.problem.id}: {finding.detail}", flush=True)


def _test_text(problem: Problem, test: object) -> str:
    if isinstance(test, StdioTest):
        return f"input:\n{_cut(test.input)}\nexpected output:\n{_cut(test.output)}"
    if isinstance(test, CallTest):
        arguments = [repr(value) for value in test.args] + [f"{name}={value!r}" for name, value in test.kwargs.items()]
        return _cut(f"{problem.entry_point}({', '.join(arguments)}) == {test.expected!r}")
    return _cut(getattr(test, "code", ""))


def _cut(text: str, limit: int = 2000) -> str:
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def _tracked(items: Iterable[Item], total: int, unit: str) -> Iterator[Item]:
    with Bar(unit, total) as bar:
        for number, item in enumerate(items, start=1):
            yield item
            bar.update(number)
