"""Output validators and interactors of contest packages: programs that judge an output, or talk with a submission and judge it.

They follow the problem package format of ICPC and Kattis: arguments are the input, the answer and a feedback folder; exit status
42 accepts and 43 rejects, and any other end is a failure of the problem. A validator with several passes accepts a pass and
writes the next one's input to `nextpass.in`.
"""

from __future__ import annotations

import marshal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from codeenv.judge import blame
from codeenv.judge.outcomes import ERROR_CHARACTERS, bounded, signal_name
from codeenv.judge.verdict import Verdict
from codeenv.problems.languages import LANGUAGES
from codeenv.problems.problem import Checker
from codeenv.sandbox.foreign import Foreign
from codeenv.sandbox.toolchains import source_name
from codeenv.sandbox.units import CPU_LIMIT, EXITED, IDLE_LIMIT, SIGNALLED, Kind, Run, Unit

__all__ = ["Judgement", "Validator", "judgement", "program_name"]

_ACCEPT, _REJECT = 42, 43
_NEXT = "feedback/nextpass.in"
_TEAM = "feedback/teammessage.txt"
_MEMORY = 1 << 30
_OUTPUT = 1 << 24


@dataclass(frozen=True)
class Judgement:
    """What a validator said.

    Attributes:
        verdict: `ACCEPTED`, `WRONG_ANSWER` or `JUDGE_ERROR`.
        error: the message for the team, or why the validator failed.
        feedback: the files of its feedback folder.
        ended: when it ended, on the machine's monotonic clock.
        slow: whether it failed by taking too long.
    """

    verdict: Verdict
    error: str = ""
    feedback: Mapping[str, bytes] = field(default_factory=dict)
    ended: float = 0.0
    slow: bool = False

    @property
    def next_input(self) -> bytes | None:
        """The input of the next pass, `None` if there is none."""
        return self.feedback.get(_NEXT) if self.verdict is Verdict.ACCEPTED else None


class Validator:
    """The validator or interactor of a problem, compiled.

    Raises:
        SandboxError: its language cannot be had here.
        WorkerLost: the compiler's worker was lost twice.
    """

    def __init__(self, sandbox: Foreign, checker: Checker, time_limit_s: float) -> None:
        self.language = checker.language
        self._sandbox = sandbox
        self._time_s = max(blame.LEAST_S, 2 * time_limit_s)
        source = checker.program or ""
        name = source_name(checker.language, source)
        suffixes = LANGUAGES[checker.language].suffixes
        own = checker.language != "python"
        sources = {other: text.encode() for other, text in checker.files if own and PurePath(other).suffix in suffixes}
        self._beside = {other: text.encode() for other, text in checker.files if not own}
        others = {other: text.encode() for other, text in checker.files if other not in sources}
        compiled = sandbox.compile(checker.language, {name: source.encode(), **sources}, others)
        self._artifact = compiled.artifact
        self.failure = "" if compiled.artifact else f"the problem's validator does not compile: {compiled.error}"
        first = [name] if program_name(checker.language, source) else []
        self._words = [*first, "/tmp/judge.in", "/tmp/judge.ans", "/tmp/feedback/", *checker.flags]

    def unit(self, kind: Kind, given: str, expected: str, output: str, feedback: Mapping[str, bytes]) -> Unit:
        """Return the unit of work that judges an output, or plays the judge's side of a conversation."""
        files = {**self._beside, "judge.in": _bytes(given), "judge.ans": _bytes(expected), **feedback}
        bundle = marshal.dumps((files, _bytes(output)), 2)
        return Unit(kind, self._artifact, "\n".join(self._words), (bundle,), time_s=self._time_s, memory=_MEMORY, output=_OUTPUT)

    def check(self, given: str, expected: str, output: str, feedback: Mapping[str, bytes] | None = None) -> Judgement:
        """Judge an output.

        Raises:
            WorkerLost: twice in a row.
        """
        if self.failure:
            return Judgement(Verdict.JUDGE_ERROR, self.failure)
        runs = self._sandbox.run(self.language, self.unit("validate", given, expected, output, feedback or {}))
        return judgement(runs[0])


def program_name(language: str, source: str) -> str:
    """Return the file name under which a program is started, empty where it is started by itself."""
    return source_name(language, source) if language in ("javascript", "python") else ""


def judgement(run: Run) -> Judgement:
    """Return what a validator's run says."""
    ended, feedback = left_by(run)
    if run.reason == EXITED and run.code in (_ACCEPT, _REJECT):
        verdict = Verdict.ACCEPTED if run.code == _ACCEPT else Verdict.WRONG_ANSWER
        return Judgement(verdict, _text(feedback.get(_TEAM, b"")), feedback, ended)
    how = f"exit status {run.code}" if run.reason == EXITED else "its time limit"
    how = f"signal {signal_name(run.code)}" if run.reason == SIGNALLED else how
    said = _text(run.stderr)
    reason = f"the problem's validator ended with {how}, not 42 or 43: {said}".rstrip(": ")
    return Judgement(Verdict.JUDGE_ERROR, reason, feedback, ended, slow=run.reason in (CPU_LIMIT, IDLE_LIMIT))


def left_by(run: Run) -> tuple[float, dict[str, bytes]]:
    """Return when a run ended, and the files of its feedback folder."""
    try:
        ended, files = marshal.loads(run.value)
    except (ValueError, EOFError, TypeError):
        return 0.0, {}
    return float(ended), {f"feedback/{name}": data for name, data in files.items()}


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(data: bytes) -> str:
    return bounded(data.decode("utf-8", "replace").strip(), ERROR_CHARACTERS)
