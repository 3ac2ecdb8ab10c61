"""What a program cannot do to the recorder: make it unbounded, slow in a new order, or lose what it had."""

from __future__ import annotations

import pytest
from traced_run import Job, run, run_many

from codeenv.trace import render
from codeenv.trace.recorder import buffer_size

PILES = {
    "a long loop": "x = 0\nfor i in range(200000):\n    x += i\n",
    "many functions": "".join(f"def f{i}(n):\n    for k in range(n):\n        n += k\n    return n\n" for i in range(200))
    + "for f in [" + ",".join(f"f{i}" for i in range(200)) + "]:\n    [f(5) for _ in range(9)]\n",
    "long texts": "for i in range(50):\n    s = 'x' * 10**6\n    t = {s: [s] * 1000}\n",
    "deep nesting": "\n".join("    " * d + f"for v{d} in range(2):" for d in range(12)) + "\n" + "    " * 12 + "x = 1\n",
    "many names": "\n".join(f"name_{i} = [{i}] * 100" for i in range(3000)) + "\n",
    "a huge literal": "x = [" + "1, " * 100_000 + "]\ny = len(x)\n",
    "a long source": "x = 1\n" * 40_000,
    "many branches": "def f(x):\n"
    + "".join(f"    {'el' if i else ''}if x == {i}:\n        return {i}\n" for i in range(300))
    + "print(f(299))\n",
}  # fmt: skip


@pytest.mark.parametrize("name", PILES)
def test_a_trace_is_small_and_says_what_it_lacks(name):
    untraced, bounded, full = run_many([Job(PILES[name], mode) for mode in ("off", "bounded", "full")])
    assert bounded.behaviour == full.behaviour == untraced.behaviour
    assert len(bounded.trace.to_jsonl()) <= 64 * 1024 + 12 * PILES[name].count("\n")
    assert len(bounded.data) <= buffer_size("bounded")
    text = render(bounded.trace, PILES[name], budget_tokens=400)
    assert len(text) < 4000
    for traced in (bounded, full):
        footer = traced.trace.footer
        assert footer.end == "ok"
        if footer.dropped:
            assert "later events were not recorded" in render(traced.trace, PILES[name], "steps", 10**9)


def test_appending_to_a_text_stays_linear():
    source = "def f(n):\n    s = ''\n    for i in range(n):\n        s += 'piece '\n    return len(s)\nprint(f({n}))\n"
    small, large = run_many([Job(source.format(n=n)) for n in (100_000, 400_000)])
    assert large.output.strip() == "2400000"
    assert large.cpu_s < 12 * max(small.cpu_s, 0.02)


def test_a_full_trace_stops_recording_at_its_cap_and_the_program_goes_on_plain():
    done = run("x = 0\nfor i in range(300000):\n    x += i\nprint(x)\n", "full")
    assert done.output == "44999850000\n"
    assert done.trace.footer.dropped >= 1
    assert len(done.trace.events) == 20_000
    assert "not recorded" in render(done.trace, "x", "steps", 10**9)


def test_a_program_that_kills_itself_leaves_its_trace():
    done = run("import os, signal\nx = 5\nos.kill(os.getpid(), signal.SIGKILL)\n")
    assert dict(done.trace.events[-1].vars) == {"x": "5"}
    assert done.trace.footer.end == "cut"


def test_the_memory_limit_is_the_programs_and_its_exception_is_traced():
    source = "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))\nx = 1\ny = [0] * 10**9\n"
    done = run(source)
    assert (done.exception, done.line) == ("MemoryError", 4)
    assert (done.trace.footer.exception.type, done.trace.footer.exception.line) == ("MemoryError", 4)
