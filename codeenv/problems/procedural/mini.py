"""The miniature family: 3,600 one-line functions of two digits, described only in part, so that feedback must say the rest.

A program has four slots: the input form F, the tag T, the operator O and the offset K, as in
`def f(p):a,b=p;return 'kg',a-b+2`. A statement names some slots and leaves the others vague (the problem's mask); several
programs then fit the statement and only the failing public test tells which one is meant. A problem belongs to a split (train,
tune, report) only when the hashes of its program and of its statement both fall there: whole programs and whole statements are
held out.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from codeenv.errors import CodeenvError
from codeenv.problems.problem import CallTest, Limits, Problem

__all__ = [
    "FORMS",
    "MASKS",
    "OFFSETS",
    "OPERATORS",
    "TAGS",
    "MiniTask",
    "Program",
    "Split",
    "all_programs",
    "bayes_solve_rate",
    "blind_ceiling",
    "candidates",
    "inputs_of",
    "parse",
    "problem",
    "sample_tasks",
    "statement_of",
    "text_pieces",
]

Split: TypeAlias = Literal["train", "tune", "report"]

TAGS = (
    "cm", "kg", "mi", "ft", "oz", "lb", "km", "hr", "ms", "px", "dB", "pt", "Hz", "qt", "gal",
    "mol", "rad", "lux", "amp", "bar", "rpm", "psi", "yd", "cal", "ohm", "mV", "kW", "Nm", "st", "ml",
)  # fmt: skip
OPERATORS = ("a+b", "a-b", "b-a", "max(a,b)", "min(a,b)", "a", "b", "abs(a-b)")
OFFSETS = (2, 1, 0, -1, -2)
FORMS = ("def f(a,b):return ", "def f(p):a,b=p;return ", "def f(s):a,b=map(int,s.split(','));return ")

MASKS: Mapping[str, float] = {
    "T": 0.10, "O": 0.14, "K": 0.12, "TK": 0.14, "TF": 0.07, "KF": 0.12,
    "OF": 0.10, "TO": 0.08, "OK": 0.03, "TKF": 0.06, "TOF": 0.04,
}  # fmt: skip
"""The vague slots of a statement, and how often each set of them is asked."""

_LIMITS = Limits(time_limit_s=1.0)
PUBLIC_TESTS = 3
PRIVATE_TESTS = 4

_OPERATOR_WORDS = (
    " a plus b", " a minus b", " b minus a", " the larger of a and b",
    " the smaller of a and b", " a alone", " b alone", " the distance of a and b",
)  # fmt: skip
_OFFSET_WORDS = (" plus two", " plus one", " plus nothing", " minus one", " minus two")
_FORM_WORDS = (" from two numbers", " from a pair", " from a text")
_VAGUE = {"T": "some tag,", "O": " a and b combined", "K": " adjusted", "F": " from its input"}


class Program(NamedTuple):
    """One program of the family, as the indices of its four slot values."""

    form: int
    tag: int
    operator: int
    offset: int

    @property
    def source(self) -> str:
        """The program's text.

        >>> Program(1, 1, 1, 0).source
        "def f(p):a,b=p;return 'kg',a-b+2"
        """
        return f"{FORMS[self.form]}'{TAGS[self.tag]}',{OPERATORS[self.operator]}{OFFSETS[self.offset]:+d}"

    def answer(self, a: int, b: int) -> tuple[str, int]:
        """Return what the program returns for the digits `a` and `b`."""
        number = (a + b, a - b, b - a, max(a, b), min(a, b), a, b, abs(a - b))[self.operator]
        return TAGS[self.tag], number + OFFSETS[self.offset]


class MiniTask(NamedTuple):
    """A problem of the family with what only its maker knows: the hidden program, the vague slots and the test inputs."""

    program: Program
    mask: str
    number: int
    """Seeds the choice of the seven test inputs."""

    @property
    def id(self) -> str:
        form, tag, operator, offset = self.program
        return f"mini/{self.mask}/{form}.{tag}.{operator}.{offset}/{self.number}"

    @property
    def statement(self) -> str:
        return statement_of(self.program, self.mask)

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The seven distinct digit pairs of the tests, public ones first."""
        return _pairs(self.number)


def parse(problem_id: str) -> MiniTask:
    """Return the task of a problem id of this family; `problem(parse(id))` is the problem again.

    Raises:
        CodeenvError: for an id of another shape.
    """
    try:
        family, mask, slots, number = problem_id.split("/")
        form, tag, operator, offset = map(int, slots.split("."))
        program = Program(form, tag, operator, offset)
        if family != "mini" or mask not in MASKS or program not in _program_set():
            raise ValueError
        return MiniTask(program, mask, int(number))
    except ValueError:
        raise CodeenvError(
            f"{problem_id!r} is not a problem of the miniature family; ids look like 'mini/TK/1.4.0.2/17'"
        ) from None


@functools.cache
def all_programs() -> tuple[Program, ...]:
    """Return the 3,600 programs in a fixed order."""
    return tuple(
        Program(form, tag, operator, offset)
        for form in range(len(FORMS))
        for tag in range(len(TAGS))
        for operator in range(len(OPERATORS))
        for offset in range(len(OFFSETS))
    )


def statement_of(program: Program, mask: str) -> str:
    """Return the statement that names every slot of the program but those in `mask`.

    >>> statement_of(Program(1, 1, 1, 0), "K")
    "tagged 'kg', a minus b adjusted from a pair"
    """
    tag = _VAGUE["T"] if "T" in mask else f"tagged '{TAGS[program.tag]}',"
    operator = _VAGUE["O"] if "O" in mask else _OPERATOR_WORDS[program.operator]
    offset = _VAGUE["K"] if "K" in mask else _OFFSET_WORDS[program.offset]
    form = _VAGUE["F"] if "F" in mask else _FORM_WORDS[program.form]
    return tag + operator + offset + form


def candidates(program: Program, mask: str) -> tuple[Program, ...]:
    """Return every program that fits the statement of `program` under `mask`, in the order of `all_programs`.

    >>> len(candidates(Program(1, 1, 1, 0), "TK"))
    150
    """
    return tuple(
        Program(form, tag, operator, offset)
        for form in (range(len(FORMS)) if "F" in mask else (program.form,))
        for tag in (range(len(TAGS)) if "T" in mask else (program.tag,))
        for operator in (range(len(OPERATORS)) if "O" in mask else (program.operator,))
        for offset in (range(len(OFFSETS)) if "K" in mask else (program.offset,))
    )


def split_of(program: Program, mask: str) -> Split | None:
    """Return the split to which the program and its statement both belong, or `None` if they disagree."""
    of_program, of_statement = _share(program.source), _share(statement_of(program, mask))
    return of_program if of_program == of_statement else None


def program_split(program: Program) -> Split:
    """Return the split of the program alone."""
    return _share(program.source)


def sample_tasks(split: Split, count: int, seed: int) -> list[MiniTask]:
    """Draw tasks of a split: the mask by its weight, then a program of the split with that mask, then test inputs.

    The same arguments give the same tasks on every machine.

    Raises:
        CodeenvError: for a split of another name.
    """
    if split not in get_args(Split):
        raise CodeenvError(f"there is no split {split!r} of the miniature family; use train, tune or report")
    generator = np.random.default_rng([seed, get_args(Split).index(split)])
    masks = generator.choice(len(MASKS), size=count, p=_mask_weights())
    draws = generator.random(count)
    numbers = generator.integers(0, 1 << 40, size=count)
    pools = [_pools()[split, mask] for mask in MASKS]
    names = tuple(MASKS)
    return [
        MiniTask(pools[mask][int(draw * len(pools[mask]))], names[mask], int(number))
        for mask, draw, number in zip(masks, draws, numbers, strict=True)
    ]


def problem(task: MiniTask) -> Problem:
    """Return the problem that an agent sees: a call problem with 3 public and 4 private tests, compared by type and value."""
    program, pairs = task.program, task.pairs
    tests = tuple(CallTest(argument_of(program.form, a, b), {}, program.answer(a, b)) for a, b in pairs)
    return Problem(
        id=task.id,
        statement=task.statement,
        mode="call",
        entry_point="f",
        public_tests=tests[:PUBLIC_TESTS],
        private_tests=tests[PUBLIC_TESTS:],
        limits=_LIMITS,
        tags=("mini", task.mask),
        source="codeenv miniature family",
        license="Apache-2.0",
        correct_solutions=(program.source,),
    )


def argument_of(form: int, a: int, b: int) -> tuple[object, ...]:
    """Return the call arguments that hand the digits over in an input form: `(a, b)`, `([a, b],)` or `("a,b",)`."""
    if form == 0:
        return (a, b)
    return ([a, b],) if form == 1 else (f"{a},{b}",)


def inputs_of(problem: Problem) -> tuple[tuple[object, ...], ...]:
    """Return every argument tuple that a test of the family may hold, whatever the form: programs are written for the wrong
    one too, and one run on all inputs is cheaper than a run on those of each form.
    """
    return _inputs()


@functools.cache
def _inputs() -> tuple[tuple[object, ...], ...]:
    return tuple(argument_of(form, a, b) for form in range(len(FORMS)) for a in range(10) for b in range(10))


def text_pieces() -> tuple[str, ...]:
    """Return the words of statements and programs: what a tokenizer of the family should know as one token each."""
    tags = tuple(f"'{tag}'," for tag in TAGS)
    offsets = tuple(f"{offset:+d}" for offset in OFFSETS)
    words = ("tagged ", *_OPERATOR_WORDS, *_OFFSET_WORDS, *_FORM_WORDS, *_VAGUE.values())
    return (*words, *FORMS, *tags, *OPERATORS, *offsets)


def blind_ceiling(tasks: Sequence[MiniTask], guesses: int = 3) -> float:
    """Return the mean solve rate of `guesses` distinct uniform guesses among the programs that fit the statement.

    No method that ignores the feedback's content can do better in expectation. Guessing stops at the first program that
    passes the public tests; programs that agree with the hidden one on all tests count as right.
    """
    return float(np.mean([_blind(task, guesses) for task in tasks]))


def _blind(task: MiniTask, guesses: int) -> float:
    fitting = candidates(task.program, task.mask)
    rivals = [other for other in fitting if other.form == task.program.form and other.tag == task.program.tag]
    public = [other for other in rivals if _agree(other, task.program, task.pairs[:PUBLIC_TESTS])]
    right = [other for other in public if _agree(other, task.program, task.pairs[PUBLIC_TESTS:])]
    draws = min(guesses, len(fitting))
    missed = math.comb(len(fitting) - len(public), draws) / math.comb(len(fitting), draws)
    return (1 - missed) * len(right) / len(public)


def bayes_solve_rate(tasks: Sequence[MiniTask], turns: int = 3, seed: int = 0) -> float:
    """Return the solve rate of a uniform prior over the fitting programs, filtered by each failing test that is shown.

    The reference for what feedback makes possible: one draw from the prior, then draws from the posterior.
    """
    generator = np.random.default_rng(seed)
    return float(np.mean([_filtered(task, turns, generator) for task in tasks]))


def _filtered(task: MiniTask, turns: int, generator: np.random.Generator) -> bool:
    hidden, fitting = task.program, list(candidates(task.program, task.mask))
    for _ in range(turns):
        guess = fitting[int(generator.integers(len(fitting)))]
        shown = first_failure(guess, task)
        if shown is None:
            return _agree(guess, hidden, task.pairs)
        fitting = [
            other
            for other in fitting
            if other.form == hidden.form and other != guess and other.answer(*shown) == hidden.answer(*shown)
        ]
    return False


def first_failure(program: Program, task: MiniTask) -> tuple[int, int] | None:
    """Return the digits of the first public test that the program fails, or `None` if it passes them all."""
    for a, b in task.pairs[:PUBLIC_TESTS]:
        if program.form != task.program.form or program.answer(a, b) != task.program.answer(a, b):
            return a, b
    return None


def solves(program: Program, task: MiniTask) -> bool:
    """Return whether the program passes all seven tests of the task."""
    return program.form == task.program.form and _agree(program, task.program, task.pairs)


def _agree(program: Program, other: Program, pairs: Sequence[tuple[int, int]]) -> bool:
    return all(program.answer(a, b) == other.answer(a, b) for a, b in pairs)


def _share(text: str) -> Split:
    bucket = int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(), 16) % 100
    return "train" if bucket < 60 else "tune" if bucket < 80 else "report"


@functools.cache
def _program_set() -> frozenset[Program]:
    return frozenset(all_programs())


@functools.cache
def _mask_weights() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    weights = np.array(list(MASKS.values()))
    shares: np.ndarray[tuple[int], np.dtype[np.float64]] = weights / weights.sum()
    return shares


@functools.cache
def _pools() -> Mapping[tuple[str, str], tuple[Program, ...]]:
    """The programs of each split and mask, whose statements are in that split too."""
    shares = {program: _share(program.source) for program in all_programs()}
    statements: dict[str, Split] = {}
    pools: dict[tuple[str, str], list[Program]] = {(split, mask): [] for split in get_args(Split) for mask in MASKS}
    for mask in MASKS:
        for program, share in shares.items():
            text = statement_of(program, mask)
            if text not in statements:
                statements[text] = _share(text)
            if statements[text] == share:
                pools[share, mask].append(program)
    return {key: tuple(programs) for key, programs in pools.items()}


@functools.lru_cache(maxsize=1 << 15)
def _pairs(number: int) -> tuple[tuple[int, int], ...]:
    codes: list[int] = []
    state = number
    while len(codes) < PUBLIC_TESTS + PRIVATE_TESTS:
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)  # Knuth's linear congruential generator
        code = (state >> 33) % 100
        if code not in codes:
            codes.append(code)
    return tuple(divmod(code, 10) for code in codes)
