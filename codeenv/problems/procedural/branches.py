"""The branches family: programs of which a run reaches one of three assignments.

    def f(p,q,r):
     if p<q:
      u=r+10
     elif p<r:
      u=-r
     else:
      u=[r]
     return u

A program chooses the first condition and an expression for each branch; the statement names them all and gives the inputs of the
public tests. Which lines run depends on the digits, values have several types, and one expression may raise. A problem's tests
reach all branches, or one alone: then the text of the other branches has no part in the verdict.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from codeenv.errors import CodeenvError
from codeenv.problems.problem import CallTest, Limits, Problem

__all__ = [
    "CONDITIONS",
    "DIGITS",
    "EXPRESSIONS",
    "RAISES",
    "BranchesProgram",
    "BranchesTask",
    "Inputs",
    "Reach",
    "Split",
    "all_programs",
    "input_domain",
    "inputs_text",
    "parse",
    "problem",
    "sample_tasks",
    "text_pieces",
    "value_of",
]

Split: TypeAlias = Literal["train", "tune", "report"]
Reach: TypeAlias = Literal["all", "one"]
Inputs: TypeAlias = tuple[int, int, int]

CONDITIONS = ("p<q", "p>q")
EXPRESSIONS = ("r+10", "-r", "[r]", "str(r)", "r>4", "r*0", "12//(r-3)")
BRANCHES = 3
PUBLIC_TESTS = 2
PRIVATE_TESTS = 4
DIGITS = range(1, 9)
RAISES = ZeroDivisionError
"""Stands for the value of an expression that raises."""

_CONDITION_WORDS = ("p below q: ", "p above q: ")
_WORDS = ("ten more than r", "minus r", "a list of r", "r as text", "whether r is above 4", "nothing of r", "12 by r less 3")
_THEN, _ELSE = "; else p below r: ", "; else: "
_LINES = ("def f(p,q,r):\n", " elif p<r:\n", " else:\n", " return u")


class BranchesProgram(NamedTuple):
    """One program of the family: the index of its first condition and of each branch's expression."""

    condition: int
    expressions: tuple[int, ...]

    @property
    def source(self) -> str:
        """The program's text.

        >>> BranchesProgram(1, (0, 1, 2)).source
        'def f(p,q,r):\\n if p>q:\\n  u=r+10\\n elif p<r:\\n  u=-r\\n else:\\n  u=[r]\\n return u'
        """
        first, second, third = (_bound(index) for index in self.expressions)
        head, middle, last, tail = _LINES
        return f"{head}{_tested(self.condition)}{first}{middle}{second}{last}{third}{tail}"

    def branch(self, inputs: Inputs) -> int:
        """Return the number of the branch that a run takes."""
        p, q, r = inputs
        first = p < q if self.condition == 0 else p > q
        return 0 if first else 1 if p < r else 2

    def covered(self, inputs: Inputs) -> frozenset[int]:
        """Return the lines on which the statements of a run start, definitions left out.

        >>> sorted(BranchesProgram(0, (0, 0, 0)).covered((2, 1, 3)))
        [2, 4, 5, 8]
        """
        branch = self.branch(inputs)
        lines = {2, 3 + 2 * branch} | ({4} if branch else set())
        return frozenset(lines if value_of(self.expressions[branch], inputs[2]) is RAISES else lines | {8})

    def answer(self, inputs: Inputs) -> Any:
        """Return what the program returns, which is the value of `u` too, or `RAISES`."""
        return value_of(self.expressions[self.branch(inputs)], inputs[2])


def value_of(expression: int, r: int) -> Any:
    """Return the value of one of `EXPRESSIONS` for a digit, or `RAISES`.

    >>> value_of(0, 3), value_of(6, 1), value_of(6, 3) is RAISES
    (13, -6, True)
    """
    if expression == 6:
        return RAISES if r == 3 else 12 // (r - 3)
    return (r + 10, -r, [r], str(r), r > 4, 0)[expression]


class BranchesTask(NamedTuple):
    """A problem: the hidden program, the split of its inputs, the branch that its tests reach (`None`: any), and their seed."""

    program: BranchesProgram
    split: Split
    branch: int | None
    number: int

    @property
    def id(self) -> str:
        chosen = "".join(map(str, (self.program.condition, *self.program.expressions)))
        return f"branches/{'all' if self.branch is None else self.branch}/{self.split}/{chosen}/{self.number}"

    @property
    def inputs(self) -> tuple[Inputs, ...]:
        """The six distinct inputs of the tests, public ones first, for none of which the hidden program raises."""
        return _inputs(self.program, self.split, self.branch, self.number)

    @property
    def statement(self) -> str:
        first, second, third = (_WORDS[index] for index in self.program.expressions)
        shown = "".join(f"; {inputs_text(inputs)}" for inputs in self.inputs[:PUBLIC_TESTS])
        return f"{_CONDITION_WORDS[self.program.condition]}{first}{_THEN}{second}{_ELSE}{third}{shown}"


def inputs_text(inputs: Inputs) -> str:
    """Return inputs as keyword arguments.

    >>> inputs_text((3, 1, 4))
    'p=3,q=1,r=4'
    """
    return ",".join(f"{name}={value}" for name, value in zip("pqr", inputs, strict=True))


def parse(problem_id: str) -> BranchesTask:
    """Return the task of a problem id of this family; `problem(parse(id))` is the problem again.

    Raises:
        CodeenvError: for an id of another shape.
    """
    try:
        family, branch, split, chosen, number = problem_id.split("/")
        condition, *expressions = map(int, chosen)
        program = BranchesProgram(condition, tuple(expressions))
        known = split in get_args(Split) and branch in ("all", *map(str, range(BRANCHES)))
        if family != "branches" or not known or program not in all_programs():
            raise ValueError
        return BranchesTask(program, split, None if branch == "all" else int(branch), int(number))  # type: ignore[arg-type]
    except ValueError:
        raise CodeenvError(
            f"{problem_id!r} is not a problem of the branches family; ids look like 'branches/all/train/0123/17'"
        ) from None


@functools.cache
def all_programs() -> tuple[BranchesProgram, ...]:
    """Return the 686 programs in a fixed order."""
    choices = itertools.product(range(len(EXPRESSIONS)), repeat=BRANCHES)
    return tuple(BranchesProgram(condition, chosen) for chosen in choices for condition in range(len(CONDITIONS)))


def sample_tasks(split: Split, count: int, seed: int, reach: Reach = "all") -> list[BranchesTask]:
    """Draw tasks of a split; the same arguments give the same tasks on every machine.

    Args:
        split: whose inputs the tests use.
        count: how many.
        seed: of the draws.
        reach: whether a task's tests reach any branch, or `one`, drawn for each task.

    Raises:
        CodeenvError: for a split or reach of another name.
    """
    if split not in get_args(Split) or reach not in get_args(Reach):
        raise CodeenvError(f"split is {split!r} and reach {reach!r}; use train, tune or report, and all or one")
    generator = np.random.default_rng([seed, get_args(Split).index(split), get_args(Reach).index(reach)])
    programs = generator.integers(len(all_programs()), size=count)
    branches = generator.integers(BRANCHES, size=count)
    numbers = generator.integers(0, 1 << 40, size=count)
    return [
        BranchesTask(all_programs()[program], split, None if reach == "all" else int(branch), int(number))
        for program, branch, number in zip(programs, branches, numbers, strict=True)
    ]


def problem(task: BranchesTask) -> Problem:
    """Return the problem that an agent sees: 2 public and 4 private calls."""
    tests = tuple(CallTest(inputs, {}, task.program.answer(inputs)) for inputs in task.inputs)
    return Problem(
        id=task.id,
        statement=task.statement,
        mode="call",
        entry_point="f",
        public_tests=tests[:PUBLIC_TESTS],
        private_tests=tests[PUBLIC_TESTS:],
        limits=Limits(time_limit_s=1.0),
        tags=("branches",),
        source="codeenv branches family",
        license="Apache-2.0",
        correct_solutions=(task.program.source,),
    )


@functools.cache
def input_domain() -> tuple[Inputs, ...]:
    """Return every argument tuple that a test of the family can use: 336 arrangements of three digits from 1 to 8."""
    return tuple(itertools.permutations(DIGITS, 3))


def split_of(inputs: Inputs) -> Split:
    """Return the split of an input, decided by the hash of its text: about 60, 20 and 20 percent."""
    bucket = int(hashlib.md5(inputs_text(inputs).encode(), usedforsecurity=False).hexdigest(), 16) % 100
    return "train" if bucket < 60 else "tune" if bucket < 80 else "report"


def text_pieces() -> tuple[str, ...]:
    """Return words of statements, lines of programs, inputs and values: what a tokenizer of the family has one token for."""
    named = tuple(f"{name}={digit}{comma}" for name, comma in (("p", ","), ("q", ","), ("r", "")) for digit in DIGITS)
    lines = (*map(_tested, range(len(CONDITIONS))), *map(_bound, range(len(EXPRESSIONS))), *_LINES)
    values = {repr(value_of(index, digit)) for index in range(len(EXPRESSIONS)) for digit in DIGITS} - {repr(RAISES)}
    return (*_CONDITION_WORDS, *_WORDS, _THEN, _ELSE, "; ", *lines, *named, *sorted(values))


def _tested(condition: int) -> str:
    return f" if {CONDITIONS[condition]}:\n"


def _bound(expression: int) -> str:
    return f"  u={EXPRESSIONS[expression]}\n"


@functools.lru_cache(maxsize=1 << 15)
def _inputs(program: BranchesProgram, split: Split, branch: int | None, number: int) -> tuple[Inputs, ...]:
    domain = [inputs for inputs in _split_domain(split) if program.answer(inputs) is not RAISES]
    if branch is not None:
        domain = [inputs for inputs in domain if program.branch(inputs) == branch]
    chosen: list[Inputs] = []
    state = number
    while len(chosen) < PUBLIC_TESTS + PRIVATE_TESTS:
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)  # Knuth's linear congruential generator
        inputs = domain[(state >> 33) % len(domain)]
        if inputs not in chosen:
            chosen.append(inputs)
    return tuple(chosen)


@functools.cache
def _split_domain(split: Split) -> tuple[Inputs, ...]:
    return tuple(inputs for inputs in input_domain() if split_of(inputs) == split)
