"""DeepCoder's training mix and PrimeIntellect's SYNTHETIC-1 rows: statements with one list of tests.

DeepCoder rows have `problem`, `solutions` and `tests` (JSON: cases with `input`, `output` and `type`, or lists of `inputs` and
`outputs`); SYNTHETIC-1 rows have `prompt`, `gold_standard_solution` and `verification_info` (JSON with `test_cases`). Neither
marks examples: public are the tests that the statement shows, or the first; private are the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codeenv.problems.loaders.fields import Row, decoded, text, texts, wrong
from codeenv.problems.loaders.io_pairs import entry_of, pairs_to_tests, python_source, shown_first
from codeenv.problems.loaders.tables import build
from codeenv.problems.problem import Checker, Problem, ProblemError
from codeenv.problems.problem_set import ProblemSet
from codeenv.problems.registry import Request

__all__ = ["load_deepcoder", "load_primeintellect"]

_SUBSETS = ("codeforces", "lcbv5", "primeintellect", "taco")


def load_deepcoder(request: Request, check: bool = True, subset: str = "primeintellect", solutions: int = 3) -> ProblemSet:
    """Load a subset of DeepCoder's data; `solutions` is how many solutions each problem keeps."""
    if subset not in _SUBSETS:
        raise ProblemError(f"subset is {subset!r}; use one of {', '.join(_SUBSETS)}")

    def convert(row: Row, index: int) -> Problem | None:
        programs = texts(row, "solutions", ())[:solutions]
        cases = decoded(row, "tests", (list, dict), "a list of test cases", [])
        return _problem(row, f"DeepCoder/{subset}/{index}", text(row, "problem"), "tests", cases, programs, "deepcoder")

    return build(request, "deepcoder", convert, check=check, config=subset)


def load_primeintellect(request: Request, check: bool = True) -> ProblemSet:
    """Load code rows of SYNTHETIC-1; rows in another language than Python are left out."""

    def convert(row: Row, index: int) -> Problem | None:
        info = decoded(row, "verification_info", dict, "an object with test_cases")
        if "test_cases" not in info:
            raise ProblemError("field 'verification_info' has no test_cases")
        if info.get("language", "python") not in ("python", None):
            return None
        cases = decoded(info, "test_cases", (list, dict), "a list of test cases", [])
        gold = text(row, "gold_standard_solution", "")
        name = row.get("problem_id", index)
        if isinstance(name, bool) or not isinstance(name, (int, str)):
            raise wrong("problem_id", name, "a number or a text")
        field = "verification_info"
        return _problem(
            row, f"PrimeIntellect/{name}", text(row, "prompt"), field, cases, [gold] if gold else [], "primeintellect"
        )

    return build(request, "primeintellect", convert, check=check)


def _problem(row: Row, name: str, statement: str, field: str, cases: Any, solutions: list[str], source: str) -> Problem | None:
    data = _pairs(cases, field)
    if data is None:
        return None
    tests, function = pairs_to_tests(data, field)
    public, private = shown_first(tests, statement)
    starter = text(row, "starter_code", "")
    shown = statement.strip() + (f"\n\nUse this starter code:\n\n```python\n{starter.strip()}\n```" if starter.strip() else "")
    return Problem(
        id=name,
        statement=shown,
        mode="call" if function else "stdio",
        entry_point=entry_of(function, starter or "\n".join(solutions[:1])) if function else None,
        starter_code=starter,
        public_tests=public,
        private_tests=private,
        checker=Checker(numbers_alike=True),
        source=source,
        correct_solutions=tuple(python_source(solution) for solution in solutions),
    )


def _pairs(data: Any, field: str) -> Mapping[str, Any] | None:
    """Return the tests as lists of inputs and outputs, or `None` if there is none."""
    if isinstance(data, Mapping):
        return data if data.get("inputs", True) else None
    if not data:
        return None
    for case in data:
        if not isinstance(case, Mapping) or "input" not in case or "output" not in case:
            raise wrong(field, case, "a list of test cases with 'input' and 'output'")
    kinds = {_kind(case) for case in data}
    if len(kinds) > 1:
        raise ProblemError(f"field {field!r} mixes the types {', '.join(sorted(kinds))}")
    calls = kinds & {"function_call", "functional"}
    names = {_function(case) for case in data}
    if calls and (len(names) != 1 or None in names):
        raise ProblemError(f"field {field!r} has function calls without one fn_name")
    return {
        "inputs": [case["input"] for case in data],
        "outputs": [case["output"] for case in data],
        "fn_name": names.pop() if calls else None,
    }


def _kind(case: Mapping[str, Any]) -> str:
    return str(case.get("type") or case.get("testtype") or "")


def _function(case: Mapping[str, Any]) -> str | None:
    metadata = case.get("metadata")
    name = case.get("fn_name") or (metadata.get("func_name") if isinstance(metadata, Mapping) else None)
    return str(name) if name else None
