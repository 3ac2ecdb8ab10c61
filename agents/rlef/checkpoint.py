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
from torch import Tensor, nn

from codeenv.agents.lm.adapters import learned_names, merged_state, without_quantisation
from codeenv.agents.lm.storage import publish, save_pretrained
from codeenv.agents.rlef.trainer import Learner
from codeenv.errors import CodeenvError

__all__ = ["latest_checkpoint", "load_checkpoint", "save_checkpoint", "save_model"]


def save_model(learner: Learner, folder: Path) -> None:
    """Write the policy and its tokenizer in Hugging Face form, adapters merged; the folder appears when it is whole."""
    state = learner.devices.whole(learner.policy.state_dict())
    if learner.devices.rank:
        return
    with without_quantisation(learner.policy):
        save_pretrained(learner.policy, learner.chat.tokenizer, folder, merged_state(learner.policy, state))


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
        "policy": whole(_kept(learner.policy)),
        "critic": whole(_kept(learner.critic)),
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
        _load(learner, learner.policy, state["policy"])
        _load(learner, learner.critic, state["critic"])
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


def _kept(module: nn.Module) -> dict[str, Any]:
    """Return the weights that a checkpoint holds: all, or those that are trained where the others are quantised."""
    names = learned_names(module)
    return module.state_dict() if names is None else {name: value for name, value in module.state_dict().items() if name in names}


def _load(learner: Learner, module: nn.Module, state: dict[str, Tensor]) -> None:
    names = learned_names(module)
    if names is None:
        learner.devices.load(module, state)
        return
    own = dict(module.named_parameters())
    with torch.no_grad():
        for name in names:
            own[name].copy_(state[name])
