"""A recorded run as data for metrics: problems, episodes and turns, read once and trusted from there on."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codeenv.rollout.trajectory import RunError, read_episodes, read_problems, read_run

__all__ = ["EpisodeRecord", "ProblemCard", "RunRecord", "TurnRecord", "episode_record", "load_run"]


log = logging.getLogger("codeenv.records")


@dataclass(frozen=True, slots=True)
class ProblemCard:
    """What an agent may know about a problem: everything but private tests and solutions.

    Attributes:
        public_tests: the JSON rows of the public tests, see `Problem.to_dict`.
        difficulty: 0.0 (easiest) to 1.0, `None` if unknown.
    """

    id: str
    statement: str = ""
    mode: str = ""
    entry_point: str | None = None
    public_tests: tuple[Mapping[str, Any], ...] = ()
    difficulty: float | None = None
    source: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """One response and what it led to.

    Attributes:
        source: the submitted program, `None` if the response held none.
        verdict: of the public tests, e.g. `wrong_answer`; `accepted` if all passed.
        public: verdict of each public test that was run, by test index.
        outputs: what the program returned or printed in each of these tests.
        private_fraction: share of the private tests that passed, `None` if they were not run.
        private_verdict: their verdict in sum, `None` if they were not run.
    """

    source: str | None
    verdict: str
    public: Mapping[int, str]
    outputs: Mapping[int, str]
    private_fraction: float | None = None
    private_verdict: str | None = None

    @property
    def public_passed(self) -> bool:
        return self.verdict == "accepted"


@dataclass(frozen=True, slots=True)
class EpisodeRecord:
    """One episode.

    Attributes:
        number: position in the run.
        rollout: how many episodes of the same problem come before it.
        solved: whether the last program passed all public and private tests.
    """

    number: int
    problem_id: str
    rollout: int
    solved: bool
    reward: float
    turns: tuple[TurnRecord, ...]

    @property
    def public_passed(self) -> bool:
        """Whether the submission (the last response) passed all public tests."""
        return bool(self.turns) and self.turns[-1].public_passed


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run: its header (see `read_run`), its problems by id, its episodes in order of their numbers."""

    name: str
    header: Mapping[str, Any]
    problems: Mapping[str, ProblemCard] = field(default_factory=dict)
    episodes: tuple[EpisodeRecord, ...] = ()

    @property
    def turn_limit(self) -> int:
        """The run's turn limit: its setting, else the most turns that were taken."""
        setting = self.header.get("settings", {}).get("turn_limit")
        return int(setting) if setting else max((len(episode.turns) for episode in self.episodes), default=1)

    def by_problem(self) -> dict[str, list[EpisodeRecord]]:
        """Return the episodes of each problem."""
        groups: dict[str, list[EpisodeRecord]] = {}
        for episode in self.episodes:
            groups.setdefault(episode.problem_id, []).append(episode)
        return groups


def episode_record(row: Mapping[str, Any]) -> EpisodeRecord:
    """Return the record of an episode's row (see `codeenv.rollout.trajectory`)."""
    return EpisodeRecord(
        number=row["episode"],
        problem_id=row["problem_id"],
        rollout=row["rollout"],
        solved=row["solved"],
        reward=row["reward"],
        turns=tuple(_turn_record(turn) for turn in row["turns"]),
    )


def _turn_record(turn: Mapping[str, Any]) -> TurnRecord:
    results = turn["public"]["results"]
    private = turn["private"]
    return TurnRecord(
        source=turn["source"],
        verdict=turn["public"]["verdict"],
        public={result["index"]: result["verdict"] for result in results},
        outputs={result["index"]: result["output"] for result in results},
        private_fraction=None if private is None else private["passed_fraction"],
        private_verdict=None if private is None else private["verdict"],
    )


def problem_card(row: Mapping[str, Any]) -> ProblemCard:
    """Return the card of a problem's row; fields that are missing stay empty."""
    return ProblemCard(
        id=row["id"],
        statement=row.get("statement", ""),
        mode=row.get("mode", ""),
        entry_point=row.get("entry_point"),
        public_tests=tuple(row.get("public_tests", ())),
        difficulty=row.get("difficulty"),
        source=row.get("source", ""),
        tags=tuple(row.get("tags", ())),
    )


def load_run(path: str | os.PathLike[str], name: str | None = None) -> RunRecord:
    """Read a run folder.

    Args:
        path: the folder.
        name: what to call it; by default the folder's name.

    Raises:
        RunError: if there is no run, it has another schema version, a row is malformed, or it holds no episode.
    """
    header = read_run(path)
    cards = {row["id"]: problem_card(row) for row in read_problems(path)}
    records = _records(path, read_episodes(path))
    if not records:
        raise RunError(f"the run in {str(path)!r} holds no finished episode yet")
    if missing := len({record.problem_id for record in records} - set(cards)):
        log.warning(
            "codeenv: %r lacks %d of the run's problems, which are shown without their statements; resuming the run adds them",
            str(Path(path) / "problems.jsonl"), missing,
        )  # fmt: skip
    return RunRecord(name or Path(path).resolve().name, header, cards, records)


def _records(path: str | os.PathLike[str], rows: Iterable[Mapping[str, Any]]) -> tuple[EpisodeRecord, ...]:
    records = []
    for line, row in enumerate(rows, start=1):
        try:
            records.append(episode_record(row))
        except (KeyError, TypeError) as error:
            raise RunError(
                f"{str(Path(path) / 'episodes.jsonl')!r}, line {line} is no episode ({type(error).__name__}: {error})"
            ) from None
    return tuple(sorted(records, key=lambda record: record.number))
