"""Recorded runs in other people's formats: chat rows for supervised training, preference pairs, ATIF documents.

Nothing of the private tests is in a run, so nothing of them can be exported.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from codeenv.errors import CodeenvError
from codeenv.rollout.trajectory import read_episodes, read_run

__all__ = ["FORMATS", "atif_rows", "chat_rows", "completion_rows", "export_rows", "preference_rows"]

Rows = Iterator[dict[str, Any]]
Path = str | os.PathLike[str]


def chat_rows(path: Path, solved_only: bool = True) -> Rows:
    """Yield whole conversations, `{"messages": [...], ...}`: one per episode."""
    for row in read_episodes(path):
        if row["solved"] or not solved_only:
            yield {"messages": row["messages"], **_facts(row)}


def completion_rows(path: Path, solved_only: bool = True) -> Rows:
    """Yield `{"prompt": [...], "completion": [...]}`: everything before the last response, and that response.

    RLEF's supervised baseline puts the loss on the last, passing response alone (arXiv 2410.02089, appendix).
    """
    for row in chat_rows(path, solved_only):
        messages = row.pop("messages")
        yield {"prompt": messages[:-1], "completion": messages[-1:], **row}


def preference_rows(path: Path, solved_only: bool = True) -> Rows:
    """Yield `{"prompt": [...], "chosen": [...], "rejected": [...]}`: a solving and a failing answer to the same first message.

    Chosen are the last responses of solved episodes, rejected the first responses that did not solve; each is used once.
    `solved_only` is without effect: a pair needs both.
    """
    groups: dict[tuple[str, str], tuple[list[Any], list[Any]]] = {}
    for row in read_episodes(path):
        messages = row["messages"]
        responses = [message for message in messages if message["role"] == "assistant"]
        chosen, rejected = groups.setdefault((row["problem_id"], messages[0]["content"]), ([], []))
        if row["solved"]:
            chosen.append(responses[-1])
        if responses and not (row["solved"] and len(responses) == 1):
            rejected.append(responses[0])
    for (problem_id, prompt), (chosen, rejected) in groups.items():
        for good, bad in zip(chosen, rejected, strict=False):
            if good["content"] != bad["content"]:
                first = [{"role": "user", "content": prompt}]
                yield {"prompt": first, "chosen": [good], "rejected": [bad], "problem_id": problem_id}


def atif_rows(path: Path, solved_only: bool = False) -> Rows:
    """Yield documents of the Agent Trajectory Interchange Format (ATIF 1.7): one per episode.

    The environment's answer to a response is the observation of the agent's step.
    """
    header = read_run(path)
    agent = {"name": header.get("agent", "agent"), "version": str(header.get("versions", {}).get("codeenv", "0"))}
    for row in read_episodes(path):
        if solved_only and not row["solved"]:
            continue
        steps: list[dict[str, Any]] = []
        turns = iter(row["turns"])
        for message in row["messages"]:
            if message["role"] == "assistant":
                steps.append(_atif_step(len(steps) + 1, message["content"], next(turns)))
            elif steps and steps[-1]["source"] == "agent":
                steps[-1]["observation"] = {"results": [{"content": message["content"]}]}
            else:
                steps.append({"step_id": len(steps) + 1, "source": "user", "message": message["content"]})
        yield {
            "schema_version": "ATIF-v1.7",
            "session_id": f"{header.get('env', 'env')}-{header.get('seed', 0)}-{row['episode']}",
            "agent": agent,
            "steps": steps,
            "final_metrics": {"total_steps": len(steps)},
            "extra": _facts(row),
        }


def _atif_step(number: int, text: str, turn: Mapping[str, Any]) -> dict[str, Any]:
    step: dict[str, Any] = {
        "step_id": number,
        "source": "agent",
        "message": text,
        "extra": {"verdict": turn["public"]["verdict"], "reward_parts": turn["reward_parts"]},
    }
    extras = turn.get("extras", {})
    names = {"prompt_tokens": "prompt_tokens", "completion_tokens": "completion_tokens", "cost_usd": "cost_usd"}
    metrics = {
        to: extras[name]
        for name, to in {**names, "tokens": "completion_token_ids", "logprobs": "logprobs"}.items()
        if name in extras
    }
    if metrics:
        step["metrics"] = metrics
    return step


def _facts(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("problem_id", "episode", "rollout", "seed", "solved", "reward")}


FORMATS: dict[str, Callable[[Path, bool], Rows]] = {
    "chat": chat_rows,
    "completion": completion_rows,
    "preference": preference_rows,
    "atif": atif_rows,
}
"""The formats that have a name."""


def export_rows(path: Path, format: str, solved_only: bool) -> Rows:
    """Yield a run's rows in a format of `FORMATS`.

    Raises:
        CodeenvError: at once, if there is no such format, no run, or one of another schema version.
    """
    if format not in FORMATS:
        raise CodeenvError(f"there is no format {format!r}; use one of {', '.join(FORMATS)}")
    read_run(path)
    return FORMATS[format](path, solved_only)
