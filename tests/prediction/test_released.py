"""Items of mode `official`: what the released CodeRL+ code captures, drops and scores, run in the sandbox."""

import pytest

from codeenv.prediction import Attempt
from codeenv.prediction.released import ReleasedBuilder, complexity, with_suffix
from codeenv.problems import CallTest, Problem, StdioTest

READ = Problem("test/read", "s", "stdio", public_tests=(StdioTest("3\n", "nothing\n"),), private_tests=(StdioTest("9\n", "x\n"),))
INF = float("inf")


def build(judge, source, **options):
    return ReleasedBuilder(judge, **options).build([Attempt(READ, source, passed=False)])


@pytest.mark.parametrize(
    ("source", "values"),
    [
        ("a = int(input())\nfor i in range(a):\n    pass\nprint(a)", {"a": 3, "i": 2}),
        ("def main():\n    x = 1\n    print(x)\nmain()", {}),
        ("def main():\n    x = 1\n    print(x)\nif __name__ == '__main__':\n    main()", {}),
        ("if __name__ == '__main__':\n    y = 2\n    print(y)", {"y": 2}),
        ("import sys\nz = 1\nprint(z)\nsys.exit(0)", {}),
        ("if __name__ == '__main__':\n    y = 2\n    print(y)\ndef later():\n    return 1", {}),
        ("from collections import Counter, deque\nc = Counter('aab')\nd = deque([1])\nk = 5\nprint(k)", {"k": 5}),
        ("d = {1: 2}\nt = (1, 2)\nprint(d)", {"d": {"1": 2}, "t": [1, 2]}),
        ("x = float('inf')\nprint(x)", {"x": INF}),
        ("s = {7}\n_hidden = 1\nf = len\nprint(s)", {"s": [7]}),
        ("a = b = c = d = 1\nprint(a)", {"b": 1, "c": 1, "d": 1}),
    ],
    ids=[
        "a flat script", "work in main()", "work in main() behind the guard", "code in the guard", "sys.exit",
        "a function behind the guard",
        "counters and deques", "integer keys and tuples", "infinity", "sets and hidden names", "the last three names",
    ],
)  # fmt: skip
def test_the_program_shapes_give_what_the_released_code_captures(judge, source, values):
    built = build(judge, source)
    assert len(built.items) == 1, built.dropped
    assert dict(built.items[0].values) == values


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("print(1 / 0)", "run_failed"),
        ("d = {'k': {1}}\nprint(d)", "run_failed"),
        ("d = {(1, 2): 3}\nprint(d)", "run_failed"),
        ("x = 1", "empty_output"),
        ("if", "complexity"),
        ("\n".join(f"if {n}: pass" for n in range(101)), "complexity"),
        ("while True: pass", "run_failed"),
    ],
    ids=[
        "an exception",
        "a set in a dictionary",
        "tuple keys",
        "no output",
        "a syntax error",
        "a complex program",
        "a time limit",
    ],
)
def test_other_shapes_are_dropped_with_their_reason(judge, source, reason):
    assert build(judge, source).dropped == {reason: 1}


def test_passed_programs_call_problems_duplicates_and_long_prompts_never_become_items(judge):
    call = Problem("test/call", "s", "call", "f", public_tests=(CallTest((1,), {}, 2),))
    builder = ReleasedBuilder(judge)
    attempts = [
        Attempt(READ, "print(1)", passed=True, reward=1.0),
        Attempt(call, "def f(x):\n    return x", passed=False),
        Attempt(READ, "print(5)", passed=False),
        Attempt(READ, "print(2 + 3)", passed=False),
    ]
    built = builder.build(attempts)
    assert [item.output for item in built.items] == ["5"]
    assert built.dropped == {"passed": 1, "empty_output": 1, "duplicate": 1}
    assert build(judge, "print(5)", prompt_tokens=len, max_prompt_tokens=10).dropped == {"long_prompt": 1}


def test_only_public_inputs_are_run(judge):
    item = build(judge, "a = input()\nprint(a)").items[0]
    assert item.output == "3"
    assert dict(item.values) == {"a": "3"}


def test_a_program_that_prints_the_marker_itself_cannot_break_the_builder(judge):
    marker = with_suffix("").split('"\\n')[1].split("\\n")[0]
    built = build(judge, f"print('x\\n{marker}\\nnot json')")
    assert len(built.items) == 1


def test_complexity_counts_branches_loops_handlers_and_operands():
    source = "if a and b or c:\n    pass\nfor x in y:\n    while x:\n        pass\ntry:\n    pass\nexcept E:\n    pass\n"
    assert complexity(source) == 1 + 1 + 2 + 1 + 1 + 1
