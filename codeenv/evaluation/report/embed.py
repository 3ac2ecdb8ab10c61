"""Runs as compressed text inside an HTML page: a small index that is read at once, details that are read on demand."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from codeenv.rollout.trajectory import read_episodes, read_problems
from codeenv.trace import Trace, TraceError
from codeenv.trace.stepper import stepper_data

__all__ = ["CHUNK", "Embedded", "embed_runs"]

CHUNK = 100
"""Episodes (or problems) in one compressed block."""

VERDICT_CODES = {
    "accepted": "a", "wrong_answer": "w", "runtime_error": "r", "time_limit": "t", "memory_limit": "m", "output_limit": "o",
    "compile_error": "c", "no_code": "n", "security_violation": "s", "judge_error": "j",
}  # fmt: skip
"""One letter per verdict, for the index."""


@dataclass(slots=True)
class Embedded:
    """The blocks of a page: base64 text of gzipped JSON.

    Attributes:
        index: what the episode table needs.
        blocks: details, by the id of their element.
    """

    index: str
    blocks: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Problems:
    numbers: dict[str, int] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def number(self, problem_id: str) -> int:
        if problem_id not in self.numbers:
            self.numbers[problem_id] = len(self.rows)
            self.rows.append({"id": problem_id})
        return self.numbers[problem_id]


def embed_runs(runs: Mapping[str, str | os.PathLike[str]]) -> Embedded:
    """Read run folders and return their episodes as blocks; memory is bounded by the compressed size."""
    problems = _Problems()
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    result = Embedded("")
    pending: list[dict[str, Any]] = []

    def flush() -> None:
        if pending:
            result.blocks.append((f"episodes-{(len(columns['run']) - 1) // CHUNK}", _pack(pending)))
            pending.clear()

    for run_number, path in enumerate(runs.values()):
        for row in read_problems(path):
            shown = {key: row[key] for key in _PROBLEM_FIELDS if key in row}
            problems.rows[problems.number(row["id"])].update(shown)
        for row in read_episodes(path):
            number = problems.number(row["problem_id"])
            pending.append(_detail(row, problems.rows[number]))
            for name, value in zip(_COLUMNS, _summary(row, run_number, number), strict=True):
                columns[name].append(value)
            if len(columns["run"]) % CHUNK == 0:
                flush()
    flush()
    for start in range(0, len(problems.rows), CHUNK):
        result.blocks.append((f"problems-{start // CHUNK}", _pack(problems.rows[start : start + CHUNK])))
    index = {
        "runs": list(runs),
        "chunk": CHUNK,
        "codes": {code: name for name, code in VERDICT_CODES.items()},
        "problems": [[row["id"], row.get("difficulty"), row.get("source", "")] for row in problems.rows],
        "episodes": columns,
    }
    result.index = _pack(index)
    return result


_COLUMNS = ("run", "problem", "number", "rollout", "solved", "public", "reward", "verdicts")
_PROBLEM_FIELDS = ("statement", "entry_point", "public_tests", "difficulty", "source", "mode")


def _summary(row: Mapping[str, Any], run: int, problem: int) -> Iterator[Any]:
    yield run
    yield problem
    yield row["episode"]
    yield row["rollout"]
    yield int(row["solved"])
    yield int(bool(row["turns"]) and row["turns"][-1]["public"]["verdict"] == "accepted")
    yield round(row["reward"], 4)
    yield "".join(VERDICT_CODES.get(turn["public"]["verdict"], "j") for turn in row["turns"])


def _detail(row: Mapping[str, Any], problem: dict[str, Any]) -> dict[str, Any]:
    messages: Sequence[Mapping[str, str]] = row["messages"]
    prompt = messages[0]["content"] if messages else ""
    problem.setdefault("prompt", prompt)
    detail = {
        "seed": row["seed"],
        "turns": [_with_steppers(turn) for turn in row["turns"]],
        "responses": [message["content"] for message in messages if message["role"] == "assistant"],
        "times": row.get("times"),
    }
    if prompt != problem["prompt"]:
        detail["prompt"] = prompt
    return detail


def _with_steppers(turn: dict[str, Any]) -> dict[str, Any]:
    """Turn recorded traces into what the page's stepper shows; a trace that cannot be read is left out."""
    for result in turn["public"]["results"]:
        recorded = result.pop("trace", None)
        if recorded and turn["source"] is not None:
            with contextlib.suppress(TraceError):
                result["stepper"] = stepper_data(Trace.from_jsonl(recorded), turn["source"], result["output"])
    return turn


def _pack(value: Any) -> str:
    return base64.b64encode(gzip.compress(json.dumps(value, separators=(",", ":")).encode(), 6, mtime=0)).decode()
