"""Items of mode `ours`: variables by scope, exceptions, determinism and the filter of trivial items, from traced runs."""

import pytest

from codeenv.prediction import Attempt, PredictionScorer, answer_text
from codeenv.prediction.item import PredictionItem
from codeenv.prediction.scoped import ScopedBuilder, ScopedConfig, TrivialFilter
from codeenv.prediction.second_run import disturbed
from codeenv.problems import CallTest, Problem, StdioTest

CALL = Problem(
    "test/call", "s", "call", "f", public_tests=(CallTest(([5, 6, 7],), {}, 0),), private_tests=(CallTest(([99],), {}, 0),)
)  # fmt: skip
READ = Problem("test/read", "s", "stdio", public_tests=(StdioTest("3\n", "x\n"),))


def build(judge, source, problem=CALL, **settings):
    return ScopedBuilder(judge, ScopedConfig(**{"drop_trivial": False, **settings})).build(
        [Attempt(problem, source, passed=False)]
    )


@pytest.mark.parametrize(
    ("source", "values"),
    [
        ("def f(x):\n    t = 0\n    for y in x:\n        t += y\n    return t + 1\n", {"f.t": 18, "f.y": 7}),
        (
            "def g(n):\n    m = n * 2\n    return m\ndef f(x):\n    for y in x:\n        z = g(y)\n    return z\n",
            {"g.m": 14, "f.z": 14},
        ),
        (
            "def f(x):\n    out = []\n    for y in x:\n        out.append(-y)\n    return len(out)\n",
            {"f.out": [-5, -6, -7], "f.y": 7},
        ),
        ("total = 41\ntotal += 1\ndef f(x):\n    return total\n", {"total": 42}),
        ("def f(x):\n    c = 12\n    d = x\n    _e = 3\n    return c\n", {}),
        ("def f(x):\n    c = len('ab') + 9\n    def h():\n        nonlocal c\n        c = 77\n    h()\n    return c\n", {}),
        ("def f(x):\n    big = 'ab' * 100\n    o = object()\n    return len(big)\n", {}),
    ],
    ids=[
        "a loop",
        "two functions",
        "mutation after assignment",
        "the module",
        "literals, copies, hidden",
        "nonlocal",
        "long and odd values",
    ],
)
def test_final_values_are_asked_by_scope(judge, source, values):
    built = build(judge, source)
    item = built.items[0]
    assert values.items() <= item.values.items() if values else not item.values
    assert item.kind == ("state" if values else "output")


def test_the_last_activation_gives_a_functions_values(judge):
    source = "def f(x):\n    if not x:\n        return 0\n    k = len(x) * 10\n    f(x[1:])\n    return k\n"
    assert dict(build(judge, source).items[0].values)["f.k"] in (10, 30)


def test_a_crash_becomes_an_item_about_type_and_line(judge):
    item = build(judge, "def f(x):\n    y = x[1]\n    return x[y]\n").items[0]
    assert (item.kind, item.exception) == ("exception", ("IndexError", 3))
    assert PredictionScorer().score([item], [answer_text(item)])[0].exact


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import random\ndef f(x):\n    return random.random()\n", "not_deterministic"),
        ("import time\ndef f(x):\n    return time.perf_counter_ns()\n", "not_deterministic"),
        ("def f(x):\n    return __import__('os').urandom(8).hex()\n", "not_deterministic"),
        ("def f(x):\n    y = __import__('time').time_ns()\n    return str(y)\n", "not_deterministic"),
        ("def f(x):\n    return ''.join({'a', 'b', str(x)})\n", "not_deterministic"),
        ("def f(x):\n    s = set('abc')\n    return [c for c in s]\n", "not_deterministic"),
        ("def f(x):\n    s = {'a', 'b'}\n    return s.pop()\n", "not_deterministic"),
        ("def f(x):\n    s = {'a', 'b'}\n    a, b = s\n    return a + 'x'\n", "not_deterministic"),
        ("def f(x):\n    for c in {'a', 'b'}:\n        return int(c == 'a') or 1 // 0\n", "not_deterministic"),
        ("def f(x):\n    def g(s):\n        yield from s\n    return list(g({'a', 'b'}))\n", "not_deterministic"),
        ("def f(x):\n    return hash('abc') % 97\n", "not_deterministic"),
        ("def f(x):\n    return __import__('time').localtime().tm_year\n", "not_deterministic"),
        ("def f(x):\n    return 'a' * 1_000_000\n", "long_output"),
        ("def f(x):\n    return [1] * 500\n", "long_output"),
        ("def f(", "run_failed"),
        ("def f(x):\n    return object\n", "run_failed"),
    ],
)  # fmt: skip
def test_runs_that_cannot_be_asked_about_are_dropped(judge, source, reason):
    built = build(judge, source)
    assert not built.items
    assert sum(built.dropped.values()) == 1
    if reason != "run_failed":
        assert built.dropped == {reason: 1}


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("def f(x):\n    return sorted({'b', 'a'}) + [str(i) for i in {3, 1}]\n", ["a", "b", "1", "3"]),
        ("def f(x):\n    s = {'a', 'b'}\n    n = 0\n    for c in s:\n        n += len(c)\n    return n, 'a' in s\n", (2, True)),
        ("def f(x):\n    a, b = 4, [5, 9]\n    b.pop()\n    return list(map(str, [a, *b]))\n", ["4", "5"]),
        ("from __future__ import annotations\ndef f(x):\n    s = {'é', 'b'}; t = [c for c in s]\n    return len(t) + 40\n", 42),
        ("def f(x):\n    return {'b', 'a'} | {'c'}\n", {"a", "b", "c"}),
        ("def f(x):\n    s = {'a'}\n    return [i for i in[41, 52]]\n", [41, 52]),
    ],
)
def test_sets_whose_order_does_not_matter_are_asked_about(judge, source, output):
    assert build(judge, source).items[0].output == output


def test_a_crash_behind_a_set_keeps_its_line(judge):
    source = "def f(x):\n    s = {'a', 'b'}\n    for c in s:\n        pass\n    return x[9]\n"
    assert build(judge, source).items[0].exception == ("IndexError", 5)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\f\n"])
def test_lines_end_as_python_ends_them(judge, end):
    source = "def f(x):\n    s = {'a', 'b'}\n    for c in s:\n        pass\n    return x[9]\n".replace("\n", end)
    assert build(judge, source).items[0].exception == ("IndexError", 5)
    assert build(judge, source.replace("pass", "return c")).dropped == {"not_deterministic": 1}


def test_a_program_that_does_not_parse_is_left_as_it_is():
    assert disturbed("def f(") == ("def f(", 1)


def test_a_program_that_returns_nan_is_asked_and_answered(judge):
    item = build(judge, "def f(x):\n    return float('nan')\n").items[0]
    assert PredictionScorer().score([item], ['{"final_output": NaN}'])[0].exact
    assert PredictionScorer().score([item], [answer_text(item)])[0].exact


def test_passed_attempts_are_left_out_unless_asked_for(judge):
    attempts = [Attempt(CALL, "def f(x):\n    return sum(x) - 18\n", passed=True)]
    assert ScopedBuilder(judge, ScopedConfig()).build(attempts).dropped == {"passed": 1}
    assert ScopedBuilder(judge, ScopedConfig(source="all")).build(attempts).items


def test_a_problem_gives_one_item_a_step_and_equal_programs_count_once(judge):
    sources = ["def f(x):\n    return x[0] + 4\n", "def f(x):  # same\n    return x[0] + 4\n", "def f(x):\n    return x[1] + 4\n"]
    built = ScopedBuilder(judge).build([Attempt(CALL, source, passed=False) for source in sources])
    assert len(built.items) == 1
    assert set(built.dropped) <= {"duplicate", "enough"}
    assert sum(built.dropped.values()) == 2


def output_item(value, problem=CALL):
    return PredictionItem("i", "output", problem, "", problem.public_tests[0], value)


def test_a_copy_of_the_input_is_trivial():
    trivial = TrivialFilter()
    assert trivial.is_trivial(output_item([5, 6, 7]))
    assert not trivial.is_trivial(output_item([5, 6]))


def test_the_commonest_value_of_a_type_is_trivial_once_it_is_known():
    trivial = TrivialFilter(least=5)
    for value in (1, 1, 1, 2, 3):
        trivial.add(output_item(value))
    assert trivial.is_trivial(output_item(1))
    assert not trivial.is_trivial(output_item(2))
    assert not trivial.is_trivial(output_item(True))


def test_private_inputs_are_never_run(judge):
    item = build(judge, "def f(x):\n    t = sum(x)\n    return t\n").items[0]
    assert item.test == CALL.public_tests[0]
    assert "99" not in str(item.to_dict())


def test_standard_input_programs_are_asked_too(judge):
    item = build(judge, "n = int(input())\nfor k in range(n):\n    n += k\nprint(n)\n", READ).items[0]
    assert (item.output, item.values) == ("6", {"n": 6, "k": 2})
