"""Trajectories: a run is a folder, an episode is one row of its append-only `episodes.jsonl`.

    run.json         what was run: schema, versions, environment, settings, agent, seed, isolation level
    episodes.jsonl   one finished episode a row, in the order in which they finished
    problems.jsonl   the problems of these episodes, without private tests and solutions
    failures.jsonl   episodes that could not be finished (the agent raised, the judge failed); a resumed run tries them again

`codeenv.rollout.folder` writes them; this module holds the rows and the readers.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from codeenv.episode import Episode, Turn
from codeenv.errors import CodeenvError
from codeenv.problems import Problem
from codeenv.rollout.conversation import conversation_of
from codeenv.text import one_line

__all__ = ["SCHEMA", "RunError", "encode_row", "episode_row", "problem_row", "read_episodes", "read_problems", "read_run"]

SCHEMA = 1
"""Version of the rows; readers refuse other versions."""


class RunError(CodeenvError):
    """A run folder cannot be written, read or resumed."""


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
    except (FileNotFoundError, NotADirectoryError):
        if (arms := Path(path) / "arms").is_dir():
            first = next((str(arm.parent) for arm in sorted(arms.glob("*/run.json"))), str(arms))
            page = str(Path(path) / "report.html")
            raise RunError(
                f"{str(path)!r} holds a benchmark, whose page is {page!r}; name one of its arms, such as {first!r}"
            ) from None
        raise RunError(f"{str(path)!r} holds no run (no run.json)") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"cannot read {str(Path(path) / 'run.json')!r}: {error}") from None
    if not isinstance(header, dict) or header.get("schema") != SCHEMA:
        found = header.get("schema") if isinstance(header, dict) else None
        raise RunError(f"the run in {str(path)!r} has schema {found!r}; this version reads schema {SCHEMA}")
    return header


def read_episodes(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a run in the order in which they were written; a last row that was cut short is left out.

    Raises:
        RunError: with the line number, if a row is malformed, has another schema version, or is of an episode that came before.
    """
    file = Path(path) / "episodes.jsonl"
    lines: dict[int, int] = {}
    for line, row in enumerate(_rows(file), start=1):
        wrong = _wrong(row)
        if wrong:
            raise RunError(f"{str(file)!r}, line {line} is no episode: {wrong}; remove the line to read the rest")
        first = lines.setdefault(row["episode"], line)
        if first != line:
            raise RunError(
                f"{str(file)!r}, lines {first} and {line} are both of episode {row['episode']}, which would count twice; "
                "remove one of them"
            )
        yield row


def _wrong(row: Mapping[str, Any]) -> str:
    """Return what keeps a row from being an episode, in words; "" if nothing does."""
    turns = row.get("turns")
    listed = turns if isinstance(turns, list) else ()  # anything else is told by its field's kind
    for fields, of in ((_EPISODE_FIELDS, row), *((_TURN_FIELDS, turn) for turn in listed)):
        for name, kinds in fields.items():
            if not isinstance(of, dict) or name not in of:
                return f"it has no {name!r}" if of is row else f"a turn has no {name!r}"
            if not isinstance(of[name], kinds):
                return f"{name!r} is {one_line(repr(of[name]), 80)}"
    for turn in row["turns"]:
        if not isinstance(turn["public"].get("results"), list) or "verdict" not in turn["public"]:
            return "a turn has no verdicts of its public tests"
    return ""


_EPISODE_FIELDS: dict[str, type | tuple[type, ...]] = {
    "episode": int, "problem_id": str, "rollout": int, "seed": int, "solved": bool, "reward": (int, float), "messages": list,
    "turns": list,
}  # fmt: skip
_TURN_FIELDS: dict[str, type | tuple[type, ...]] = {
    "source": (str, type(None)), "public": dict, "private": (dict, type(None)), "reward_parts": dict,
}  # fmt: skip


def read_problems(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Yield the problems of a run, as `Problem.to_dict` without private tests and solutions.

    Raises:
        RunError: with the line number, if a row is malformed or has another schema version.
    """
    file = Path(path) / "problems.jsonl"
    for line, row in enumerate(_rows(file), start=1):
        if not isinstance(row.get("id"), str):
            raise RunError(f"{str(file)!r}, line {line} is no problem: it has no 'id'; remove the line to read the rest")
        yield row


def problem_row(problem: Problem) -> dict[str, Any]:
    """Return the row of a problem: its fields without private tests and solutions."""
    kept = {name: value for name, value in problem.to_dict().items() if name not in _UNRECORDED}
    return {"schema": SCHEMA, **kept}


_UNRECORDED = ("private_tests", "correct_solutions", "incorrect_solutions")


def _rows(rows: Path) -> Iterator[dict[str, Any]]:
    try:
        with rows.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    return
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise RunError(
                        f"{str(rows)!r}, line {number} is not JSON ({one_line(str(error), 200)}); "
                        "remove the line to read the rest"
                    ) from None
                if not isinstance(row, dict) or row.get("schema") != SCHEMA:
                    raise RunError(f"{str(rows)!r}, line {number} has another schema version; this version reads schema {SCHEMA}")
                yield row
    except FileNotFoundError:
        return
    except OSError as error:
        raise RunError(f"cannot read {str(rows)!r}: {error.strerror}") from None


def encode_row(row: Mapping[str, Any]) -> bytes:
    """Return the line of a row. Lone surrogates, which a response may hold, are escaped; all else is readable UTF-8."""
    text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(row, allow_nan=False).encode() + b"\n"
