"""In a batch one process runs the test code of many submissions: none finds what another one's test or words have left."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeenv.judge import Judge, JudgeRequest, Report, Verdict
from codeenv.problems.problem import CodeTest, Limits, Problem
from codeenv.sandbox import levels
from codeenv.sandbox.inside import testcode

LIMITS = Limits(time_limit_s=0.5, memory_mb=256, output_kb=256)
RIGHT = "def f(x): return x + 1"
WRONG = "def f(x): return x"


@pytest.fixture(scope="module", params=["namespaces", "landlock", "docker"])
def judge(request: pytest.FixtureRequest) -> Iterator[Judge]:
    if reason := levels.check(request.param):
        pytest.skip(reason)
    with Judge(sandbox=request.param, workers=1, isolation="batch") as judge:
        yield judge


def problem(test: str) -> Problem:
    return Problem("p", "", "call", "f", private_tests=(CodeTest(f"{test}\nassert f(1) == 2\n"),), limits=LIMITS)


def judged(judge: Judge, *pairs: tuple[str, str]) -> list[Report]:
    """The reports of (test code, submission), one after another on one worker."""
    return judge.judge_many([JudgeRequest(problem(test), f"{source}\n# {number}") for number, (test, source) in enumerate(pairs)])


WHO = "import os\nassert f(1) == 2, f'process {os.getpid()}'"


def process_of(report: Report) -> str:
    return report.results[0].error.split("process ")[1].split()[0]


def test_the_test_code_of_a_batch_runs_in_one_process(judge: Judge) -> None:
    reports = judged(judge, (WHO, WRONG), ("", RIGHT), (WHO, WRONG), ("", "def f(x): return 1 / 0"), (WHO, WRONG))
    assert len({process_of(report) for report in reports[::2]}) == 1
    assert [report.verdict for report in reports[1::2]] == [Verdict.ACCEPTED, Verdict.RUNTIME_ERROR]


def test_without_a_batch_each_test_code_runs_in_a_process_of_its_own() -> None:
    with Judge(workers=1) as judge:
        assert len({process_of(report) for report in judged(judge, (WHO, WRONG), (WHO, WRONG))}) == 2


def test_a_process_is_replaced_after_some_uses(judge: Judge) -> None:
    assert len({process_of(report) for report in judged(judge, *[(WHO, WRONG)] * 50)}) > 1


CHANGES = {
    "a function of a module": ("import math\nmath.sqrt = lambda x: 7", "import math\nassert math.sqrt(4) == 2"),
    "a builtin": ("import builtins\nbuiltins.hex = lambda x: 7", "assert hex(1) == '0x1'"),
    "a builtin, by another name": ("__builtins__.hex = lambda x: 7", "assert hex(1) == '0x1'"),
    "a builtin, by its dictionary": ("vars(__builtins__)['hex'] = lambda x: 7", "assert hex(1) == '0x1'"),
    "a new builtin": ("import builtins\nbuiltins.left = 1", "assert not hasattr(__builtins__, 'left')"),
    "the recursion limit": ("import sys\nsys.setrecursionlimit(60)", "import sys\nassert sys.getrecursionlimit() > 900"),
    "the path": ("import sys\nsys.path.insert(0, '/left')", "import sys\nassert '/left' not in sys.path"),
    "the arguments": ("import sys\nsys.argv.append('left')", "import sys\nassert 'left' not in sys.argv"),
    "a module that it loads": (
        "import fractions\nfractions.Fraction.left = 1",
        "import fractions\nassert not hasattr(fractions.Fraction, 'left')",
    ),
    "a module that it takes away": ("import sys\ndel sys.modules['heapq']", "import sys\nassert 'heapq' in sys.modules"),
    "a module that it puts there": (
        "import sys, types\nsys.modules['left'] = types.ModuleType('left')",
        "import sys\nassert 'left' not in sys.modules",
    ),
    "the environment": ("import os\nos.environ['LEFT'] = '1'", "import os\nassert 'LEFT' not in os.environ"),
    "the working folder": (
        "import os\nos.chdir(os.path.dirname(os.__file__))",
        "import os\nassert os.getcwd() != os.path.dirname(os.__file__)",
    ),
    "random numbers": ("import random\nrandom.seed(5)", "import random\nassert random.random() == 0.8444218515250481"),
    "random numbers that are drawn": (
        "import random\nrandom.random()",
        "import random\nassert random.random() == 0.8444218515250481",
    ),
    "a signal": (
        "import signal\nsignal.signal(signal.SIGALRM, print)",
        "import signal\nassert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL",
    ),
    "an alarm": ("import signal\nsignal.alarm(1)", "import signal\nassert signal.alarm(0) == 0"),
    "an exit function": ("import atexit\natexit.register(print)", "import atexit\nassert atexit._ncallbacks() == 0"),
    "a thread": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        "import threading\nassert threading.active_count() == 1",
    ),
    "garbage collection": ("import gc\ngc.disable()", "import gc\nassert gc.isenabled()"),
    "a trace function": ("import sys\nsys.settrace(lambda *a: None)", "import sys\nassert sys.gettrace() is None"),
    "warnings": (
        "import warnings\nwarnings.simplefilter('error')",
        "import warnings\nassert not any(item[0] == 'error' for item in warnings.filters)",
    ),
    "an open file": (
        "import os\nleft = os.open('/dev/null', 0)",
        "import os\nfree = os.dup(0)\nos.close(free)\nassert free < 120",
    ),
    "its own output": ("import sys\nsys.stdout = None", "import sys\nassert sys.stdout is not None"),
    "printed text": ("print('left ' * 1000)", "import os\nassert os.lseek(1, 0, 1) == 0"),
    "a limit": (
        "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))",
        "import resource\nassert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 3",
    ),
    "a variable": ("left = 1", "assert 'left' not in globals()"),
    "the module of the tests": (
        "import sys\nsys.modules['tests'].left = 1",
        "import sys\nassert not hasattr(sys.modules['tests'], 'left')",
    ),
    "a function of its own": (
        "def candidate(): pass\ndef helper(): pass",
        "assert 'helper' not in globals() and candidate(1) == 2",
    ),
    "a great deal of memory": ("left = bytearray(100 << 20)\nleft[::4096] = bytes(len(left[::4096]))", "pass"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_what_test_code_changes_is_as_it_was_for_the_next_one(judge: Judge, name: str) -> None:
    change, look = CHANGES[name]
    reports = judged(judge, (look, RIGHT), (change, RIGHT), (look, RIGHT), (look, WRONG), (look, RIGHT))
    verdicts = [report.verdict.value for report in reports]
    assert verdicts == ["accepted", "accepted", "accepted", "wrong_answer", "accepted"], reports


def frame(*message: object) -> bytes:
    text = json.dumps(message).encode()
    return struct.pack("<I", len(text)) + text


WORDS = f"import os\nwrong, answer = {frame('value', 7, [])!r}, {frame('value', 2, [])!r}\n"
"""A wrong answer for its own test, which reads one word, and right ones for whoever reads on."""
HOSTILE = {
    "answers that nobody asked for": WORDS + "def f(x):\n    os.write(4, wrong + answer * 100)\n    return x",
    "answers, and no further word": WORDS + "os.write(4, wrong + answer * 1000)\nos._exit(0)",
    "half a frame": WORDS + "def f(x):\n    os.write(4, answer[:7])\n    os._exit(0)",
    "a frame that promises more": "import os\ndef f(x):\n    os.write(4, b'\\xff\\xff\\xff\\x00[')\n    os._exit(0)",
    "a closed connection": "import os\ndef f(x):\n    os.close(4)\n    return x",
    "a connection that is shut": (
        "import ctypes\n_libc = ctypes.CDLL(None)\ndef f(x):\n    _libc.syscall(48, 4, 2)\n    return x"
    ),
    "every descriptor written to": (
        WORDS + "def f(x):\n    for n in range(1024):\n        try:\n            os.write(n, wrong + answer * 50)\n"
        "        except OSError:\n            pass\n    return x"
    ),
    "a full connection": (
        WORDS + "def f(x):\n    os.set_blocking(4, False)\n    os.write(4, wrong)\n    try:\n"
        "        while True: os.write(4, answer * 1000)\n"
        "    except OSError:\n        return x"
    ),
    "a deep value": "def f(x):\n    a = []\n    for _ in range(99): a = [a]\n    return a",
    "a huge integer": "def f(x): return 1 << 4_000_000",
    "a huge text": "def f(x): return 'x' * 15_000_000",
    "many keys": "def f(x): return {str(n): n for n in range(200_000)}",
    "a set that collides": "def f(x): return {n * (2 ** 61 - 1) for n in range(1, 3000)}",
    "an exception with a long message": "def f(x): raise ValueError('x' * 1_000_000)",
    "an exception that stops iterations": "def f(x): raise StopIteration(2)",
    "an exception of a name that it chooses": "class KeyboardInterrupt(Exception): pass\ndef f(x): raise KeyboardInterrupt",
    "an object that equals everything": (
        "class E:\n    __eq__ = lambda s, o: True\n    __hash__ = lambda s: 0\ndef f(x): return E()"
    ),
    "a loop": "def f(x):\n    while True: pass",
    "a sleep": "import time\ndef f(x): time.sleep(60)",
    "a signal to everybody": "import os\ndef f(x):\n    for pid in (-1, 0, *range(2, 200)):\n        try: os.kill(pid, 9)\n"
    "        except OSError: pass\n    return x",
    "another group": "import os\ndef f(x):\n    try: os.setpgid(0, 0)\n    except OSError: return x\n    return 2",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_submission_does_not_change_the_next_verdict(judge: Judge, name: str) -> None:
    hostile = HOSTILE[name]
    reports = judged(judge, ("", hostile), ("", WRONG), ("", RIGHT), ("", hostile), ("", RIGHT), ("", WRONG))
    assert [report.accepted for report in reports] == [False, False, True, False, True, False], reports
    assert not any(report.verdict is Verdict.JUDGE_ERROR for report in reports), reports
    assert reports[1].verdict is Verdict.WRONG_ANSWER


def test_an_object_that_test_code_keeps_cannot_speak_to_the_next_submission(judge: Judge) -> None:
    """Kept where no comparison finds it: in a list that a function of the standard library has as a default."""
    keep = "import heapq\nheapq.merge.__kwdefaults__['left'] = f"
    use = "import heapq\nleft = heapq.merge.__kwdefaults__.get('left')\nassert left is None or left(1) == 2"
    reports = judged(judge, (keep, RIGHT), (use, RIGHT), ("", RIGHT), ("", WRONG))
    assert not reports[1].accepted or "left" not in (reports[1].results[0].error or "")
    assert [report.verdict for report in reports[2:]] == [Verdict.ACCEPTED, Verdict.WRONG_ANSWER]


def test_compiled_test_code_is_found_by_its_whole_text_and_begins_anew_when_the_file_is_full(tmp_path: Path) -> None:
    files = [os.open(tmp_path / name, os.O_RDWR | os.O_CREAT) for name in ("index", "store")]

    def value(text: str, name: str = "tests.py") -> object:
        names: dict[str, object] = {}
        exec(testcode.Compiler(*files).compiled(text, name), names)
        return names["x"]

    assert [value(f"x = {number}") for number in (1, 2, 1, 2)] == [1, 2, 1, 2]
    size = os.fstat(files[1]).st_size
    assert value("x = 1") == 1
    assert os.fstat(files[1]).st_size == size  # found, not compiled again
    assert value("x = __file__ if 0 else 1", "starter.py") == 1
    loud = testcode.Compiler(*files)
    assert [(loud.compiled(text, "tests.py"), loud.loud)[1] for text in ("x = 1", "import os\nx = 1")] == [False, True]
    again = testcode.Compiler(*files)
    again.compiled("import os\nx = 1", "tests.py")
    assert again.loud  # what it may do is known of code that was found, too
    os.ftruncate(files[1], os.fstat(files[1]).st_size - 5)  # the end of a process that wrote
    assert value("import os\nx = 1") == 1
    for number in range(12):
        assert value(f"x = {number}\n# {'y' * 1_000_000}") == number
    assert os.fstat(files[1]).st_size < 9 << 20
    assert value("x = 1") == 1
