"""Checkpoints: everything a run needs to go on with the same numbers, written so that a kill leaves the old or the new one.
Tensors are whole, whatever the number of processes; process 0 writes.

config.json                the settings
reference/                 the initial policy and its tokenizer, written once: the KL reference
checkpoints/000040/        state.pt: both networks, optimisers, random states, position
best/, final/              the policy with the best validation so far, and the last one, in Hugging Face form
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import torch

from codeenv.agents.lm.storage import publish, save_pretrained
from codeenv.agents.rlef.trainer import Learner
from codeenv.errors import CodeenvError

__all__ = ["latest_checkpoint", "load_checkpoint", "save_checkpoint", "save_model"]


def save_model(learner: Learner, folder: Path) -> None:
    """Write the policy and its tokenizer in Hugging Face form; the folder appears when it is whole."""
    state = learner.devices.whole(learner.policy.state_dict())
    if learner.devices.rank:
        return
    save_pretrained(learner.policy, learner.chat.tokenizer, folder, state)


def save_checkpoint(learner: Learner, run: Path, extra: dict[str, Any], keep: int) -> Path:
    """Write a checkpoint of a learner between two iterations and drop old ones.

    Args:
        learner: the learner.
        run: the run's folder.
        extra: JSON-ready facts of the caller, returned by `load_checkpoint`.
        keep: most checkpoints that stay.
    """
    folder = run / "checkpoints" / f"{learner.iteration:06d}"
    whole = learner.devices.whole
    state = {
        "iteration": learner.iteration,
        "policy": whole(learner.policy.state_dict()),
        "critic": whole(learner.critic.state_dict()),
        "policy_optimizer": whole(learner.policy_optimizer.state_dict()),
        "critic_optimizer": whole(learner.critic_optimizer.state_dict()),
        "generator": learner.generator.get_state(),
        "torch_random": torch.get_rng_state(),
        "more": learner.more_state(),
        "extra": json.dumps(extra),
    }
    if learner.devices.rank:
        return folder
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        with (part / "state.pt").open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:
        shutil.rmtree(part, ignore_errors=True)
        raise CodeenvError(f"cannot write the checkpoint {str(folder)!r}: {error}; earlier checkpoints are untouched") from None
    publish(part, folder)
    for old in sorted(path for path in folder.parent.iterdir() if path.name.isdigit())[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def latest_checkpoint(run: Path) -> Path | None:
    """Return the newest whole checkpoint of a run, `None` if there is none."""
    folder = run / "checkpoints"
    whole = sorted(path for path in folder.iterdir() if path.name.isdigit()) if folder.is_dir() else []
    return whole[-1] if whole else None


def load_checkpoint(learner: Learner, folder: Path) -> dict[str, Any]:
    """Put a learner into the state of a checkpoint and return the `extra` of `save_checkpoint`.

    Raises:
        CodeenvError: the checkpoint cannot be read or is of another model.
    """
    try:
        state = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
        learner.devices.load(learner.policy, state["policy"])
        learner.devices.load(learner.critic, state["critic"])
    except (OSError, RuntimeError, KeyError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        where = str(folder)
        raise CodeenvError(f"cannot read the checkpoint {where!r}: {reason}; delete it to go on from the one before") from None
    learner.devices.load_optimizer(learner.policy_optimizer, state["policy_optimizer"])
    learner.devices.load_optimizer(learner.critic_optimizer, state["critic_optimizer"])
    learner.generator.set_state(state["generator"])
    torch.set_rng_state(state["torch_random"])
    learner.load_more_state(state.get("more", {}))
    learner.iteration = int(state["iteration"])
    extra: dict[str, Any] = json.loads(state["extra"])
    return extra
