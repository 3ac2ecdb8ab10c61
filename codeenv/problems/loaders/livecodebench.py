"""LiveCodeBench (arXiv 2403.07974): code generation, and output prediction from code or from a statement.

Generation: fields `public_test_cases` and `private_test_cases` are the public and private tests; the private ones may be packed
as base64 of zlib of a pickle, which a restricted unpickler reads. Execution and test-output: the answer is the value that code
returns, given as the literal that a function `answer()` returns; there is no public test, so the first valid answer ends the
episode.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from keyword import iskeyword
from typing import Any

from codeenv.problems.loaders.cruxeval import answer_problem, literal
from codeenv.problems.loaders.fields import Row, decoded, text, wrong
from codeenv.problems.loaders.io_pairs import entry_of
from codeenv.problems.loaders.safe_pickle import load_plain_pickle
from codeenv.problems.loaders.tables import build
from codeenv.problems.plain import too_many_digits
from codeenv.problems.problem import CallTest, Checker, Problem, ProblemError, StdioTest, Test
from codeenv.problems.problem_set import ProblemSet
from codeenv.problems.registry import Request

__all__ = ["load_execution", "load_generation", "load_test_output"]

_LEVELS = {"easy": 0.2, "medium": 0.5, "hard": 0.8}
_MAX_UNPACKED = 1 << 30
_RELEASES = 6
"""Releases of the code generation data; each adds a file to those before it."""


def load_generation(request: Request, check: bool = True, release: str = "release_latest") -> ProblemSet:
    """Load the code generation problems of a release (`release_v1` to `release_v6`, `release_latest`)."""
    number = _RELEASES if release == "release_latest" else int(release[9:]) if re.fullmatch(r"release_v[1-9]", release) else 0
    if not 1 <= number <= _RELEASES:
        raise ProblemError(f"release is {release!r}; use release_latest or release_v1 to release_v{_RELEASES}")
    files = tuple(f"test{count if count > 1 else ''}.jsonl" for count in range(1, number + 1))
    return build(request, "livecodebench", lambda row, _: _generation(row), check=check, config=release, files=files)


def load_execution(request: Request, check: bool = True) -> ProblemSet:
    """Load the execution problems: predict what a call of a given function returns."""
    return build(request, "livecodebench-execution", lambda row, index: _execution(row, index), check=check)


def load_test_output(request: Request, check: bool = True) -> ProblemSet:
    """Load the test-output problems: predict the result for an input from the statement alone."""
    return build(request, "livecodebench-test-output", lambda row, index: _test_output(row, index), check=check)


def unpack_cases(value: Any, field: str) -> list[dict[str, Any]]:
    """Return the test cases in a list, in JSON text, or in base64 of zlib of a pickle of JSON text.

    Raises:
        ProblemError: for anything else, such as a pickle with code in it, which is not run.
    """
    if isinstance(value, str) and value.strip() and value.strip()[0] not in "[{":
        try:
            stream = zlib.decompressobj()
            data = stream.decompress(base64.b64decode(value, validate=True), _MAX_UNPACKED)
        except (binascii.Error, ValueError, zlib.error) as error:
            raise ProblemError(f"field {field!r} is neither JSON nor packed test cases ({error})") from None
        if stream.unconsumed_tail or not stream.eof:
            raise ProblemError(f"field {field!r} is truncated or unpacks to more than {_MAX_UNPACKED >> 20} MB")
        try:
            value = load_plain_pickle(data)
        except ProblemError as error:
            raise ProblemError(f"field {field!r}: {error}") from None
    cases: list[dict[str, Any]] = decoded({field: value}, field, list, "a list of test cases", [])
    for case in cases:
        if not isinstance(case, dict) or not isinstance(case.get("input"), str) or not isinstance(case.get("output"), str):
            raise ProblemError(f"field {field!r} holds a test case without the texts 'input' and 'output'")
    return cases


def _generation(row: Row) -> Problem:
    starter = text(row, "starter_code", "")
    function = _function(row)
    public = tuple(_test(case, function, "public_test_cases") for case in _cases(row, "public_test_cases"))
    private = tuple(_test(case, function, "private_test_cases") for case in _cases(row, "private_test_cases"))
    if not public and not private:
        raise ProblemError("fields 'public_test_cases' and 'private_test_cases' hold no test case")
    level = text(row, "difficulty", "")
    statement = f"{text(row, 'question_title')}\n\n{text(row, 'question_content').strip()}"
    if function:
        statement += f"\n\nUse this starter code:\n\n```python\n{starter.strip()}\n```"
    return Problem(
        id=f"LiveCodeBench/{text(row, 'question_id')}",
        statement=statement,
        mode="call" if function else "stdio",
        entry_point=entry_of(function, starter) if function else None,
        starter_code=starter,
        public_tests=public,
        private_tests=private,
        checker=Checker(numbers_alike=True),
        difficulty=_LEVELS.get(level),
        tags=tuple(str(tag) for tag in (row.get("platform"), level, str(row.get("contest_date") or "")[:10]) if tag),
        source="livecodebench",
        license="CC",
    )


def _function(row: Row) -> str | None:
    name = decoded(row, "metadata", dict, "an object", {}).get("func_name")
    if name is not None and (not isinstance(name, str) or not name.isidentifier() or iskeyword(name)):
        raise wrong("metadata.func_name", name, "a function's name")
    return name or None


def _cases(row: Row, field: str) -> list[dict[str, Any]]:
    if field not in row:
        raise ProblemError(f"field {field!r} is missing")
    return unpack_cases(row[field], field)


def _test(case: dict[str, Any], function: str | None, field: str) -> Test:
    if case.get("testtype") == "functional" or (function and "testtype" not in case):
        if not function:
            raise ProblemError("field 'metadata' has no func_name, but a test case is functional")
        try:
            return CallTest(
                tuple(json.loads(line) for line in case["input"].split("\n") if line.strip()), {}, json.loads(case["output"])
            )
        except json.JSONDecodeError as error:
            raise ProblemError(f"field {field!r}: a functional test case is not JSON ({error})") from None
        except RecursionError:
            raise ProblemError(f"field {field!r}: a functional test case is nested too deeply") from None
        except ValueError:
            raise ProblemError(f"field {field!r}: a functional test case holds {too_many_digits()}") from None
    return StdioTest(case["input"], case["output"])


def _execution(row: Row, index: int) -> Problem:
    return answer_problem(f"LiveCodeBench-execution/{text(row, 'id', '') or f'sample_{index}'}", row, "livecodebench-execution")


def _test_output(row: Row, index: int) -> Problem:
    cases = _cases(row, "test")
    if len(cases) != 1:
        raise ProblemError(f"field 'test' has {len(cases)} test cases; it must have one")
    statement = (
        f"{text(row, 'question_content').strip()}\n\nThe function is `{text(row, 'function_name')}`:\n\n"
        f"```python\n{text(row, 'starter_code').strip()}\n```\n\nIts arguments, one a line, are:\n\n{cases[0]['input']}\n\n"
        "Write a function `answer()` that returns the literal value of the result."
    )
    return Problem(
        id=f"LiveCodeBench-test-output/{text(row, 'question_id')}/{row.get('test_id', index)}",
        statement=statement,
        mode="call",
        entry_point="answer",
        private_tests=(CallTest((), {}, literal(cases[0]["output"], "test")),),
        difficulty=_LEVELS.get(text(row, "difficulty", "")),
        tags=("output-prediction",),
        source="livecodebench-test-output",
        license="CC",
    )
