"""Trajectories: a run is a folder, an episode is one row of its append-only `episodes.jsonl`.

    run.json         what was run: schema, versions, environment, settings, agent, seed, isolation level
    episodes.jsonl   one finished episode a row, in the order in which they finished
    failures.jsonl   episodes that could not be finished (the agent raised, the judge failed); a resumed run tries them again

A row is written and flushed when its episode ends, so a killed run loses only unfinished episodes. The file is synced to
disk at most once a second and at the end. A row that a kill cut short is dropped when the run is resumed.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from codeenv.episode import Episode, Turn
from codeenv.errors import CodeenvError
from codeenv.rollout.conversation import conversation_of

__all__ = ["SCHEMA", "RunError", "RunFolder", "episode_row", "read_episodes", "read_run"]

SCHEMA = 1
"""Version of the rows; readers refuse other versions."""

_SYNC_EVERY_S = 1.0


class RunError(CodeenvError):
    """A run folder cannot be written, read or resumed."""


class RunFolder:
    """A run that is being written, held by one process.

    Args:
        path: the folder; made if it is missing.
        header: what is run; a resumed run must have the same one, apart from `versions`.
        resume: go on with a run that is there.

    Attributes:
        done: numbers of the episodes that are already recorded.

    Raises:
        RunError: if the folder holds a run and `resume` is off, holds another run, is used by another process, or cannot be
            written.
    """

    def __init__(self, path: str | os.PathLike[str], header: Mapping[str, Any], resume: bool = False) -> None:
        self.path = Path(path)
        self.done: set[int] = set()
        self.solved = 0
        self._synced = time.monotonic()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / "lock").open("w")
        except OSError as error:
            raise RunError(f"cannot write the run folder {str(self.path)!r}: {error.strerror}; choose another --out") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise RunError(f"another process is writing the run {str(self.path)!r}; choose another --out") from None
        try:
            self._open(dict(header), resume)
        except BaseException:
            self._lock.close()
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
            _drop_cut_row(rows)
            for row in read_episodes(self.path):
                self.done.add(row["episode"])
                self.solved += row["solved"]
        else:
            text = json.dumps(header, indent=2, ensure_ascii=False)
            (self.path / "run.json.part").write_text(text + "\n", encoding="utf-8")
            (self.path / "run.json.part").replace(self.path / "run.json")
        self._rows: IO[bytes] = rows.open("ab")

    def append(self, row: Mapping[str, Any]) -> None:
        """Write one finished episode.

        Raises:
            RunError: if the disk is full or the file cannot be written; what was written before stays readable.
        """
        line = _line(row)
        start = self._rows.tell()
        try:
            self._rows.write(line)
            self._rows.flush()
        except OSError as error:
            os.ftruncate(self._rows.fileno(), start)
            raise RunError(f"cannot write to {str(self.path)!r}: {error.strerror}; {len(self.done)} episodes are safe") from None
        self.done.add(row["episode"])
        self.solved += bool(row["solved"])
        if time.monotonic() - self._synced > _SYNC_EVERY_S:
            os.fsync(self._rows.fileno())
            self._synced = time.monotonic()

    def fail(self, row: Mapping[str, Any]) -> None:
        """Record an episode that could not be finished."""
        with (self.path / "failures.jsonl").open("ab") as failures:
            failures.write(_line(row))

    def close(self) -> None:
        """Sync the rows to disk and let other processes write the folder."""
        if not self._rows.closed:
            os.fsync(self._rows.fileno())
            self._rows.close()
            self._lock.close()
            (self.path / "lock").unlink(missing_ok=True)

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def episode_row(
    number: int, rollout: int, seed: int, episode: Episode, extras: list[Mapping[str, Any]], times: Any
) -> dict[str, Any]:
    """Return the JSON-ready row of a finished episode.

    Args:
        number: position of the episode in the run.
        rollout: how many episodes of the same problem come before it.
        seed: the episode's seed.
        episode: its final state.
        extras: what the agent said about each response.
        times: wall seconds, `{"agent_s": ..., "judge_s": ...}`; the only part that may differ between equal runs.
    """
    return {
        "schema": SCHEMA,
        "episode": number,
        "problem_id": episode.problem.id,
        "rollout": rollout,
        "seed": seed,
        "solved": bool(episode.turns and episode.turns[-1].outcome.solved),
        "reward": sum(turn.reward for turn in episode.turns),
        "messages": conversation_of(episode),
        "turns": [_turn_row(turn, extra) for turn, extra in zip(episode.turns, extras, strict=True)],
        "times": times,
    }


def _turn_row(turn: Turn, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Of the private tests, only verdicts are recorded: no input and no output."""
    row: dict[str, Any] = {
        "source": turn.source,
        "verdict": turn.outcome.verdict.value,
        "public": _stable(turn.public.to_dict()),
        "private": None,
        "feedback": turn.feedback,
        "trace": turn.trace,
        "reward_parts": turn.reward_parts,
    }
    if turn.private is not None:
        row["private"] = {
            "verdict": turn.private.verdict.value,
            "passed_fraction": turn.private.passed_fraction,
            "verdicts": [result.verdict.value for result in turn.private.results],
        }
    if extra:
        row["extras"] = dict(extra)
    return row


def _stable(report: dict[str, Any]) -> dict[str, Any]:
    """Drop measured times and memory, which differ between equal runs."""
    report["results"] = [
        {key: value for key, value in row.items() if key not in ("time_s", "memory_mb")} for row in report["results"]
    ]
    return report


def read_run(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the header of a run.

    Raises:
        RunError: if there is none, or it has another schema version.
    """
    try:
        header = json.loads((Path(path) / "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{str(path)!r} holds no run (no run.json)") from None
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {str(Path(path) / 'run.json')!r}: {error}") from None
    if not isinstance(header, dict) or header.get("schema") != SCHEMA:
        found = header.get("schema") if isinstance(header, dict) else None
        raise RunError(f"the run in {str(path)!r} has schema {found!r}; this version reads schema {SCHEMA}")
    return header


def read_episodes(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a run in the order in which they were written; a last row that was cut short is left out.

    Raises:
        RunError: with the line number, if a row is malformed or has another schema version.
    """
    rows = Path(path) / "episodes.jsonl"
    try:
        with rows.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    return
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise RunError(
                        f"{str(rows)!r}, line {number} is not JSON ({error}); remove the line to read the rest"
                    ) from None
                if not isinstance(row, dict) or row.get("schema") != SCHEMA:
                    raise RunError(f"{str(rows)!r}, line {number} has another schema version; this version reads schema {SCHEMA}")
                yield row
    except FileNotFoundError:
        return


def _line(row: Mapping[str, Any]) -> bytes:
    # Lone surrogates, which a response may hold, are escaped; all else is readable UTF-8.
    text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(row, allow_nan=False).encode() + b"\n"


def _drop_cut_row(rows: Path) -> None:
    if not rows.exists():
        return
    with rows.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            file.truncate(whole)
