"""Where a learner's work is done: here this process alone, in `codeenv.agents.rlef.accelerated` the processes of accelerate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from codeenv.agents.rlef.collect import Collection

__all__ = ["Devices"]

Module = TypeVar("Module", bound=nn.Module)
T = TypeVar("T")


class Devices:
    """One process and the device on which the policy is. What several processes would share is returned as it is.

    Attributes:
        rank, count: number of this process, and how many there are. Process 0 writes the files.
        streams: whether every episode draws its tokens from a generator of its own, so that they do not depend on which
            process plays it.
        casts: whether `sampler` returns a copy in the precision in which the policy is to write.
    """

    rank = 0
    count = 1
    streams = False
    casts = False

    def place(self, module: Module) -> Module:
        """Return the module where it is to be trained; its optimiser is made afterwards."""
        return module

    def device_of(self, policy: PreTrainedModel) -> torch.device:
        """Return the device of tensors."""
        return policy.device

    def sampler(self, policy: PreTrainedModel) -> PreTrainedModel:
        """Return the policy as a model that can write on its own, while other processes do something else."""
        return policy

    def gather(self, collection: Collection) -> Collection:
        """Return the episodes of all processes, in the order in which one process would have played them."""
        return collection

    def objects(self, value: T) -> list[T]:
        """Return a value of each process, in the order of their numbers."""
        return [value]

    def fillers(self, episodes: Sequence[int], size: int) -> int:
        """Return how many passes without weight this process has to add, so that all do equally many."""
        return 0

    def add(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over the processes."""
        return values

    def add_numbers(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """Return the sum of each number over the processes; all have the same names."""
        return dict(numbers)

    def backward(self, module: nn.Module, loss: Tensor) -> None:
        """Add the gradients of a loss to those of a module."""
        loss.backward()

    def add_gradients(self, module: nn.Module) -> None:
        """Make the gradients of a module the sums over the processes."""

    def clip(self, module: nn.Module, limit: float) -> Tensor:
        """Clip the norm of all gradients of a module and return what it was."""
        return nn.utils.clip_grad_norm_(module.parameters(), limit)

    def optimizer(self, module: nn.Module, **settings: Any) -> torch.optim.Optimizer:
        """Return the optimiser of a module that has its place."""
        return torch.optim.AdamW(module.parameters(), **settings)

    def whole(self, state: dict[str, Any]) -> dict[str, Any]:
        """Return the state of a module or an optimiser with whole tensors, for a file that any number of processes can read."""
        return state

    def load(self, module: nn.Module, state: Mapping[str, Any]) -> None:
        """Put whole tensors into a module."""
        module.load_state_dict(state)

    def load_optimizer(self, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        """Put whole tensors into an optimiser."""
        optimizer.load_state_dict(state)

    def wait(self) -> None:
        """Wait until all processes are here."""

    def own(self, items: Iterable[int]) -> list[int]:
        """Return those of some places that are this process's share."""
        return list(items)[self.rank :: self.count]
