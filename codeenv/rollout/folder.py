"""The writer of a run folder: one process at a time, rows that survive a kill, a sentence when the disk is full.

A row is written with one system call when its episode ends, so a killed run loses only unfinished episodes. The file is
synced to disk at most once a second and at the end. A row that a kill cut short is dropped when the run is resumed.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from codeenv.problems import Problem
from codeenv.rollout.trajectory import SCHEMA, RunError, encode_row, problem_row, read_episodes, read_problems, read_run

__all__ = ["JsonlWriter", "RunFolder"]

_SYNC_EVERY_S = 1.0


class JsonlWriter:
    """An append-only JSONL file: a row is whole or absent, also after a failed write.

    Raises:
        OSError: if the file cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._end = _end_of_last_row(self._file)
        os.ftruncate(self._file, self._end)
        self._synced = time.monotonic()

    def append(self, row: Mapping[str, Any]) -> None:
        """Write a row."""
        left = memoryview(encode_row(row))
        at = self._end
        try:
            while left:
                written = os.pwrite(self._file, left, at)
                left, at = left[written:], at + written
            if time.monotonic() - self._synced > _SYNC_EVERY_S:
                self.sync()
        except OSError:
            os.ftruncate(self._file, self._end)
            raise
        self._end = at

    def is_deleted(self) -> bool:
        """Whether the file has no name any more; cheap."""
        return os.fstat(self._file).st_nlink == 0

    def is_there(self) -> bool:
        """Whether `path` is still the file that is written."""
        try:
            return os.path.samestat(os.fstat(self._file), self.path.stat())
        except OSError:
            return False

    def sync(self) -> None:
        """Wait until everything that was written is on the disk."""
        os.fsync(self._file)
        self._synced = time.monotonic()

    def close(self) -> None:
        """Sync and close; more calls do nothing."""
        if self._file >= 0:
            file, self._file = self._file, -1
            try:
                os.fsync(file)
            finally:
                os.close(file)


class RunFolder:
    """A run that is being written, held by one process.

    Args:
        path: the folder; made if it is missing.
        header: what is run; a resumed run must have the same one, apart from `versions`.
        resume: go on with a run that is there.

    Attributes:
        done: numbers of the episodes that are already recorded.
        solved_in: how many of them were solved in turn 1, 2, ...

    Raises:
        RunError: if the folder holds a run and `resume` is off, holds another run, is used by another process, or cannot be
            written.
    """

    def __init__(self, path: str | os.PathLike[str], header: Mapping[str, Any], resume: bool = False) -> None:
        if not str(path):
            raise RunError("the run folder's name is empty; name a folder with --out")
        self.path = Path(path)
        self.done: set[int] = set()
        self.solved_in: Counter[int] = Counter()
        self._problems: set[str] = set()
        self._folder = -1
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise RunError(f"cannot write the run folder {str(self.path)!r}: {error.strerror}; choose another --out") from None
        try:
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._folder)
            raise RunError(f"another process is writing the run {str(self.path)!r}; choose another --out") from None
        try:
            self._open(dict(header), resume)
        except OSError as error:
            os.close(self._folder)
            raise RunError(f"cannot write the run folder {str(self.path)!r}: {error.strerror}; choose another --out") from None
        except BaseException:
            os.close(self._folder)
            raise

    def _open(self, header: dict[str, Any], resume: bool) -> None:
        header = {"schema": SCHEMA, **header}
        rows = self.path / "episodes.jsonl"
        if (self.path / "run.json").exists() or rows.exists():
            if not resume:
                raise RunError(f"{str(self.path)!r} already holds a run; use --resume to go on with it, or choose another --out")
            old = read_run(self.path)
            for key in sorted(set(old) | set(header)):
                if key != "versions" and old.get(key) != json.loads(json.dumps(header.get(key))):
                    raise RunError(
                        f"the run in {str(self.path)!r} has {key} = {old.get(key)!r}, this one {header.get(key)!r}; "
                        "resume it with the same settings or choose another --out"
                    )
            self._problems.update(row["id"] for row in read_problems(self.path))
            for row in read_episodes(self.path):
                self.done.add(row["episode"])
                self.solved_in[len(row["turns"])] += row["solved"]
        else:
            text = json.dumps(header, indent=2, ensure_ascii=False)
            (self.path / "run.json.part").write_text(text + "\n", encoding="utf-8")
            (self.path / "run.json.part").replace(self.path / "run.json")
        self._rows = JsonlWriter(rows)
        self._cards = JsonlWriter(self.path / "problems.jsonl")
        self._failures: JsonlWriter | None = None

    def append(self, row: Mapping[str, Any], problem: Problem | None = None) -> None:
        """Write one finished episode, and its problem if it is the first episode on it.

        Raises:
            RunError: if the disk is full or the file cannot be written; what was written before stays readable.
        """
        try:
            if problem is not None and problem.id not in self._problems:
                self._cards.append(problem_row(problem))
                self._problems.add(problem.id)
            self._rows.append(row)
            if self._rows.is_deleted():
                self.check_there()
        except OSError as error:
            raise RunError(
                f"cannot write to {str(self.path)!r}: {error.strerror}; {len(self.done)} episodes are safe; a resumed "
                "run goes on from there"
            ) from None
        self.done.add(row["episode"])
        self.solved_in[len(row["turns"])] += bool(row["solved"])

    def add_problems(self, problems: Iterable[Problem]) -> None:
        """Write the problems that the run does not hold: a kill or a person may have taken them from a resumed run.

        Raises:
            RunError: if the file cannot be written.
        """
        try:
            for problem in problems:
                if problem.id not in self._problems:
                    self._cards.append(problem_row(problem))
                    self._problems.add(problem.id)
        except OSError as error:
            raise RunError(f"cannot write to {str(self.path)!r}: {error.strerror}") from None

    def check_there(self) -> None:
        """Make sure that the run is where it was opened.

        Raises:
            RunError: if a file of it was deleted or moved by somebody else; rows that are written to it go nowhere.
        """
        header = self.path / "run.json"
        gone = header if not header.exists() else next((w.path for w in (self._rows, self._cards) if not w.is_there()), None)
        if gone is not None:
            raise RunError(
                f"{str(gone)!r} was deleted or moved while the run was written, so its episodes are not there; run it again, "
                "and let nothing else write to that folder"
            )

    def fail(self, row: Mapping[str, Any]) -> None:
        """Record an episode that could not be finished.

        Raises:
            RunError: if the file cannot be written.
        """
        try:
            if self._failures is None:
                self._failures = JsonlWriter(self.path / "failures.jsonl")
            self._failures.append(row)
        except OSError as error:
            raise RunError(f"cannot write to {str(self.path)!r}: {error.strerror}") from None

    def close(self) -> None:
        """Sync the rows to disk and let other processes write the folder."""
        if self._folder < 0:
            return
        folder, self._folder = self._folder, -1
        try:
            for writer in (self._rows, self._cards, self._failures):
                if writer is not None:
                    writer.close()
        except OSError as error:
            raise RunError(f"cannot sync {str(self.path)!r} to the disk: {error.strerror}") from None
        finally:
            os.close(folder)

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _end_of_last_row(file: int) -> int:
    """Return the position after the last whole row; what follows was cut short."""
    size = os.fstat(file).st_size
    step = 1 << 20
    start = size
    while start > 0:
        start = max(0, start - step)
        found = os.pread(file, step, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
    return 0
