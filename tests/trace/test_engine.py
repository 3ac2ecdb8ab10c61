"""The bounded engine: what is recorded, that it changes nothing, and that it survives what programs do."""

from __future__ import annotations

import pytest
from traced_run import interpreters, run

PROFIT = """\
def best(prices):
    low = prices[0]
    gain = 0
    for i in range(1, len(prices)):
        change = prices[i] - low
        if change > gain:
            gain = change
            day = i
        low = min(low, prices[i])
    return gain, day

print(best([7, 1, 5, 3, 6, 4, 9]))
best([5, 4, 3, 2, 1])
"""


def rows(source, **options):
    return [event.to_row()[1:] for event in run(source, **options).trace.events]


def test_first_iterations_are_recorded_in_full_and_the_loop_end_carries_the_rest():
    trace = run(PROFIT).trace
    first = [event for event in trace.events if event.frame == 1]
    assert [dict(event.vars) for event in first if event.kind == "i"] == [{"i": "1"}, {"i": "2"}, {"i": "3"}]
    (end,) = [event for event in first if event.kind == "n"]
    assert end.extra["trips"] == 6
    assert dict(end.vars) == {"i": "6", "change": "8", "gain": "8", "day": "6"}
    assert end.extra["at"]["day"] == [8]


def test_an_uncaught_exception_is_recorded_with_the_locals_of_its_frame_and_its_line_counts_as_run():
    footer = run(PROFIT).trace.footer
    last = run(PROFIT).trace.events[-1]
    assert footer.end == "exception"
    assert (footer.exception.type, footer.exception.line) == ("UnboundLocalError", 10)
    assert dict(last.vars) == {"prices": "[5, 4, 3, 2, 1]", "low": "1", "gain": "0", "i": "4", "change": "-1"}
    assert "loops" not in last.extra  # the loop on line 4 had ended
    assert 10 in footer.covered


def test_an_exception_inside_of_loops_says_how_far_they_were():
    source = (
        "def f(n):\n    for a in range(n):\n        pass\n"
        "    for b in range(n):\n        for c in range(n):\n            1 // (7 - b * n - c)\n"
    )
    in_a_function = run(source + "f(5)\n").trace.events[-1]
    at_the_top = run(source.replace("def f(n):", "if n := 5:")).trace.events[-1]
    assert in_a_function.extra["loops"] == at_the_top.extra["loops"] == {"4": 2, "5": 3}


def test_the_trace_is_the_same_bytes_for_every_interpreter_and_hash_seed():
    source = PROFIT + "\n".join(["words = {'x', 'y', 'z', 'w'}", "pair = {frozenset('ab'), (1, 'c')}"])
    texts = {run(source, python=python, seed=seed).trace.to_jsonl().replace(f'"{version}"', "") for seed in (1, 2)
             for version, python in interpreters().items()}  # fmt: skip
    assert len(texts) == 1


@pytest.mark.parametrize("mode", ["bounded", "coverage", "full"])
def test_output_exception_and_line_are_those_of_the_untraced_run(mode):
    assert run(PROFIT, mode).behaviour == run(PROFIT, "off").behaviour


def test_what_was_recorded_before_a_kill_is_there_after_it():
    done = run("total = 0\nprint('x', flush=True)\nwhile True:\n    total += 1\n", kill_after_s=1.0)
    assert done.trace.footer.end == "cut"
    assert [dict(event.vars) for event in done.trace.events if event.line == 4] == [
        {"total": "1"},
        {"total": "2"},
        {"total": "3"},
    ]
    assert done.trace.footer.covered == (1, 2, 3, 4)


def test_a_program_cannot_see_the_recorder_among_its_names():
    source = (
        "def f(n):\n    for i in range(n):\n        pass\n    return sorted(locals())\n"
        "print(f(9), sorted(globals()), f.__code__.co_varnames[:2], dir())\n"
    )
    assert run(source).output == run(source, "off").output


def kinds(source, *wanted, **options):
    return [event for event in run(source, **options).trace.events if event.kind in wanted]


def test_turning_the_interpreters_tracer_off_loses_no_event():
    source = "import sys\nsys.settrace(None)\nx = 1\ndef f():\n    sys.settrace(None)\n    y = x + 1\n    return y\nf()\n"
    assert [event.extra["value"] for event in kinds(source, "r") if event.frame] == ["2"]
    assert {"x": "1"} in [dict(event.vars) for event in kinds(source, "l")]


def test_a_caught_exception_names_the_line_that_raised_it_and_the_handler():
    source = "def f(d):\n    return d['k']\ntry:\n    f({})\nexcept KeyError as error:\n    x = 1\n"
    raised, handled = kinds(source, "x", "h")
    assert (raised.line, raised.frame, raised.extra["type"], raised.extra["msg"]) == (2, 1, "KeyError", "'k'")
    assert (handled.line, handled.frame, dict(handled.vars)) == (5, 0, {"error": "KeyError('k')"})


def test_activations_have_numbers_parents_and_threads():
    source = (
        "import threading\ndef a(n):\n    return b(n) + 1\ndef b(n):\n    return n\na(1)\n"
        "t = threading.Thread(target=b, args=(5,)); t.start(); t.join()\n"
    )
    calls = [
        (event.extra["fn"], event.frame, event.extra["parent"], event.extra.get("thread", 0)) for event in kinds(source, "c")
    ]
    assert calls == [("a", 1, 0, 0), ("b", 2, 1, 0), ("b", 3, 0, 1)]


def test_interleaved_generators_keep_their_own_frames():
    source = (
        "def g(k):\n    for i in range(2):\n        yield k * i\na, b = g(1), g(10)\nr = [next(a), next(b), next(a), next(b)]\n"
    )
    assert [(event.frame, event.extra["value"]) for event in kinds(source, "y")] == [(1, "0"), (2, "0"), (1, "1"), (2, "10")]


def test_variables_of_the_module_that_a_function_changes_are_told_apart():
    source = "total = 0\ndef add(n):\n    global total\n    total += n\nadd(5)\n"
    trace = run(source).trace
    assert [event.extra for event in trace.events if event.line == 4 and event.kind == "l"] == [{"g": ["total"]}]
    assert trace.footer.final["<module>:total"] == (4, "5")


@pytest.mark.parametrize(
    ("body", "name", "value"),
    [
        ("    x = 1\n    x = 2\n    return x", "f:x", (0, "2")),
        ("    for i in range(10):\n        y = i * i\n    return y", "f:y", (3, "81")),
        (
            "    z = []\n    for i in range(9):\n        z.append(i)\n    raise ValueError",
            "f:z",
            (2, "[0, 1, 2, 3, 4, 5, <2 more>, 8]"),
        ),
    ],
)
def test_final_mode_gives_what_a_function_left_also_when_it_raised_and_the_line_where_only_one_can_have_set_it(body, name, value):
    source = f"def f():\n{body}\ntry:\n    for _ in range(7):\n        f()\nexcept ValueError:\n    pass\n"
    assert run(source, "final").trace.footer.final[name] == value


def test_the_last_activation_is_the_one_of_final_mode():
    source = "def f(n):\n    square = n * n\n    return square\nfor k in range(50):\n    f(k)\n"
    assert run(source, "final").trace.footer.final["f:square"] == (2, "2401")
