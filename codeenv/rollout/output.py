"""The file that a command writes: the old one stays until the new one is whole, and what is no regular file stays what it is."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from codeenv.errors import CodeenvError

__all__ = ["RUN_FILES", "writing"]

RUN_FILES = ("run.json", "episodes.jsonl", "problems.jsonl", "failures.jsonl")
"""What a run folder is made of."""


@contextlib.contextmanager
def writing(path: str | os.PathLike[str], what: str) -> Iterator[IO[str]]:
    """Open a text file that takes the place of `path` when the block ends without an error.

    Links are followed: the file that they lead to is replaced. A device or a FIFO is written into. Lone surrogates are escaped.

    Args:
        path: the file; its folder is made if it is missing.
        what: what is written, for the error.

    Raises:
        CodeenvError: if it cannot be written, or is a file that a recorded run is made of.
    """
    target = Path(os.path.realpath(path))
    if target.name in RUN_FILES and (target.parent / "run.json").exists():
        raise CodeenvError(f"{str(path)!r} is part of a recorded run, which it would destroy; choose another --out")
    try:
        if Path(path).exists() and not target.is_file():
            with Path(path).open("w", encoding="utf-8", errors="backslashreplace") as file:
                yield file
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        try:
            with part.open("w", encoding="utf-8", errors="backslashreplace") as file:
                yield file
            if target.exists():
                shutil.copymode(target, part)
            part.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise
    except OSError as error:
        raise CodeenvError(f"cannot write {what} {str(path)!r}: {error.strerror}; choose another file") from None
