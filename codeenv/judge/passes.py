"""Problems whose tests are more than one run: conversations with an interactor, and runs in several passes."""

from __future__ import annotations

import marshal
import signal
from collections.abc import Mapping
from dataclasses import dataclass

from codeenv.judge.outcomes import Outcome
from codeenv.judge.prepared import PreparedTest
from codeenv.judge.program import foreign_outcome
from codeenv.judge.validators import Judgement, Validator, judgement, left_by
from codeenv.judge.verdict import Verdict
from codeenv.problems.problem import Checker
from codeenv.sandbox.foreign import Foreign
from codeenv.sandbox.inside.native import CRASH_DELAY_S
from codeenv.sandbox.toolchains import toolchain
from codeenv.sandbox.units import SIGNALLED, Kind, Unit, WorkerLost

__all__ = ["NOTHING", "Passes"]

NOTHING = marshal.dumps(({}, b""), 2)
_NEXT = "feedback/nextpass.in"


@dataclass(frozen=True)
class Passes:
    """A compiled submission and the program that judges it, test by test.

    Attributes:
        sandbox: where both run.
        language: the submission's language.
        unit: its unit of work; the tests in it do not count.
        validator: the validator or interactor.
        checker: the problem's.
    """

    sandbox: Foreign
    language: str
    unit: Unit
    validator: Validator
    checker: Checker

    def run(self, test: PreparedTest) -> tuple[Outcome, Verdict, str]:
        """Return the outcome of a test, its verdict and a message.

        Raises:
            WorkerLost: twice in a row.
        """
        if self.validator.failure:
            return Outcome(None), Verdict.JUDGE_ERROR, self.validator.failure
        given = str(test.shown_input)
        feedback: Mapping[str, bytes] = {}
        for _ in range(self.checker.passes):
            try:
                outcome, said = self._pass(given, str(test.expected), feedback)
            except WorkerLost:
                outcome, said = self._pass(given, str(test.expected), feedback)
            if said.verdict is not Verdict.ACCEPTED or said.next_input is None:
                return outcome, said.verdict, said.error
            given = said.next_input.decode("utf-8", "surrogateescape")
            feedback = {name: data for name, data in said.feedback.items() if name != _NEXT}
        return outcome, Verdict.JUDGE_ERROR, f"the problem's validator asked for more than {self.checker.passes} passes"

    def _pass(self, given: str, expected: str, feedback: Mapping[str, bytes]) -> tuple[Outcome, Judgement]:
        if self.checker.kind == "interactor":
            return self._conversation(given, expected, feedback)
        unit = _with_test(self.unit, "stdio", given.encode("utf-8", "surrogateescape"))
        run = self.sandbox.run(self.language, unit)[0]
        outcome = foreign_outcome(run, unit, toolchain(self.language))
        if outcome.verdict is not None:
            return outcome, Judgement(outcome.verdict)
        return outcome, self.validator.check(given, expected, outcome.value, feedback)

    def _conversation(self, given: str, expected: str, feedback: Mapping[str, bytes]) -> tuple[Outcome, Judgement]:
        """Let the two programs talk; if both fail, the one that ended first decides."""
        unit = _with_test(self.unit, "piped", NOTHING)
        judging = self.validator.unit("piped", given, expected, "", feedback)
        run, other = self.sandbox.interact(self.language, unit, self.validator.language, judging)
        outcome = foreign_outcome(run, unit, toolchain(self.language))
        said = judgement(other)
        first = said.ended < left_by(run)[0] + CRASH_DELAY_S
        if outcome.verdict is None:
            if said.verdict is Verdict.JUDGE_ERROR and left_by(run)[0] < said.ended and "BrokenPipe" in said.error:
                return outcome, Judgement(Verdict.WRONG_ANSWER, "the submission ended before the conversation did")
            return outcome, said
        if said.verdict is Verdict.WRONG_ANSWER and first:
            return outcome, said
        if said.verdict is Verdict.ACCEPTED and run.reason == SIGNALLED and run.code == signal.SIGPIPE:
            return outcome, said  # it went on talking after it had been accepted
        return outcome, Judgement(outcome.verdict)


def _with_test(unit: Unit, kind: Kind, test: bytes) -> Unit:
    return Unit(kind, unit.source, unit.entry, (test,), time_s=unit.time_s, memory=unit.memory, output=unit.output)
