"""The values family: straight-line programs of four digits, in which only the values of a failing test help.

A program picks one of four digits by name or by comparison, as in

    def f(p,q,r,s):
     u=max(p,q)
     return u

Every program has one signature and returns one digit, so that neither the type nor the form of an expected output says anything.
A statement says which pick is meant or leaves it open, and always gives the inputs of the public tests. Operators read their
operands by name and only compare them, so that a small model can learn to execute them. There are few programs; inputs are held
out: a split is a share of the arrangements of digits.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from codeenv.errors import CodeenvError
from codeenv.problems.problem import CallTest, Limits, Problem

__all__ = [
    "DIGITS",
    "PICKS",
    "Inputs",
    "Split",
    "ValuesProgram",
    "ValuesTask",
    "all_programs",
    "input_domain",
    "inputs_text",
    "parse",
    "posterior_solve_rate",
    "problem",
    "sample_tasks",
    "text_pieces",
]

Split: TypeAlias = Literal["train", "tune", "report"]
Inputs: TypeAlias = tuple[int, int, int, int]

PICKS = ("p", "q", "r", "s", "max(p,q)", "min(p,q)", "max(r,s)", "min(r,s)")

PUBLIC_TESTS = 2
PRIVATE_TESTS = 4
DIGITS = range(1, 7)

_WORDS = (
    "p itself", "q itself", "r itself", "s itself",
    "the larger of p and q", "the smaller of p and q", "the larger of r and s", "the smaller of r and s",
)  # fmt: skip
_OPEN = "some number"
_HEAD, _LINE, _TAIL = "def f(p,q,r,s):\n", " u=", "\n return u"


class ValuesProgram(NamedTuple):
    """One program of the family, as the index of its pick."""

    pick: int

    @property
    def source(self) -> str:
        """The program's text.

        >>> ValuesProgram(4).source
        'def f(p,q,r,s):\\n u=max(p,q)\\n return u'
        """
        return f"{_HEAD}{_LINE}{PICKS[self.pick]}{_TAIL}"

    def answer(self, inputs: Inputs) -> int:
        """Return what the program returns, which is the value of `u` too."""
        p, q, r, s = inputs
        return (p, q, r, s, max(p, q), min(p, q), max(r, s), min(r, s))[self.pick]


class ValuesTask(NamedTuple):
    """A problem of the family: the hidden program, the split of its inputs, the number that seeds them, and how it is stated."""

    program: ValuesProgram
    split: Split
    number: int
    stated: bool = False

    @property
    def id(self) -> str:
        return f"values/{'stated' if self.stated else 'open'}/{self.split}/{self.program.pick}/{self.number}"

    @property
    def inputs(self) -> tuple[Inputs, ...]:
        """The six distinct inputs of the tests, public ones first; each is four distinct digits from 1 to 6."""
        return _inputs(self.split, self.number)

    @property
    def statement(self) -> str:
        shown = "".join(f"; {inputs_text(inputs)}" for inputs in self.inputs[:PUBLIC_TESTS])
        return (_WORDS[self.program.pick] if self.stated else _OPEN) + shown


def inputs_text(inputs: Inputs) -> str:
    """Return inputs as keyword arguments.

    >>> inputs_text((3, 1, 4, 6))
    'p=3,q=1,r=4,s=6'
    """
    return ",".join(f"{name}={value}" for name, value in zip("pqrs", inputs, strict=True))


def parse(problem_id: str) -> ValuesTask:
    """Return the task of a problem id of this family; `problem(parse(id))` is the problem again.

    Raises:
        CodeenvError: for an id of another shape.
    """
    try:
        family, form, split, pick, number = problem_id.split("/")
        if (
            family != "values"
            or form not in ("stated", "open")
            or split not in get_args(Split)
            or int(pick) not in range(len(PICKS))
        ):
            raise ValueError
        return ValuesTask(ValuesProgram(int(pick)), split, int(number), form == "stated")  # type: ignore[arg-type]
    except ValueError:
        raise CodeenvError(
            f"{problem_id!r} is not a problem of the values family; ids look like 'values/open/train/6/17'"
        ) from None


@functools.cache
def all_programs() -> tuple[ValuesProgram, ...]:
    """Return the 8 programs in a fixed order."""
    return tuple(map(ValuesProgram, range(len(PICKS))))


def split_of(inputs: Inputs) -> Split:
    """Return the split of an input, decided by the hash of its text: about 60, 20 and 20 percent."""
    bucket = int(hashlib.md5(inputs_text(inputs).encode(), usedforsecurity=False).hexdigest(), 16) % 100
    return "train" if bucket < 60 else "tune" if bucket < 80 else "report"


def sample_tasks(split: Split, count: int, seed: int) -> list[ValuesTask]:
    """Draw tasks of a split; the same arguments give the same tasks on every machine.

    Raises:
        CodeenvError: for a split of another name.
    """
    if split not in get_args(Split):
        raise CodeenvError(f"there is no split {split!r} of the values family; use train, tune or report")
    generator = np.random.default_rng([seed, get_args(Split).index(split)])
    picks = generator.integers(len(PICKS), size=count)
    numbers = generator.integers(0, 1 << 40, size=count)
    return [ValuesTask(ValuesProgram(int(pick)), split, int(number)) for pick, number in zip(picks, numbers, strict=True)]


def problem(task: ValuesTask) -> Problem:
    """Return the problem that an agent sees: 2 public and 4 private calls, one whole number expected."""
    tests = tuple(CallTest(inputs, {}, task.program.answer(inputs)) for inputs in task.inputs)
    return Problem(
        id=task.id,
        statement=task.statement,
        mode="call",
        entry_point="f",
        public_tests=tests[:PUBLIC_TESTS],
        private_tests=tests[PUBLIC_TESTS:],
        limits=Limits(time_limit_s=1.0),
        tags=("values",),
        source="codeenv values family",
        license="Apache-2.0",
        correct_solutions=(task.program.source,),
    )


@functools.cache
def input_domain() -> tuple[Inputs, ...]:
    """Return every argument tuple that a test of the family can use: 360 arrangements of four digits from 1 to 6."""
    return tuple(itertools.permutations(DIGITS, 4))


def text_pieces() -> tuple[str, ...]:
    """Return the words of statements, programs and inputs: what a tokenizer of the family should know as one token each."""
    named = tuple(f"{name}={digit}{comma}" for name, comma in (("p", ","), ("q", ","), ("r", ","), ("s", "")) for digit in DIGITS)
    return (*_WORDS, _OPEN, _HEAD, *(f"{_LINE}{pick}" for pick in PICKS), _TAIL, *named, "; ")


def posterior_solve_rate(tasks: Sequence[ValuesTask], turns: int = 3, seed: int = 0, informed: bool = True) -> float:
    """Return the solve rate of uniform guesses among the programs, without repetition.

    Args:
        tasks: the problems.
        turns: guesses per problem; guessing stops at the first that passes the public tests.
        seed: of the guesses.
        informed: drop programs that disagree with the failing tests shown so far; off, this is the blind reference that no
            method without the feedback's content beats in expectation.
    """
    generator = np.random.default_rng(seed)
    return float(np.mean([_guess(task, turns, generator, informed) for task in tasks]))


def _guess(task: ValuesTask, turns: int, generator: np.random.Generator, informed: bool) -> bool:
    hidden = task.program
    fitting = list(all_programs())
    for _ in range(turns):
        guess = fitting.pop(int(generator.integers(len(fitting))))
        shown = next((item for item in task.inputs[:PUBLIC_TESTS] if guess.answer(item) != hidden.answer(item)), None)
        if shown is None:
            return all(guess.answer(item) == hidden.answer(item) for item in task.inputs)
        if informed:
            fitting = [other for other in fitting if other.answer(shown) == hidden.answer(shown)]
    return False


@functools.lru_cache(maxsize=1 << 15)
def _inputs(split: Split, number: int) -> tuple[Inputs, ...]:
    domain = _split_domain(split)
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
