"""The texts of a trace: what they say, how they are shortened, and that they fit."""

from __future__ import annotations

import pytest
from traced_run import run

from codeenv.trace import TraceError, render
from codeenv.trace.events import Event, Footer, Header, Trace
from codeenv.trace.selection import count_tokens

LONG = """\
def collatz(n):
    steps = 0
    while n != 1:
        if n % 2 == 0:
            n //= 2
        else:
            n = 3 * n + 1
        steps += 1
    return steps

best = 0
for start in range(1, 75001):
    length = collatz(start)
    if length > best:
        best = length
print(best)
words = {}
words["missing"] += 1
"""


@pytest.fixture(scope="module")
def trace():
    return run(LONG).trace


def test_left_out_iterations_are_counted(trace):
    text = render(trace, LONG, budget_tokens=10**6)
    assert "74,997 more iterations" in text
    assert "ended after 75,000 iterations: start=75000" in text


def test_the_failure_is_in_every_rendering_however_short(trace):
    for style in ("inline", "steps", "final"):
        for budget in (2000, 700, 400, 200, 100, 40):
            assert "KeyError" in render(trace, LONG, style, budget), (style, budget)


@pytest.mark.parametrize("style", ["inline", "steps", "final"])
@pytest.mark.parametrize("budget", [16, 30, 64, 150, 512, 4000])
def test_a_rendering_fits_its_budget_and_is_the_same_each_time(trace, style, budget):
    text = render(trace, LONG, style, budget)
    assert count_tokens(text) <= budget
    assert text == render(trace, LONG, style, budget)


def test_shortened_renderings_say_so(trace):
    assert "far from the end are left out" in render(trace, LONG, "inline", 330)
    assert "events left out" in render(trace, LONG, "steps", 300)
    assert "more variables" in render(trace, LONG, "final", 40)


def test_a_killed_program_says_that_it_was_stopped():
    source = "def f():\n    n = 0\n    while n >= 0:\n        n += 1\n    return n\nf()\n"
    trace = run(source, kill_after_s=0.7).trace
    text = render(trace, source)
    assert "the program was stopped before its end" in text
    assert "    return n  # not run" in text


def test_lines_first_run_after_the_recorded_iterations_are_told_apart_from_those_never_run():
    source = "for i in range(10):\n    if i == 7:\n        late = i\n    if i == 11:\n        never = i\n"
    text = render(run(source).trace, source)
    assert "late = i  # ... (9) late=7" in text
    assert "never = i  # not run" in text


def test_a_comment_stands_behind_the_last_line_of_its_statement():
    source = "x = [\n    1,\n    2,\n]\ny = '''a\nb'''\n"
    assert render(run(source).trace, source) == "x = [\n    1,\n    2,\n]  # (0) x=[1, 2]\ny = '''a\nb'''  # (1) y='a\\nb'"


def test_a_bad_style_or_budget_is_refused(trace):
    with pytest.raises(TraceError, match="use one of inline, steps, final"):
        render(trace, LONG, "fancy")
    with pytest.raises(TraceError, match="at least 16"):
        render(trace, LONG, "inline", 3)


def test_what_functions_were_called_with_stays_when_comments_are_left_out():
    source = "def f(given):\n" + "".join(f"    v{k} = given * {k}\n" for k in range(60)) + "    return v59\nf(7)\n"
    text = render(run(source).trace, source, budget_tokens=700)
    assert "are left out" in text
    assert "given=7" in text.split("\n")[0]


def test_the_arguments_of_the_first_calls_and_of_the_last_are_shown():
    source = "def f(n):\n    return f(n - 1) if n else 0\nf(9)\n"
    assert render(run(source).trace, source).split("\n")[0] == "def f(n):  # (1) n=9 (2) n=8 ... (4) n=6"


def test_a_very_long_line_is_cut_and_says_so():
    source = "x = [" + "1, " * 2000 + "]\n"
    shown = render(run(source).trace, source, budget_tokens=10**6)
    assert "more characters" in shown
    assert len(shown) < 600


def test_the_final_style_says_what_the_call_returned():
    source = "def f(n):\n    return [n] * 2\nf(3)\n"
    assert "f returned [3, 3]" in render(run(source).trace, source, "final")


def test_threads_and_their_like_are_shown_without_what_the_system_numbered():
    source = "import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()\n"
    shown = [render(run(source).trace, source, style) for style in ("inline", "steps", "final")]
    assert all("t=Thread(...)" in text or "t@2 = Thread(...)" in text or "t = Thread(...)" in text for text in shown)
    assert not any("_ident" in text for text in shown)


def test_where_a_stopped_run_stood_is_its_innermost_loops():
    source = (
        "def inner(n):\n    while n > 0:\n        n += 1\n        n += 1\n\n"
        "def outer():\n    for k in range(3):\n        inner(k)\n\nouter()\n"
    )
    stack = [
        Event(0, "k", 10, 0, {}, {"through": True, "fn": "<module>"}),
        Event(1, "k", 8, 1, {"k": "1"}, {"through": True, "fn": "outer"}),
        Event(2, "k", 4, 2, {"n": "99"}, {"fn": "inner", "loops": {"2": 123_456}}),
    ]
    trace = Trace(Header("3.11", "bounded", "", 3, 4, (2, 8, 118)), tuple(stack), Footer(end="cut"))
    lines = render(trace, source).split("\n")
    assert "stopped in this loop, after more than 100,000 iterations" in lines[1]
    assert "stopped in a call from this loop" in lines[6]
    assert "stopped in a call from here" in lines[9]
    assert "99" not in "".join(lines[:10])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("for i in range(10):\n    if i > 5:\n        print(i)\n", "print(i)  # run later"),
        ("for i in range(10):\n    if i < 5:\n        continue\n    print(i)\n", "    print(i)  # run later"),
        ("def f(i):\n    if i > 5:\n        print(i)\nfor k in range(9): f(k)\n", "print(i)  # run later"),
        ('x = {}\ntry:\n    x["k"]\nexcept* KeyError:\n    y = 1\n', 'x["k"]  # run\n'),
        (
            'from contextlib import suppress\nd = {}\nfor i in range(9):\n    with suppress(KeyError):\n        d["k"]\n',
            'd["k"]  # run',
        ),
        ("import os\nx = 1\nos.kill(os.getpid(), 9)\ny = 2\n", "9)  # run; the run ended here or later\n"),
        ("import os\ndef f():\n    os._exit(0)\nf()\n", "    os._exit(0)  # run; the run ended here or later\n"),
    ],
)
def test_a_line_without_an_event_is_run_later_only_where_that_is_known(source, said):
    text = render(run(source).trace, source)
    assert said in text + "\n"
    assert ("run later" in text) == ("run later" in said)


@pytest.mark.parametrize("hook", ["", "threading.excepthook = lambda args: print(args.exc_type.__name__)\n"])
def test_the_exception_that_ended_a_thread_is_on_its_line(hook):
    work = "def w():\n    x = 5\n    return 1 // (x - 5)\n"
    source = f"import threading\n{hook}{work}t = threading.Thread(target=w)\nt.start()\nt.join()\n"
    done, plain = run(source), run(source, "off")
    assert "by zero (ended its thread)\n" in render(done.trace, source)
    assert "by zero (ended its thread)\n" in render(done.trace, source, "steps")
    assert done.trace.footer.end == "ok"
    assert (done.behaviour, done.error_output) == (plain.behaviour, plain.error_output)
