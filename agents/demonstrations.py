"""Few-shot prompting with repairs: solved episodes of several attempts as a dialogue before the problem.

The paper's baseline shows successful trajectories of 2 and of 3 attempts (RLEF, arXiv 2410.02089, appendix A.2). They come from
a recorded run: a model's, or that of the scripted agent `repairs-on-feedback`, which submits a problem's own wrong and right
programs (two wrong ones first with its option `wrong=2`):

    codeenv rollout --env codeenv/HumanEval-v0 --agent repairs-on-feedback --episodes 20 --out runs/two
    codeenv rollout --env codeenv/HumanEval-v0 --agent repairs-on-feedback --agent-options wrong=2 --episodes 20 --out runs/three
    codeenv rollout --env codeenv/HumanEval-v0 --agent hf --agent-options model=M demonstrations=runs/two,runs/three shots=2,3
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from codeenv.errors import CodeenvError
from codeenv.rollout.conversation import Conversation, Message
from codeenv.rollout.trajectory import read_episodes

__all__ = ["load_demonstrations", "mined_demonstrations", "with_demonstrations"]


def mined_demonstrations(episodes: Iterable[Any], attempts: Sequence[int] = (2, 3), seed: int = 0) -> list[list[Message]]:
    """Return solved episodes as dialogues, one for each wanted number of attempts, of different problems.

    Args:
        episodes: rows of a recorded run.
        attempts: numbers of attempts, one demonstration each; the last attempt is the right one.
        seed: of the choice among the episodes that fit.

    Raises:
        CodeenvError: no solved episode has such a number of attempts.
    """
    solved: dict[int, list[Any]] = {}
    for row in episodes:
        if row["solved"]:
            solved.setdefault(len(row["turns"]), []).append(row)
    generator = random.Random(seed)
    chosen: list[list[Message]] = []
    used: set[str] = set()
    for count in attempts:
        fitting = [row for row in solved.get(count, []) if row["problem_id"] not in used]
        if not fitting:
            known = ", ".join(f"{len(rows)} with {number}" for number, rows in sorted(solved.items())) or "none at all"
            raise CodeenvError(
                f"there is no solved episode with {count} attempts to show (there are {known}); record more episodes, or "
                "change shots"
            )
        row = generator.choice(fitting)
        used.add(row["problem_id"])
        chosen.append([{"role": one["role"], "content": one["content"]} for one in row["messages"]])
    return chosen


def load_demonstrations(place: str, shots: str = "2,3", seed: int = 0) -> list[list[Message]]:
    """Return the demonstrations of run folders, or of a JSONL file whose rows are `{"messages": [...]}`, which is taken whole.

    Args:
        place: run folders, separated by commas, or a file.
        shots: numbers of attempts, separated by commas, to take from the run folders.
        seed: of the choice.

    Raises:
        CodeenvError: there is nothing to show, or a dialogue does not end with a response.
    """
    path = Path(place)
    try:
        attempts = [int(count) for count in shots.split(",")]
    except ValueError:
        raise CodeenvError(f"shots is {shots!r}; give numbers of attempts such as 2,3") from None
    folders = [path] if path.exists() else [Path(part) for part in place.split(",")]
    if all(folder.is_dir() for folder in folders):
        return mined_demonstrations([row for folder in folders for row in read_episodes(folder)], attempts, seed)
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        found = [[Message(role=str(one["role"]), content=str(one["content"])) for one in row["messages"]] for row in rows]
    except OSError as error:
        raise CodeenvError(f"cannot read the demonstrations {place!r}: {error.strerror}; give a run folder or a file") from None
    except (ValueError, KeyError, TypeError):
        raise CodeenvError(f'the demonstrations {place!r} are no JSONL rows of the form {{"messages": [...]}}') from None
    for number, messages in enumerate(found, 1):
        roles = [message["role"] for message in messages]
        if not roles or roles != ["user", "assistant"] * (len(roles) // 2):
            raise CodeenvError(f"row {number} of {place!r} does not go user, assistant, user, ..., assistant; mend it")
    return found


def with_demonstrations(conversation: Conversation, demonstrations: Sequence[Sequence[Message]]) -> list[Message]:
    """Return the conversation behind its demonstrations, as one dialogue: after the last right program comes the problem."""
    shown = [message for dialogue in demonstrations for message in dialogue]
    return [*shown, *conversation]
