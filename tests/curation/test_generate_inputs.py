"""Tests of programs are generated from inputs like the known ones: the same layout, and what counts something stays true."""

from random import Random

import pytest

from codeenv.curation import generate_tests
from codeenv.curation.inputs import Shapes
from codeenv.problems import Limits, Problem, StdioTest

COUNT_BIG = """import sys
from collections import Counter

def main():
    cases = int(input())
    for _ in range(cases):
        count, limit = map(int, input().split())
        values = list(map(int, input().split()))
        assert len(values) == count, "a wrong count"
        big = [value for value in values if value > limit]
        if not big:
            print("none")
        elif len(big) == count:
            print("all", sum(big))
        else:
            print(len(big), max(big))

main()
"""


def program(**changes: object) -> Problem:
    values: dict = {
        "id": "p/big",
        "statement": "Count.",
        "mode": "stdio",
        "public_tests": (StdioTest("2\n3 5\n1 7 9\n4 2\n1 1 2 3\n", "2 9\n1 3\n"),),
        "private_tests": (StdioTest("1\n2 9\n10 1\n", "1 10\n"),),
        "limits": Limits(2.0, 512, 256),
        "correct_solutions": (COUNT_BIG,),
        **changes,
    }
    return Problem(**values)


def test_new_tests_of_a_program_raise_what_the_tests_are_worth(judge) -> None:
    result = generate_tests(program(), judge, count=20, seed=1, mutant_limit=12)
    assert len(result.tests) == 20
    assert all(isinstance(test, StdioTest) and test.output for test in result.tests)
    assert len({test.input for test in result.tests}) == 20
    assert result.coverage_before is not None
    assert result.coverage_before < result.coverage_after <= 1.0
    assert result.mutants
    assert result.killed_after >= result.killed_before
    assert judge.judge(result.problem, COUNT_BIG).accepted
    assert generate_tests(program(), judge, 20, 1, mutant_limit=0).tests == result.tests


def test_inputs_on_which_correct_solutions_differ_are_dropped(judge) -> None:
    other = COUNT_BIG.replace('print("none")', 'print("nothing")')
    result = generate_tests(program(correct_solutions=(COUNT_BIG, other)), judge, count=20, seed=1, mutant_limit=0)
    assert result.tests
    assert not any("none" in test.output for test in result.tests)


def test_a_program_that_prints_by_chance_gets_no_tests(judge) -> None:
    chance = "import random\nprint(1 if input() == 'ab' else random.random())\n"
    tests = (StdioTest("ab\n", "1\n"),)
    subject = program(correct_solutions=(chance,), public_tests=tests, private_tests=tests)
    assert generate_tests(subject, judge, count=5, mutant_limit=0).tests == ()


LAYOUTS = {
    "a counted list": (["3\n1 2 9\n", "2\n5 5\n"], lambda lines: len(lines[1].split()) == int(lines[0])),
    "a list that may be empty": (["0\n\n", "2\n5 6\n"], lambda lines: len(lines[1].split()) == int(lines[0])),
    "lines with counts of their own": (
        ["2\n3 1 2 3\n1 9\n"],
        lambda lines: (
            len(lines) - 1 == int(lines[0]) and all(int(line.split()[0]) == len(line.split()) - 1 for line in lines[1:])
        ),
    ),
    "cases of two lines": (
        ["2\n2 7\n1 2\n3 8\n4 5 6\n"],
        lambda lines: (
            len(lines) - 1 == 2 * int(lines[0])
            and all(int(lines[n].split()[0]) == len(lines[n + 1].split()) for n in range(1, len(lines), 2))
        ),
    ),
    "a picture": (
        ["2 3\n#.#\n..#\n"],
        lambda lines: int(lines[0].split()[0]) == len(lines) - 1 and {len(line) for line in lines[1:]} == {3},
    ),
    "a counted word": (["4\nabca\n", "2\nxy\n"], lambda lines: len(lines[1]) == int(lines[0])),
    "words": (["3\nab\ncd\nefg\n"], lambda lines: len(lines) - 1 == int(lines[0]) and all(map(str.isalpha, lines[1:]))),
    "limits": (["5 100\n"], lambda lines: lines[0] == "5 100"),
    "decimals": (["2.50 3.5\n"], lambda lines: [len(part.split(".")[1]) for part in lines[0].split()] == [2, 1]),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_varied_inputs_keep_what_ties_the_known_ones_together(case: str) -> None:
    known, holds = LAYOUTS[case]
    made = {Shapes(known).vary(Random(number)) for number in range(300)}
    assert [text for text in made if not holds(text.removesuffix("\n").split("\n"))] == []
    assert len(made) > 5 or case == "limits"
