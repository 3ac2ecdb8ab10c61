"""A traced program does what the untraced one does: the same output, exception, line and exit status."""

from __future__ import annotations

import pytest
from probe_programs import PROBES
from traced_run import Job, interpreters, run_many

MODES = ("bounded", "full", "coverage", "final")
STDIN = "3\n1 2\n3 4\n5 6\n"


@pytest.mark.parametrize("version", interpreters())
def test_no_probe_program_behaves_differently_when_it_is_traced(version):
    jobs = [Job(source, mode, STDIN) for source in PROBES.values() for mode in ("off", *MODES)]
    runs = iter(run_many(jobs, interpreters()[version]))
    different = []
    for name in PROBES:
        untraced = next(runs)
        for mode in MODES:
            traced = next(runs)
            if traced.behaviour != untraced.behaviour:
                different.append((name, mode, traced.behaviour, untraced.behaviour))
            elif mode != "coverage" and name != "a fork" and traced.error_output != untraced.error_output:
                different.append((name, mode, traced.error_output, untraced.error_output))
    assert different == []
