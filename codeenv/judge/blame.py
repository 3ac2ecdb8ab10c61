"""Whose failure it is when a problem's own checker fails on an output: the checker's, or that of the output it was given.

The package format calls every failure of a checker an error of the judge. For a policy that learns, an output that crashes a
checker would then be an episode without a loss. So a checker that fails is asked again, and then asked about the problem's own
answer to the same test: if it accepts that one, it works, and the output that it cannot read is a wrong answer. Else the failure
is the problem's and the verdict stays `judge_error`. A checker that takes too long is not asked about more outputs of
the same submission, and not at all any more if it takes too long on the problem's own answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from codeenv.judge.outcomes import Outcome
from codeenv.judge.prepared import Prepared, PreparedTest
from codeenv.judge.verdict import Verdict
from codeenv.problems.problem import Checker

__all__ = ["FAULT_OF_OUTPUT", "FAULT_OF_TALK", "LEAST_S", "Answer", "Ask", "Blame"]

_KEPT = 4096
LEAST_S = 10.0
"""CPU seconds that a checker has for an output at least."""
FAULT_OF_OUTPUT = "the problem's checker fails on this output, and accepts the problem's own answer"
FAULT_OF_TALK = "the problem's interactor failed on what the submission said to it"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a checker said about an output.

    Attributes:
        verdict: `ACCEPTED`, `WRONG_ANSWER` or `JUDGE_ERROR`.
        error: a message about it.
        slow: whether it failed by taking too long.
    """

    verdict: Verdict
    error: str = ""
    slow: bool = False


Pair: TypeAlias = tuple[PreparedTest, Outcome]
Ask: TypeAlias = Callable[[Prepared, list[Pair]], list[Answer]]
"""Asks a checker about outputs, in order; it may stop behind the first answer that is slow."""


class Blame:
    """Settles what checkers said, and remembers what they say about the problems' own answers. Thread-safe."""

    def __init__(self) -> None:
        self._own: dict[tuple[Checker, str], Answer] = {}
        self._given_up: dict[Checker, str] = {}
        self._lock = threading.Lock()

    def settle(self, prepared: Prepared, pairs: list[Pair], ask: Ask) -> list[tuple[Verdict, str]]:
        """Ask about outputs and return the verdict and the message for each."""
        if reason := self._given_up.get(prepared.checker):
            return [(Verdict.JUDGE_ERROR, reason)] * len(pairs)
        settled: list[tuple[Verdict, str]] = []
        for pair, answer in zip(pairs, ask(prepared, pairs), strict=False):
            failed = answer.verdict is Verdict.JUDGE_ERROR
            settled.append(self._failed(prepared, pair, answer, ask) if failed else (answer.verdict, answer.error))
        return settled + settled[-1:] * (len(pairs) - len(settled))

    def _failed(self, prepared: Prepared, pair: Pair, answer: Answer, ask: Ask) -> tuple[Verdict, str]:
        if not answer.slow:
            answer = ask(prepared, [pair])[0]
            if answer.verdict is not Verdict.JUDGE_ERROR:
                return answer.verdict, answer.error
        own = self._on_own_answer(prepared, pair[0], ask)
        if own.verdict is Verdict.ACCEPTED:
            return Verdict.WRONG_ANSWER, FAULT_OF_OUTPUT
        if own.slow:
            with self._lock:
                self._given_up[prepared.checker] = f"{own.error} (on the problem's own answer; it is not asked again)"
        return Verdict.JUDGE_ERROR, answer.error

    def _on_own_answer(self, prepared: Prepared, test: PreparedTest, ask: Ask) -> Answer:
        key = (prepared.checker, repr((test.data, test.expected)))
        found = self._own.get(key)
        if found is None:
            found = ask(prepared, [(test, Outcome(None, test.expected))])[0]
            with self._lock:
                if len(self._own) >= _KEPT:
                    self._own.clear()
                self._own[key] = found
        return found
