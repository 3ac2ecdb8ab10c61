"""The values family: straight-line programs of three digits, in which only the values of a failing test help.

A program picks a number `u` from its inputs (slot A) and adds an offset (slot K), as in

    def f(p,q,r):
     u=max(p,q)
     v=u+2
     return v

Every program has one signature and returns one whole number, so that neither the type nor the form of an expected output says
anything. A statement names one slot or none, and always gives the inputs of the public tests. Operators read their operands by
name, so that a small model can learn to execute them. Programs, not statements, are held out: a split is a share of the programs.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from codeenv.errors import CodeenvError
from codeenv.problems.problem import CallTest, Limits, Problem

__all__ = [
    "MASKS",
    "OFFSETS",
    "PICKS",
    "Split",
    "ValuesProgram",
    "ValuesTask",
    "all_programs",
    "candidates",
    "input_domain",
    "inputs_text",
    "parse",
    "posterior_solve_rate",
    "problem",
    "sample_tasks",
    "text_pieces",
]

Split: TypeAlias = Literal["train", "tune", "report"]
Inputs: TypeAlias = tuple[int, int, int]

PICKS = (
    "p", "q", "r", "p+q", "p+r", "q+r",
    "max(p,q)", "max(p,r)", "max(q,r)", "min(p,q)", "min(p,r)", "min(q,r)",
)  # fmt: skip
OFFSETS = (-3, -2, -1, 0, 1, 2, 3)

MASKS: Mapping[str, float] = {"A": 0.4, "K": 0.2, "AK": 0.4}
"""The vague slots of a statement, and how often each set of them is asked."""

PUBLIC_TESTS = 2
PRIVATE_TESTS = 4

_PICK_WORDS = (
    "p itself", "q itself", "r itself", "p and q together", "p and r together", "q and r together",
    "the larger of p and q", "the larger of p and r", "the larger of q and r",
    "the smaller of p and q", "the smaller of p and r", "the smaller of q and r",
)  # fmt: skip
_OFFSET_WORDS = (" minus three", " minus two", " minus one", " as it is", " plus one", " plus two", " plus three")
_VAGUE = {"A": "some number", "K": " adjusted"}
_HEAD, _MIDDLE, _TAIL = "def f(p,q,r):\n u=", "\n v=u", "\n return v"


class ValuesProgram(NamedTuple):
    """One program of the family, as the indices of its two slot values."""

    pick: int
    offset: int

    @property
    def source(self) -> str:
        """The program's text.

        >>> ValuesProgram(6, 5).source
        'def f(p,q,r):\\n u=max(p,q)\\n v=u+2\\n return v'
        """
        return f"{_HEAD}{PICKS[self.pick]}{_MIDDLE}{OFFSETS[self.offset]:+d}{_TAIL}"

    def picked(self, inputs: Inputs) -> int:
        """Return the value of `u`."""
        p, q, r = inputs
        pairs = ((p, q), (p, r), (q, r))
        return (p, q, r, *map(sum, pairs), *map(max, pairs), *map(min, pairs))[self.pick]

    def answer(self, inputs: Inputs) -> int:
        """Return what the program returns."""
        return self.picked(inputs) + OFFSETS[self.offset]


class ValuesTask(NamedTuple):
    """A problem of the family: the hidden program, the vague slots and the number that seeds its test inputs."""

    program: ValuesProgram
    mask: str
    number: int

    @property
    def id(self) -> str:
        return f"values/{self.mask}/{self.program.pick}.{self.program.offset}/{self.number}"

    @property
    def inputs(self) -> tuple[Inputs, ...]:
        """The six distinct inputs of the tests, public ones first; each is three distinct digits."""
        return _inputs(self.number)

    @property
    def statement(self) -> str:
        pick = _VAGUE["A"] if "A" in self.mask else _PICK_WORDS[self.program.pick]
        offset = _VAGUE["K"] if "K" in self.mask else _OFFSET_WORDS[self.program.offset]
        return pick + offset + "".join(f"; {inputs_text(inputs)}" for inputs in self.inputs[:PUBLIC_TESTS])


def inputs_text(inputs: Inputs) -> str:
    """Return inputs as keyword arguments.

    >>> inputs_text((3, 1, 4))
    'p=3,q=1,r=4'
    """
    return ",".join(f"{name}={value}" for name, value in zip("pqr", inputs, strict=True))


def parse(problem_id: str) -> ValuesTask:
    """Return the task of a problem id of this family; `problem(parse(id))` is the problem again.

    Raises:
        CodeenvError: for an id of another shape.
    """
    try:
        family, mask, slots, number = problem_id.split("/")
        pick, offset = map(int, slots.split("."))
        if family != "values" or mask not in MASKS or not (0 <= pick < len(PICKS) and 0 <= offset < len(OFFSETS)):
            raise ValueError
        return ValuesTask(ValuesProgram(pick, offset), mask, int(number))
    except ValueError:
        raise CodeenvError(f"{problem_id!r} is not a problem of the values family; ids look like 'values/AK/6.5/17'") from None


@functools.cache
def all_programs() -> tuple[ValuesProgram, ...]:
    """Return the 84 programs in a fixed order."""
    return tuple(ValuesProgram(pick, offset) for pick in range(len(PICKS)) for offset in range(len(OFFSETS)))


def split_of(program: ValuesProgram) -> Split:
    """Return the split of a program, decided by the hash of its source: about 60, 20 and 20 percent."""
    bucket = int(hashlib.md5(program.source.encode(), usedforsecurity=False).hexdigest(), 16) % 100
    return "train" if bucket < 60 else "tune" if bucket < 80 else "report"


def candidates(program: ValuesProgram, mask: str) -> tuple[ValuesProgram, ...]:
    """Return every program that fits the statement of `program` under `mask`."""
    return tuple(
        other
        for other in all_programs()
        if ("A" in mask or other.pick == program.pick) and ("K" in mask or other.offset == program.offset)
    )


def sample_tasks(split: Split, count: int, seed: int) -> list[ValuesTask]:
    """Draw tasks of a split; the same arguments give the same tasks on every machine.

    Raises:
        CodeenvError: for a split of another name.
    """
    if split not in get_args(Split):
        raise CodeenvError(f"there is no split {split!r} of the values family; use train, tune or report")
    generator = np.random.default_rng([seed, get_args(Split).index(split)])
    pool = [program for program in all_programs() if split_of(program) == split]
    names = tuple(MASKS)
    masks = generator.choice(len(names), size=count, p=list(MASKS.values()))
    picks = generator.integers(len(pool), size=count)
    numbers = generator.integers(0, 1 << 40, size=count)
    return [ValuesTask(pool[pick], names[mask], int(number)) for pick, mask, number in zip(picks, masks, numbers, strict=True)]


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
        tags=("values", task.mask),
        source="codeenv values family",
        license="Apache-2.0",
        correct_solutions=(task.program.source,),
    )


def input_domain() -> tuple[Inputs, ...]:
    """Return every argument tuple that a test of the family can use: 720 triples of distinct digits."""
    return tuple(itertools.permutations(range(10), 3))


def text_pieces() -> tuple[str, ...]:
    """Return the words of statements, programs and inputs: what a tokenizer of the family should know as one token each."""
    named = tuple(f"{name}={digit}{comma}" for name, comma in (("p", ","), ("q", ","), ("r", "")) for digit in range(10))
    signed = tuple(f"{offset:+d}" for offset in OFFSETS)
    numbers = tuple(str(number) for number in range(-3, 21))
    return (*_PICK_WORDS, *_OFFSET_WORDS, *_VAGUE.values(), _HEAD, _MIDDLE, _TAIL, *PICKS, *signed, *numbers, *named, "; ")


def posterior_solve_rate(
    tasks: Sequence[ValuesTask], turns: int = 3, seed: int = 0, informed: bool = True, split: Split | None = None
) -> float:
    """Return the solve rate of uniform guesses among the fitting programs, without repetition.

    Args:
        tasks: the problems.
        turns: guesses per problem; guessing stops at the first that passes the public tests.
        seed: of the guesses.
        informed: drop programs that disagree with the failing tests shown so far; off, this is the blind reference that no
            method without the feedback's content beats in expectation.
        split: guess programs of this split alone, `None` all.
    """
    generator = np.random.default_rng(seed)
    return float(np.mean([_guess(task, turns, generator, informed, split) for task in tasks]))


def _guess(task: ValuesTask, turns: int, generator: np.random.Generator, informed: bool, split: Split | None) -> bool:
    hidden = task.program
    fitting = [other for other in candidates(hidden, task.mask) if split is None or split_of(other) == split]
    for _ in range(min(turns, len(fitting))):
        guess = fitting.pop(int(generator.integers(len(fitting))))
        shown = next((item for item in task.inputs[:PUBLIC_TESTS] if guess.answer(item) != hidden.answer(item)), None)
        if shown is None:
            return all(guess.answer(item) == hidden.answer(item) for item in task.inputs)
        if informed:
            fitting = [other for other in fitting if other.answer(shown) == hidden.answer(shown)]
    return False


@functools.lru_cache(maxsize=1 << 15)
def _inputs(number: int) -> tuple[Inputs, ...]:
    chosen: list[Inputs] = []
    state = number
    while len(chosen) < PUBLIC_TESTS + PRIVATE_TESTS:
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)  # Knuth's linear congruential generator
        code = (state >> 33) % 1000
        digits = (code // 100, code // 10 % 10, code % 10)
        if len(set(digits)) == 3 and digits not in chosen:
            chosen.append(digits)
    return tuple(chosen)
