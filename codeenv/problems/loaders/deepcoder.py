"""DeepCoder's training mix and PrimeIntellect's SYNTHETIC-1 rows: statements with one list of tests.

DeepCoder rows have `problem`, `solutions` and `tests` (JSON: cases with `input`, `output` and `type`, or lists of `inputs` and
`outputs`); SYNTHETIC-1 rows have `prompt`, `gold_standard_solution` and `verification_info` (JSON with `test_cases`). Neither
marks examples: public are the tests that the statement shows, or the first; private are the others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from codeenv.problems.loaders.io_pairs import entry_of, pairs_to_tests, python_source, shown_first
from codeenv.problems.loaders.tables import Row, build, text_list
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
        programs = text_list(row.get("solutions"))[:solutions]
        return _problem(row, f"DeepCoder/{subset}/{index}", row["problem"], row["tests"], programs, "deepcoder")

    return build(request, "deepcoder", convert, check=check, config=subset)


def load_primeintellect(request: Request, check: bool = True) -> ProblemSet:
    """Load code rows of SYNTHETIC-1; rows in another language than Python are left out."""

    def convert(row: Row, index: int) -> Problem | None:
        info = row["verification_info"]
        info = json.loads(info) if isinstance(info, str) else info
        if not isinstance(info, Mapping) or "test_cases" not in info:
            raise ProblemError("field 'verification_info' has no test_cases")
        if info.get("language", "python") not in ("python", None):
            return None
        gold = row.get("gold_standard_solution")
        name = f"PrimeIntellect/{row.get('problem_id', index)}"
        return _problem(row, name, row["prompt"], info["test_cases"], [gold] if gold else [], "primeintellect")

    return build(request, "primeintellect", convert, check=check)


def _problem(row: Row, name: str, statement: str, cases: Any, solutions: list[str], source: str) -> Problem | None:
    data = _pairs(cases)
    if data is None:
        return None
    tests, function = pairs_to_tests(data)
    public, private = shown_first(tests, statement)
    starter = row.get("starter_code") or ""
    text = statement.strip() + (f"\n\nUse this starter code:\n\n```python\n{starter.strip()}\n```" if starter.strip() else "")
    return Problem(
        id=name,
        statement=text,
        mode="call" if function else "stdio",
        entry_point=entry_of(function, starter or "\n".join(solutions[:1])) if function else None,
        starter_code=starter,
        public_tests=public,
        private_tests=private,
        checker=Checker(numbers_alike=True),
        source=source,
        correct_solutions=tuple(python_source(solution) for solution in solutions),
    )


def _pairs(cases: Any) -> Mapping[str, Any] | None:
    """Return the tests as lists of inputs and outputs, or `None` if there is none."""
    data = json.loads(cases) if isinstance(cases, str) and cases.strip() else cases
    if isinstance(data, Mapping):
        return data if data.get("inputs") else None
    if not data:
        return None
    kinds = {case.get("type") or case.get("testtype") for case in data}
    if len(kinds) > 1:
        raise ProblemError(f"field 'tests' mixes the types {', '.join(sorted(map(str, kinds)))}")
    calls = kinds & {"function_call", "functional"}
    names = {case.get("fn_name") or (case.get("metadata") or {}).get("func_name") for case in data}
    if calls and (len(names) != 1 or None in names):
        raise ProblemError("field 'tests' has function calls without one fn_name")
    return {
        "inputs": [case["input"] for case in data],
        "outputs": [case["output"] for case in data],
        "fn_name": names.pop() if calls else None,
    }
