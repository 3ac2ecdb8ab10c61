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
    assert last.extra["loops"] == {"4": 4}
    assert 10 in footer.covered


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
