"""Training targets: their labels, the characters they are about, and that unsteady ones are dropped."""

from __future__ import annotations

import pytest
from traced_run import interpreters, run

from codeenv.trace import covered_lines, targets

SOURCE = '''\
import functools

@functools.cache
def size(é, flag=False):
    """Text of
    two lines."""
    total = [é,
             2]
    # a comment
    if flag:
        total = None

    else:
        total.append(3)
    try:
        total[9]
    except IndexError:
        pass
    finally:
        ü = len(total)
    return ü

n = size(5)
for i in range(12):
    n += i
'''


@pytest.fixture(scope="module")
def trace():
    return run(SOURCE).trace


def found(trace, kind, source=SOURCE, **options):
    return {t.key: (t.label, [source[a:b] for a, b in t.spans]) for t in targets(trace, source, **options) if t.kind == kind}


def test_every_line_has_the_state_of_the_statement_it_belongs_to(trace):
    states = covered_lines(trace, SOURCE)
    assert {line for line, run_ in states.items() if not run_} == {11, 12}
    assert {3, 5, 6, 8, 9, 13, 15, 17, 19} <= {line for line, run_ in states.items() if run_}


def test_labels_and_spans(trace):
    assert found(trace, "branch")["10"] == ("false", ["if flag:"])
    assert found(trace, "trips") == {"24": ("11-100", ["for i in range(12):"])}
    assert found(trace, "exception") == {"": ("none", [])}
    assert found(trace, "value")["<module>:n"] == ("int+:2", ["n"])
    assert found(trace, "final")["size:ü"] == ("3", ["ü"])
    assert found(trace, "final")["size:é"] == ("5", ["é"])
    spans = [t.spans for t in targets(trace, SOURCE) if t.kind == "final" and t.key == "size:ü"]
    assert SOURCE[: spans[0][0][0]].count("\n") == 19


def test_the_exception_and_its_line_are_targets():
    source = "def f(x):\n    return (x +\n            None)\nf(\n    1)\n"
    trace = run(source).trace
    assert found(trace, "exception", source) == {"": ("TypeError", ["return (x +", "None)"])}
    assert list(found(trace, "exception_line", source)) == ["2"]


def test_what_two_hash_seeds_disagree_on_is_no_target():
    source = "order = list({'a', 'b', 'c', 'd', 'e', 'f'})\nfirst = order[0]\ncount = len(order)\n"
    for version, python in interpreters().items():
        one, other = (run(source, python=python, seed=seed).trace for seed in (1, 2))
        assert "<module>:first" in found(one, "final", source), version
        if one.footer.final["<module>:first"] == other.footer.final["<module>:first"]:
            continue
        assert list(found(one, "final", source, again=other)) == ["<module>:count"]


def test_values_of_programs_that_draw_random_numbers_are_dropped_without_a_second_run():
    source = "import random\nx = random.random()\n"
    kinds = {target.kind for target in targets(run(source).trace, source)}
    assert kinds == {"covered", "exception"}
