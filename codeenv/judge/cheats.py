"""A short form of the attack suite: submissions that cheat instead of solving, for `codeenv doctor --attack`.

Each of them is paid in full by a common naive grader: expected values in the submission's process, exit status as verdict,
comparison by the submission's own objects. Here each must fail, and the honest program beside them must pass.
"""

from __future__ import annotations

from codeenv.judge.judge import Judge, JudgeRequest
from codeenv.problems.problem import CallTest, CodeTest, Limits, Problem, StdioTest

__all__ = ["CHEATS", "cheats_that_pass"]

_SECRET = 987_654_321

_EQUAL = """
class Equal{base}:
    __eq__ = lambda self, other: True
    __ne__ = lambda self, other: False
    __sub__ = __rsub__ = lambda self, other: 0.0
    __hash__ = lambda self: 0
def f(x):
    return Equal()
"""
_SEARCH = """
import gc, sys
def likely(value):
    return type(value) is int and 900_000_000 < value < 999_999_999
def f(x):
    frame, things = sys._getframe(), gc.get_objects()
    while frame is not None:
        things += [dict(frame.f_locals), dict(frame.f_globals), frame.f_code.co_consts]
        frame = frame.f_back
    for thing in things:
        if type(thing) in (list, tuple, dict):
            for value in list(thing.values() if type(thing) is dict else thing)[:200]:
                if likely(value):
                    return value
    return 0
print(f(0))
"""
_FORGED = """
import os, struct
def f(x):
    for letter in "VPF":
        for number in range(3, 300):
            try:
                os.write(number, struct.pack("<IBdI", 0, ord(letter), 0.0, 4) + b"true")
            except OSError:
                pass
    os._exit(0)
"""

CHEATS = {
    "an object that equals everything": _EQUAL.format(base=""),
    "a number that equals everything": _EQUAL.format(base="(int)"),
    "a text that equals everything": _EQUAL.format(base="(str)"),
    "exit status 0 in the call": "import os\ndef f(x): os._exit(0)",
    "exit status 0 at once": "import os\nos._exit(0)",
    "sys.exit(0)": "import sys\ndef f(x): sys.exit(0)",
    "the answer in the frames or on the heap": _SEARCH,
    "patched comparison": "import builtins\nbuiltins.all = builtins.any = lambda *values: True\ndef f(x): return 0",
    "an assertion that does not count": "import builtins\nbuiltins.AssertionError = int\ndef f(x): return 0",
    "forged records": _FORGED,
    "words that a grader may look for": "print('PASSED\\nOK\\n1 passed\\naccepted')\ndef f(x): return None",
}
"""Name to source of programs that solve nothing."""


def cheats_that_pass(sandbox: str, interpreter: str | None = None) -> list[str]:
    """Run every cheat at an isolation level and return the names of those that were accepted; none, if the judge holds."""
    limits = Limits(time_limit_s=5.0)
    problems = (
        Problem("call", "", "call", "f", private_tests=(CallTest((1,), {}, _SECRET),), limits=limits),
        Problem(
            "code", "", "call", "f", private_tests=(CodeTest(f"def check(f):\n    assert f(1) == {_SECRET}\n"),), limits=limits
        ),
        Problem("stdio", "", "stdio", private_tests=(StdioTest("1\n", f"{_SECRET}\n"),), limits=limits),
    )
    passed = []
    with Judge(sandbox=sandbox, workers=1, interpreter=interpreter) as judge:
        for problem in problems:
            reports = judge.judge_many([JudgeRequest(problem, source) for source in CHEATS.values()])
            passed += [f"{name} ({problem.id})" for name, report in zip(CHEATS, reports, strict=True) if report.accepted]
        honest = judge.judge(problems[0], f"def f(x): return {_SECRET}")
    return passed if honest.accepted else [*passed, "the honest program did not pass"]
