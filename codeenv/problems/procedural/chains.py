"""Chains of steps: the programs behind everyday functions, their inputs, and programs that are nearly right."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from codeenv.problems.procedural.steps import STEPS, Kind, Step

__all__ = ["ARGUMENTS", "Chain", "Link", "draw_chain", "draw_input", "edge_inputs", "run_chain"]

ARGUMENTS: dict[Kind, tuple[str, str]] = {
    "ints": ("numbers", "a list of integers"),
    "int": ("number", "an integer"),
    "text": ("text", "a text"),
    "words": ("words", "a list of words"),
    "counts": ("counts", "a dictionary from names to integers"),
    "bool": ("flag", "a truth value"),
}
"""Name and description of an argument of each type."""

_EDGES: dict[Kind, tuple[Any, ...]] = {
    "ints": ([], [0], [-4], [3, 3, 3], [5, -5, 5, 2]),
    "int": (0, 1, 7, 12, -8),
    "text": ("", "a", "Otto went  out", " Level ", "noon"),
    "words": ([], ["one"], ["to", "be", "to"], ["Ada", "bob", "ada"]),
    "counts": ({}, {"b": 1}, {"b": 2, "a": 2, "c": 0}),
}
_VOCABULARY = tuple(
    "apple Bear candle desk Egg forest gold hat Ice jar kettle level moon Noon oak pencil quilt rotor Sun tree umbrella "  # noqa: SIM905
    "violet wind Xenon yard zoo a I to be or not".split()
)

_LARGEST = 100_000
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Link:
    """A step with its number or letter chosen; `code` may be a near miss of the step's own."""

    step: Step
    number: int | str | None
    code: str

    def expression(self, name: str) -> str:
        return self.code.format(x=name, k=self.number)


@dataclass(frozen=True, slots=True)
class Chain:
    """A program: its input type and its links."""

    takes: Kind
    links: tuple[Link, ...]

    @property
    def gives(self) -> Kind:
        return self.links[-1].step.gives

    @property
    def weight(self) -> int:
        """The sum of the steps' weights."""
        return sum(link.step.weight for link in self.links)

    def body(self, name: str, indent: str) -> tuple[list[str], str]:
        """Return the lines before the last step, and the expression of the last step."""
        lines = []
        for link in self.links[:-1]:
            value = "result" if name == "result" or len(self.links) > 1 else name
            lines.append(f"{indent}{value} = {link.expression(name)}")
            name = value
        return lines, self.links[-1].expression(name)

    def source(self, entry_point: str) -> str:
        """Return the chain as a function definition."""
        argument = ARGUMENTS[self.takes][0]
        lines, last = self.body(argument, "    ")
        return "\n".join([f"def {entry_point}({argument}):", *lines, f"    return {last}", ""])

    def near_misses(self) -> list[Chain]:
        """Return the chains that differ in one link: a near expression, or the number off by one."""
        found = []
        for index, link in enumerate(self.links):
            for code in link.step.near:
                found.append(self._with(index, replace(link, code=code)))
            if isinstance(link.number, int):
                found.append(self._with(index, replace(link, number=link.number + 1)))
        if len(self.links) > 1:
            found.extend(
                Chain(self.takes, self.links[:index] + self.links[index + 1 :])
                for index, link in enumerate(self.links)
                if link.step.takes == link.step.gives
            )
        return found

    def _with(self, index: int, link: Link) -> Chain:
        return replace(self, links=(*self.links[:index], link, *self.links[index + 1 :]))


def draw_chain(random: Random, takes: Kind, length: int) -> Chain:
    """Draw a chain of `length` steps, or shorter if a step gives a truth value."""
    links: list[Link] = []
    kind = takes
    while len(links) < length:
        used = {id(link.step) for link in links}
        choices = [step for step in _by_input()[kind] if id(step) not in used and _may_follow(step, length - len(links))]
        if not choices:
            break
        step = random.choice(choices)
        number = random.choice(step.numbers) if step.numbers else None
        links.append(Link(step, number, step.code))
        kind = step.gives
    return Chain(takes, tuple(links))


def draw_input(random: Random, kind: Kind) -> Any:
    """Draw an argument of a type."""
    if kind == "ints":
        return [random.randint(-12, 15) for _ in range(random.randint(2, 8))]
    if kind == "int":
        return random.choice((random.randint(-20, 20), random.randint(2, 60), random.randint(10, 400)))
    words = [random.choice(_VOCABULARY) for _ in range(random.randint(2, 6))]
    if kind == "text":
        return " ".join(words)
    if kind == "words":
        return words
    return {word.lower(): random.randint(-2, 6) for word in words}


def edge_inputs(kind: Kind) -> tuple[Any, ...]:
    """Return the edge cases of a type: empty, one item, ties, negative, odd spacing."""
    return _EDGES[kind]


def run_chain(chain: Chain, value: Any) -> Any:
    """Return what the chain makes of a value (these are our own expressions; each is compiled once).

    Raises:
        OverflowError: if a number or a length on the way is too large for a small exercise.
    """
    for link in chain.links:
        value = _compiled(link.expression("x"))(value)
        if (type(value) is int and abs(value) > _LARGEST) or (not isinstance(value, int) and len(value) > _LONGEST):
            raise OverflowError("the value leaves the range of a small exercise")
    return value


@functools.lru_cache(maxsize=4096)
def _compiled(expression: str) -> Callable[[Any], Any]:
    function: Callable[[Any], Any] = eval(f"lambda x: {expression}")
    return function


@functools.cache
def _by_input() -> dict[str, list[Step]]:
    table: dict[str, list[Step]] = {kind: [] for kind in ARGUMENTS}
    for step in STEPS:
        table[step.takes].append(step)
    return table


def _may_follow(step: Step, remaining: int) -> bool:
    """Whether a step leaves room for the rest of the chain: truth values end it, and a last number should not come early."""
    return remaining == 1 or step.gives != "bool"
