"""The one base class of everything that codeenv raises on purpose.

A `CodeenvError` carries one sentence for a person: what was wrong, with the offending value, and what to do. The command line
prints that sentence and exits with status 2; no traceback.
"""

from __future__ import annotations

__all__ = ["CodeenvError", "MissingExtraError"]


class CodeenvError(Exception):
    """Base class of the errors that a user can cause and mend."""


class MissingExtraError(CodeenvError, ImportError):
    """An optional package is needed and not installed."""

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the package {package!r}; install it with: pip install 'codeenv-rl[{extra}]'", name=package
        )
