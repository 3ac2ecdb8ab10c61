"""`codeenv judge`: judge a program against a problem."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from codeenv.errors import CodeenvError
from codeenv.feedback import describe_failure
from codeenv.judge import Judge, Report, Verdict
from codeenv.problems import Problem
from codeenv.problems.languages import language_of_file


def main(
    problem: tyro.conf.Positional[str],
    code: tyro.conf.Positional[str],
    tests: Literal["public", "private", "all"] = "all",
    sandbox: str = "local",
    isolation: Literal["test", "batch"] = "test",
    interpreter: str | None = None,
    trusted: bool = False,
    language: str | None = None,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """Judge a program against a problem; exit status 0 if accepted, 1 if not, 2 for bad input, 3 for a judge error.

    The program's language is the problem's; --language says another, and a problem without one takes it from the file's suffix.

    Example: codeenv judge problem.json solution.cpp --json

    Args:
        problem: file with one problem as JSON (see `codeenv problems`).
        code: file with the program, or - for standard input.
        tests: which tests to run.
        sandbox: isolation level: local, namespaces, landlock, rlimits or docker.
        isolation: test (a process for each test) or batch (one process for all).
        interpreter: path of the CPython (3.9 or newer) that runs the program.
        trusted: the program is trusted; needed for the level rlimits.
        language: the program's language.
        as_json: print the report as JSON.
    """
    row = _row(problem)
    if isinstance(row, dict) and (language or "language" not in row):
        found = language_of_file(code)
        chosen = language or (found.name if found is not None and row.get("mode") == "stdio" else None)
        row = {**row, **({"language": chosen} if chosen else {})}
    asked = Problem.from_dict(row)  # type: ignore[arg-type]
    source = _source(code)
    with Judge(sandbox=sandbox, workers=1, isolation=isolation, interpreter=interpreter, trusted=trusted) as judge:
        report = judge.judge(asked, source, tests=tests)
    print(json.dumps(report.to_dict(), ensure_ascii=False) if as_json else _shown(asked, report))
    if report.verdict is Verdict.JUDGE_ERROR:
        return 3
    return 0 if report.accepted else 1


def _row(path: str) -> object:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise CodeenvError(f"the problem file {path!r} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise CodeenvError(f"the problem file {path!r} is not one JSON object in UTF-8: {error}") from None
    except RecursionError:
        raise CodeenvError(f"the problem file {path!r} is nested too deeply; it must be one problem") from None


def _source(path: str) -> str:
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise CodeenvError(f"the program {path!r} cannot be read: {error.strerror}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CodeenvError(f"the program {path!r} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None


def _shown(problem: Problem, report: Report) -> str:
    passed = len(report.results) - len(report.failed)
    lines = [f"{report.problem_id}: {report.verdict.value} ({passed} of {len(report.results)} tests passed, {report.isolation})"]
    if report.error:
        lines += ["    " + line for line in report.error.splitlines()]
    for result in report.results:
        kind = "public" if result.public else "private"
        resources = f"{result.time_s * 1000:.0f} ms CPU, {result.memory_mb:.0f} MiB"
        lines.append(f"  test {result.index} ({kind}): {result.verdict.value}, {resources}")
        if result.verdict is not Verdict.ACCEPTED:
            lines += ["      " + line for line in describe_failure(problem, result).splitlines()[1:]]
    return "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in "\n".join(lines))
