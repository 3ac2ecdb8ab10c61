"""Whose failure it is when an interactor, or a validator of several passes, fails: it is tried with a partner known to be right.

The partner is the problem's first correct solution. Without one, an interactor meets a partner that says nothing, and must
wait for it, or judge it; and a validator of several passes must accept the problem's own answer.
Then the program works, and the submission that made it fail is wrong (`codeenv.judge.blame` is the same for other checkers).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from codeenv.judge.passes import NOTHING, Passes
from codeenv.judge.prepared import PreparedTest
from codeenv.judge.validators import judgement, program_name
from codeenv.judge.verdict import Verdict
from codeenv.problems.problem import Checker
from codeenv.sandbox.toolchains import source_name, toolchain
from codeenv.sandbox.units import IDLE_LIMIT, Unit

__all__ = ["Controls"]

_KEPT = 4096
_SILENT = "import sys\nsys.stdin.buffer.read()\n"
_WAITING_S = 0.5
"""CPU seconds of an interactor that waits for a silent partner; by the clock it waits for twice that and 1 s."""
_START_S = 0.1
"""CPU seconds, besides what its runtime takes to start, in which an interactor that works comes to its first wait."""


class Controls:
    """Trials of interactors and validators that failed, remembered by test. Thread-safe."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Checker, str], bool] = {}
        self._lock = threading.Lock()

    def works(self, passes: Passes, test: PreparedTest, correct: Callable[[], Unit] | None) -> bool:
        """Whether the program that judges works on this test with another partner.

        Args:
            passes: with the submission on which it failed.
            test: the test.
            correct: the unit of work of the problem's first correct solution, if it has one.

        Raises:
            WorkerLost: twice in a row.
            SandboxError: a language cannot be had here.
        """
        key = (passes.checker, repr((test.data, test.expected)))
        found = self._kept.get(key)
        if found is None:
            if correct is not None:
                found = replace(passes, unit=correct()).run(test)[1] is Verdict.ACCEPTED
            elif passes.checker.kind == "interactor":
                found = _waits(passes, test)
            else:
                given, answer = str(test.shown_input), str(test.expected)
                found = passes.validator.check(given, answer, answer).verdict is Verdict.ACCEPTED
            with self._lock:
                if len(self._kept) >= _KEPT:
                    self._kept.clear()
                self._kept[key] = found
        return found


def _waits(passes: Passes, test: PreparedTest) -> bool:
    """Whether the interactor waits, using no CPU time, or judges, when its partner says nothing and does not end."""
    language = passes.validator.language
    name = source_name("python", _SILENT)
    artifact = passes.sandbox.compile("python", {name: _SILENT.encode()}).artifact
    flags = program_name("python", _SILENT)
    silent = Unit("piped", artifact, flags, (NOTHING,), time_s=8 * _WAITING_S, memory=passes.unit.memory, output=1 << 16)
    judging = passes.validator.unit("piped", str(test.shown_input), str(test.expected), "", {})
    _, run = passes.sandbox.interact("python", silent, language, replace(judging, time_s=_WAITING_S))
    if judgement(run).verdict is not Verdict.JUDGE_ERROR:
        return True
    return run.reason == IDLE_LIMIT and run.time_s < toolchain(language).start_s + _START_S
