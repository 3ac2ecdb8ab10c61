"""What the head says of a policy's programs, recorded as a run: each turn's `extras["trace_head"]`, which the viewer draws.

The policy's tokens are recorded too. Nothing is learned here, and the learner's own random numbers are not drawn from.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from codeenv.agents.lm.scoring import layer_states
from codeenv.agents.lm.token_text import token_texts
from codeenv.agents.rlef.collect import Played, collect
from codeenv.agents.rlef.trainer import Learner
from codeenv.agents.rlef.turns import build_turns
from codeenv.agents.trace_head.auxiliary import Auxiliary
from codeenv.judge import Judge
from codeenv.problems import Problem
from codeenv.rollout.folder import RunFolder
from codeenv.rollout.trajectory import episode_row

__all__ = ["record_predictions", "said_of"]


def said_of(learner: Learner, auxiliary: Auxiliary, played: Sequence[Played], judge: Judge) -> list[dict[str, Any]]:
    """Return what the head says of each turn of some episodes, in the order of the episodes; {} where nothing is known."""
    auxiliary.prepare(played, learner.chat, judge)
    table = build_turns(played, learner.device)
    said: list[dict[str, Any]] = [{} for _ in range(table.turns)]
    learner.policy.eval()
    with torch.no_grad():
        for chunk in table.chunks(range(len(played)), learner.config.micro_batch):
            _, states = layer_states(learner.policy, chunk.batch, auxiliary.config.layer)
            found = auxiliary.predictions(states, chunk)
            for turn, row in zip(chunk.turns.tolist(), found, strict=True):
                said[turn] = row
    return said


def record_predictions(
    learner: Learner,
    auxiliary: Auxiliary,
    problems: Sequence[Problem],
    judge: Judge,
    folder: Path,
    seed: int,
    env: str,
) -> Path:
    """Play problems with the policy and write the episodes, with the head's predictions, as a run; return its folder.

    Args:
        folder: of the run; an earlier one there is replaced.
        seed: of the sampling.
        env: what the run's header calls the environment.
    """
    generator = torch.Generator(learner.device).manual_seed(seed)
    played = collect(learner.policy, learner.chat, problems, judge, learner.env, learner.sampling, generator).played
    said = iter(said_of(learner, auxiliary, played, judge))
    shutil.rmtree(folder, ignore_errors=True)
    header = {
        "env": env,
        "agent": f"policy after {learner.iteration} iterations",
        "settings": {"turn_limit": learner.env.turn_limit, "feedback": str(learner.env.feedback)},
        "problems": len(problems),
        "episodes": len(played),
        "seed": seed,
        "isolation": judge.isolation_level,
    }
    with RunFolder(folder, header) as run:
        for number, one in enumerate(played):
            extras: list[Mapping[str, Any]] = []
            for turn in range(len(one.episode.turns)):
                row = next(said)
                tokens = one.conversation.response(turn)
                recorded = {"tokens": tokens, "pieces": token_texts(learner.chat.tokenizer, tokens)}
                extras.append(recorded | ({"trace_head": row} if row else {}))
            run.append(episode_row(number, 0, seed, one.episode, extras, {}), one.episode.problem)
    return folder
