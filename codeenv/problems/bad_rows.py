"""What happens to a row that is not a problem: stop with a sentence, or write it aside and go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from codeenv.errors import CodeenvError
from codeenv.problems.plain import too_many_digits
from codeenv.problems.problem import CallTest, Problem, ProblemError, StdioTest

__all__ = ["ROW_ERRORS", "BadRows", "check_sizes", "reason_of"]

ROW_ERRORS = (
    CodeenvError, LookupError, TypeError, ValueError, AttributeError, RecursionError, OSError, SyntaxError, ArithmeticError
)  # fmt: skip
"""What a malformed row can raise while it is read and converted."""


class BadRows:
    """The policy for bad rows of one load.

    Args:
        aside: a JSONL file that receives each bad row with its reason; `None` makes the first bad row an error. It is
            written, and an older one replaced, when the first bad row is found.
        source: the file or folder that is read, if it is local; `aside` must not be in it.

    Attributes:
        reasons: one sentence for each row that was left out, in order.

    Raises:
        ProblemError: if `aside` is a folder or a part of what is read.
    """

    def __init__(self, aside: str | Path | None = None, source: Path | None = None) -> None:
        self.aside = Path(aside) if aside is not None else None
        self.reasons: list[str] = []
        if self.aside is not None:
            _check_place(self.aside, source)

    def reject(self, where: str, error: Exception, raw: Any = None) -> None:
        """Raise one sentence that starts with `where`, or write the row aside with that sentence."""
        reason = reason_of(error)
        if self.aside is None:
            raise ProblemError(f"{where}: {reason}") from None
        self.reasons.append(f"{where}: {reason}")
        try:
            self.aside.parent.mkdir(parents=True, exist_ok=True)
            with self.aside.open("w" if len(self.reasons) == 1 else "a", encoding="utf-8") as file:
                file.write(json.dumps({"where": where, "reason": reason, "row": _printable(raw)}) + "\n")
        except OSError as problem:
            raise ProblemError(f"the file for bad rows {str(self.aside)!r} cannot be written: {problem.strerror}") from None


def check_sizes(problem: Problem) -> Problem:
    """Return the problem, or raise `ProblemError` if an expected output is longer than a submission may print."""
    for which in ("public", "private"):
        for index, test in enumerate(problem.tests(which)):
            size = 0
            if isinstance(test, StdioTest):
                size = len(test.output.encode("utf-8", "surrogatepass"))
            elif isinstance(test, CallTest) and isinstance(test.expected, (str, bytes)):
                size = len(test.expected)
            if size > problem.limits.output_kb * 1024:
                raise ProblemError(
                    f"{which}_tests[{index}].output is {size / 1048576:.1f} MB, more than a submission may print "
                    f"(limits.output_kb is {problem.limits.output_kb})"
                )
    return problem


def reason_of(error: Exception) -> str:
    """Return what is wrong with a row as one sentence."""
    if isinstance(error, KeyError):
        return f"field {error.args[0]!r} is missing"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8 text"
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON ({error.msg} at column {error.colno})"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, CodeenvError):
        return str(error)
    if isinstance(error, ValueError) and "integer string conversion" in str(error):
        return f"it holds {too_many_digits()}"
    return f"a field has an unexpected form ({type(error).__name__}: {' '.join(str(error).split())[:200]})"


def _check_place(aside: Path, source: Path | None) -> None:
    if aside.is_dir():
        raise ProblemError(f"the file for bad rows {str(aside)!r} is a folder; name a file")
    if source is None:
        return
    inside = source.is_dir() and aside.resolve().is_relative_to(source.resolve())
    if inside or (aside.exists() and source.exists() and aside.samefile(source)):
        raise ProblemError(
            f"the file for bad rows {str(aside)!r} is {'inside' if inside else 'the same as'} {str(source)!r}, which is read; "
            "name a file elsewhere"
        )


def _printable(raw: Any) -> Any:
    """Return a whole row in a form that JSON can hold; bytes that are not UTF-8 become replacement characters."""
    if isinstance(raw, bytes):
        text = raw.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    try:
        json.dumps(raw)
    except (TypeError, ValueError, RecursionError):
        return _plain(raw) if isinstance(raw, dict) else str(raw)
    return raw


def _plain(row: dict[Any, Any]) -> Any:
    """Return a row of a table; values that JSON lacks, such as dates, become texts."""
    try:
        return json.loads(json.dumps(row, default=str))
    except (TypeError, ValueError, RecursionError):
        return str(row)
