"""Family `functions`: everyday small functions on integers, lists, texts, words and dictionaries.

Level 1 is a single step, which a model of 135 million parameters sometimes solves; each further level adds a step. A statement
may leave steps open, which only the feedback of the public tests settles.
"""

from __future__ import annotations

import contextlib
import copy
from random import Random
from typing import Any

from codeenv.problems.plain import plain_equal
from codeenv.problems.problem import CallTest, Limits, Problem
from codeenv.problems.procedural.chains import ARGUMENTS, Chain, draw_chain, draw_input, edge_inputs, run_chain
from codeenv.problems.procedural.steps import VAGUE, Kind

__all__ = ["LEVELS", "choose_cases", "difficulty_of", "draw_function", "function_problem", "wording"]

LEVELS = (1, 2, 3, 4)
"""Numbers of steps."""

PUBLIC_TESTS = 3
PRIVATE_TESTS = 7

_FIRST: tuple[Kind, ...] = ("ints", "ints", "int", "text", "words", "counts")
_OPENINGS = (
    "Write a function `{name}({argument})`. It takes {what}.",
    "Write a Python function `{name}` with one argument, `{argument}`: {what}.",
    "Define `{name}({argument})`, where `{argument}` is {what}.",
)
_LIMITS = Limits(time_limit_s=2.0, memory_mb=512, output_kb=256)


def draw_function(random: Random, level: int) -> Chain:
    """Draw the program of a problem of this level."""
    return draw_chain(random, random.choice(_FIRST), level)


def function_problem(problem_id: str, chain: Chain, random: Random, vague: float) -> Problem | None:
    """Return the problem of a chain, or `None` if its inputs cannot tell it from its near misses.

    Args:
        problem_id: the id to give it.
        chain: the reference program.
        random: chooses wordings, inputs and the steps that stay open.
        vague: the probability that the statement leaves a step open.
    """
    name = "solve"
    cases = choose_cases(chain, random)
    if cases is None:
        return None
    pairs, wrong = cases
    tests = [CallTest((argument,), {}, value) for argument, value in pairs]
    argument, what = ARGUMENTS[chain.takes]
    opening = random.choice(_OPENINGS).format(name=name, argument=argument, what=what)
    steps, open_steps = wording(chain, random, vague)
    return Problem(
        id=problem_id,
        statement=f"{opening} {steps}",
        mode="call",
        entry_point=name,
        public_tests=tuple(tests[:PUBLIC_TESTS]),
        private_tests=tuple(tests[PUBLIC_TESTS:]),
        limits=_LIMITS,
        difficulty=difficulty_of(chain),
        tags=("functions", f"level{len(chain.links)}", chain.takes, *(("open",) if open_steps else ())),
        source="procedural",
        license="Apache-2.0",
        correct_solutions=(chain.source(name),),
        incorrect_solutions=tuple(other.source(name) for other in wrong),
    )


def difficulty_of(chain: Chain) -> float:
    """Return the difficulty, 0.0 to 1.0, from the weights of the steps."""
    return round(min(1.0, (chain.weight - 1) / 11), 3)


def wording(chain: Chain, random: Random, vague: float) -> tuple[str, int]:
    """Return the sentences of the steps, and how many steps they leave open."""
    sentences, open_steps = [], 0
    last = len(chain.links) - 1
    for index, link in enumerate(chain.links):
        phrase = random.choice(link.step.wordings).format(k=link.number)
        if random.random() < vague:
            phrase, open_steps = VAGUE[link.step.takes, link.step.gives], open_steps + 1
        if index < last and phrase.startswith("return "):
            phrase = "take " + phrase.removeprefix("return ")
        if index == last and not phrase.startswith("return"):
            phrase = f"{phrase}, and return the result"
        lead = (
            ""
            if last == 0
            else ("First, " if index == 0 else ("Finally, " if index == last else random.choice(("Then ", "Next, "))))
        )
        phrase = lead + phrase if lead else phrase[0].upper() + phrase[1:]
        sentences.append(phrase + ".")
    return " ".join(sentences), open_steps


def choose_cases(chain: Chain, random: Random) -> tuple[list[tuple[Any, Any]], list[Chain]] | None:
    """Choose inputs with their results: first the public ones, which tell the chain from as many near misses as possible.

    Returns `None` if the results hardly vary or no near miss is caught; else the cases and the near misses that fail on them.
    """
    inputs: list[Any] = [*edge_inputs(chain.takes), *(draw_input(random, chain.takes) for _ in range(12))]
    cases: list[tuple[Any, Any]] = []
    for value in inputs:
        if all(not plain_equal(value, other) for other, _ in cases):
            with contextlib.suppress(OverflowError):
                cases.append((value, run_chain(chain, copy.deepcopy(value))))
    if (
        len({repr(result) for _, result in cases}) < (2 if chain.gives == "bool" else 4)
        or len(cases) < PUBLIC_TESTS + PRIVATE_TESTS
    ):
        return None
    near = chain.near_misses()
    catches = [{i for i, (value, result) in enumerate(cases) if not _agrees(other, value, result)} for other in near]
    caught = [(other, where) for other, where in zip(near, catches, strict=True) if where]
    if not caught:
        return None
    order: list[int] = []
    left = list(caught)
    drawn = list(range(len(cases)))
    random.shuffle(drawn)
    while len(order) < PUBLIC_TESTS:
        best = max((index for index in drawn if index not in order), key=lambda index: sum(index in where for _, where in left))
        order.append(best)
        left = [(other, where) for other, where in left if best not in where]
    rest = [index for index in drawn if index not in order][:PRIVATE_TESTS]
    chosen = set(order) | set(rest)
    wrong = [other for other, where in caught if where & chosen]
    return [cases[index] for index in order + rest], wrong[:4]


def _agrees(other: Chain, value: Any, expected: Any) -> bool:
    try:
        return plain_equal(run_chain(other, copy.deepcopy(value)), expected)
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError):
        return False
