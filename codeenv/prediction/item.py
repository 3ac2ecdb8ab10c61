"""A prediction item: a program, an input, and what is asked about the run. The truth stays in the item, never in its prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from codeenv.errors import CodeenvError
from codeenv.problems import CallTest, Problem, StdioTest
from codeenv.problems.plain import from_json, to_json

__all__ = ["KINDS", "Kind", "PredictionItem", "call_text"]

Kind: TypeAlias = Literal["state", "exception", "output", "input", "test_output", "repair"]
"""What is asked.

- `state`: the output and the final values of some variables (CodeRL+, arXiv 2510.18471)
- `exception`: the type and the line of the exception that ends the run
- `output`: the output alone (as in CRUXEval-O)
- `input`: any input that gives the output (as in CRUXEval-I); the answer is run
- `test_output`: the output that a right program would give, from the statement alone
- `repair`: a masked line of the program, given input and output (as in CodeBoost, arXiv 2508.05242); the answer is run
"""

KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class PredictionItem:
    """One question about one run.

    Attributes:
        id: unique name.
        kind: what is asked.
        problem: the problem that the program was written for; only its public tests may be used.
        code: the program; with a masked line for `repair`; "" for `test_output`.
        test: the public test whose input is used.
        output: what the program printed (text, stdio) or returned (plain value, call).
        names: the variables that are asked for, such as `f.total` or `total` (module level).
        values: their true final values, plain.
        exception: type and 1-based line, for kind `exception`.
        masked: the masked lines, for kind `repair`.
        passed: whether the program passed the test (`None` if unknown).
    """

    id: str
    kind: Kind
    problem: Problem
    code: str
    test: StdioTest | CallTest
    output: Any = None
    names: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    exception: tuple[str, int] | None = None
    masked: tuple[str, ...] = ()
    passed: bool | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise CodeenvError(f"item kind is {self.kind!r}; use one of {', '.join(KINDS)}")
        if self.test not in self.problem.public_tests:
            raise CodeenvError(f"item {self.id!r}: its test is not a public test of {self.problem.id!r}; use public tests only")
        if missing := [name for name in self.names if name not in self.values]:
            raise CodeenvError(f"item {self.id!r}: the variable {missing[0]!r} has no true value; give it in values")
        if self.kind == "exception" and self.exception is None:
            raise CodeenvError(f"item {self.id!r}: kind 'exception' needs the exception's type and line")
        if self.kind == "repair":
            lines = self.code.split("\n")
            marks = [f"MASKED_LINE_{number}" for number in range(1, len(self.masked) + 1)]
            if not marks or any(lines.count(mark) != 1 for mark in marks):
                raise CodeenvError(
                    f"item {self.id!r}: kind 'repair' needs masked lines, each a line MASKED_LINE_1, MASKED_LINE_2, ... of the "
                    f"code; it has {len(self.masked)}; make it with codeenv.prediction.repair.mask_lines"
                )

    @property
    def input_text(self) -> str:
        """The input as shown: standard input, or the call."""
        if isinstance(self.test, StdioTest):
            return self.test.input
        return call_text(self.problem.entry_point or "f", self.test)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON row that `from_dict` reads back; private tests and solutions are left out."""
        problem = self.problem.to_dict()
        problem |= {"private_tests": [], "correct_solutions": [], "incorrect_solutions": []}
        return {
            "id": self.id,
            "kind": self.kind,
            "problem": problem,
            "code": self.code,
            "test": self.problem.public_tests.index(self.test),
            "output": to_json(self.output),
            "names": list(self.names),
            "values": {name: to_json(value) for name, value in self.values.items()},
            "exception": list(self.exception) if self.exception else None,
            "masked": list(self.masked),
            "passed": self.passed,
        }

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> PredictionItem:
        """Build an item from its JSON row.

        Raises:
            CodeenvError: if a field is missing or malformed.
        """
        try:
            problem = Problem.from_dict(row["problem"])
            test = problem.public_tests[row["test"]]
            if not isinstance(test, (StdioTest, CallTest)):
                raise CodeenvError(f"item {row['id']!r}: its test has no input to show")
            error = row.get("exception")
            return cls(
                id=row["id"],
                kind=row["kind"],
                problem=problem,
                code=row["code"],
                test=test,
                output=from_json(row["output"]),
                names=tuple(row.get("names", ())),
                values={name: from_json(value) for name, value in row.get("values", {}).items()},
                exception=(str(error[0]), int(error[1])) if error else None,
                masked=tuple(row.get("masked", ())),
                passed=row.get("passed"),
            )
        except (KeyError, IndexError, TypeError) as error_found:
            raise CodeenvError(
                f"a prediction item is malformed: {error_found!r}; write items with PredictionItem.to_dict"
            ) from None


def call_text(entry_point: str, test: CallTest) -> str:
    """Return the call that a test makes, as Python.

    >>> call_text("f", CallTest((1, [2]), {"k": "x"}))
    "f(1, [2], k='x')"
    """
    keywords = [f"{name}={value!r}" for name, value in test.kwargs.items()]
    return f"{entry_point}({', '.join([*map(repr, test.args), *keywords])})"
