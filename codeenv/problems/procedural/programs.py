"""Family `stdio`: programs that parse standard input, loop over cases or lines, and print in a stated form.

A core chain on a list of integers or a text is wrapped in an input form (counted list, several cases, until the end of the input)
and an output form. Levels as in the family `functions`, one step more for the wrapping.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from codeenv.problems.problem import Checker, Limits, Problem, StdioTest
from codeenv.problems.procedural.chains import Chain, draw_chain, draw_input, edge_inputs, run_chain
from codeenv.problems.procedural.functions import PRIVATE_TESTS, PUBLIC_TESTS, difficulty_of, wording
from codeenv.problems.procedural.steps import Kind

__all__ = ["Program", "draw_program", "program_problem"]

_LIMITS = Limits(time_limit_s=2.0, memory_mb=512, output_kb=256)


@dataclass(frozen=True, slots=True)
class _Form:
    """An input form: how one value is written and read, and whether there are several."""

    name: str
    takes: Kind
    many: bool
    text: str
    read: str
    """Python lines; `{case}` is replaced by the lines that treat one value named `value`, indented by `{i}`."""


_FORMS = (
    _Form("counted", "ints", False,
          "The first line holds n (0 or more), the second line n integers separated by spaces (it is empty if n is 0).",
          "n = int(input())\nvalue = [int(part) for part in input().split()][:n]\n{case}"),
    _Form("line", "ints", False, "The input is one line of integers separated by spaces; it may be empty.",
          "import sys\n\nvalue = [int(part) for part in sys.stdin.readline().split()]\n{case}"),
    _Form("cases", "ints", True,
          "The first line holds the number of cases. Each case is one line: a count and then so many integers.",
          "for number in range(1, int(input()) + 1):\n    value = [int(part) for part in input().split()][1:]\n{case}"),
    _Form("end", "ints", False, "The input holds one integer a line until its end; blank lines are to be ignored.",
          "import sys\n\nvalue = [int(line) for line in sys.stdin if line.strip()]\n{case}"),
    _Form("text", "text", False, "The input is a single line of text, possibly empty.",
          "import sys\n\nvalue = sys.stdin.readline().rstrip('\\n')\n{case}"),
    _Form("lines", "text", True, "The first line holds the number of cases; each of the next lines is a text.",
          "for number in range(1, int(input()) + 1):\n    value = input()\n{case}"),
)  # fmt: skip

_OUTPUTS: dict[Kind, tuple[tuple[str, str], ...]] = {
    "ints": (
        ("Print the numbers on one line separated by spaces, or EMPTY if there is none.", "' '.join(map(str, {x})) or 'EMPTY'"),
        ("Print how many numbers are left, a colon, and the numbers separated by commas.",
         "f\"{{len({x})}}:{{','.join(map(str, {x}))}}\""),
    ),
    "int": (("Print the number.", "{x}"), ("Print the number in square brackets.", "f'[{{{x}}}]'")),
    "bool": (("Print YES or NO.", "'YES' if {x} else 'NO'"), ("Print 1 for true and 0 for false.", "int({x})")),
    "text": (("Print the text between two | signs.", "'|' + {x} + '|'"),),
    "words": (("Print the words separated by commas, or NONE if there is none.", "','.join({x}) or 'NONE'"),),
    "counts": (
        ("Print key=value for each entry, sorted by key, separated by spaces, or NONE.",
         "' '.join(f'{{key}}={{ {x}[key] }}' for key in sorted({x})) or 'NONE'"),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Program:
    """A core chain with its input form and output form."""

    chain: Chain
    form: _Form
    output: tuple[str, str]

    def source(self, chain: Chain | None = None) -> str:
        """Return the program, or the program with another core."""
        core = chain or self.chain
        indent = "    " if self.form.many else ""
        lines, last = core.body("value", indent)
        shown = self.output[1].format(x="result")
        if self.form.many:
            shown = f"f'Case #{{number}}:', {shown}"
        printed = f"{indent}result = {last}\n{indent}print({shown})"
        return self.form.read.replace("{case}", "\n".join([*lines, printed])) + "\n"

    def render(self, values: Sequence[Any], chain: Chain | None = None) -> tuple[str, str]:
        """Return the input text of these values, and the output text of the core's (or another chain's) results."""
        results = [run_chain(chain or self.chain, copy.deepcopy(value)) for value in values]
        printed = []
        for number, result in enumerate(results, start=1):
            text = str(eval(self.output[1].format(x="result"), {"result": result}))  # one of our own expressions
            printed.append(f"Case #{number}: {text}" if self.form.many else text)
        return self._input(values), "\n".join(printed) + "\n"

    def _input(self, values: Sequence[Any]) -> str:
        if self.form.many:
            rows = [" ".join(map(str, [len(value), *value])) if self.form.takes == "ints" else value for value in values]
            return "\n".join([str(len(values)), *rows]) + "\n"
        (value,) = values
        if self.form.takes == "text":
            return f"{value}\n"
        joined = " ".join(map(str, value))
        if self.form.name == "counted":
            return f"{len(value)}\n{joined}\n"
        return joined + "\n" if self.form.name == "line" else "\n".join(map(str, value)) + "\n" * (len(value) % 2 + 1)


def draw_program(random: Random, level: int) -> Program:
    """Draw the program of a problem of this level."""
    form = random.choice(_FORMS)
    chain = draw_chain(random, form.takes, level)
    return Program(chain, form, random.choice(_OUTPUTS[chain.gives]))


def program_problem(problem_id: str, program: Program, random: Random, vague: float) -> Problem | None:
    """Return the problem of a program, or `None` if its inputs cannot tell it from its near misses."""
    kind = program.form.takes
    edges = [value for value in edge_inputs(kind) if kind != "text" or value == value.strip()]
    values = [*edges, *(draw_input(random, kind) for _ in range(14))]
    random.shuffle(values)
    tests: dict[str, tuple[str, Sequence[Any]]] = {}
    groups = [values[index : index + 3] for index in range(len(values))] if program.form.many else [[value] for value in values]
    for group in groups:
        with contextlib.suppress(OverflowError):
            given, printed = program.render(group)
            tests.setdefault(given, (printed, group))
    if (
        len({printed for printed, _ in tests.values()}) < (2 if program.chain.gives == "bool" else 4)
        or len(tests) < PUBLIC_TESTS + PRIVATE_TESTS
    ):
        return None
    cases = [(given, printed, group) for given, (printed, group) in tests.items()][: PUBLIC_TESTS + PRIVATE_TESTS]
    wrong = [other for other in program.chain.near_misses() if any(_fails(program, other, group) for _, _, group in cases)]
    if not wrong:
        return None
    steps, open_steps = wording(program.chain, random, vague)
    each = "For each case, do this with it: " if program.form.many else ""
    ending = program.output[0] + (
        " Put `Case #x: ` before the answer of case x (from 1), one line a case." if program.form.many else ""
    )
    what = "the list" if kind == "ints" else "the text"
    text = f"Write a program that reads standard input and writes standard output.\n\nInput: {program.form.text}\n\n{each}"
    text += steps.replace("return the result", "take the result").replace("Return ", "Take ").replace("return ", "take ")
    rows = [StdioTest(given, printed) for given, printed, _ in cases]
    return Problem(
        id=problem_id,
        statement=f"{text}\n\nOutput: {ending} The steps start from {what} that was read.",
        mode="stdio",
        public_tests=tuple(rows[:PUBLIC_TESTS]),
        private_tests=tuple(rows[PUBLIC_TESTS:]),
        limits=_LIMITS,
        checker=Checker(case_sensitive=True),
        difficulty=min(1.0, round(difficulty_of(program.chain) + 0.1, 3)),
        tags=("stdio", f"level{len(program.chain.links)}", program.form.name, *(("open",) if open_steps else ())),
        source="procedural",
        license="Apache-2.0",
        correct_solutions=(program.source(),),
        incorrect_solutions=tuple(program.source(other) for other in wrong[:4]),
    )


def _fails(program: Program, other: Chain, values: Sequence[Any]) -> bool:
    """Whether another core prints something else than the program, or raises."""
    try:
        return program.render(values, other)[1].split() != program.render(values)[1].split()
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError):
        return True
