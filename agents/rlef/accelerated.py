"""Training on the devices of accelerate: a GPU, or several processes that share the episodes and add their gradients.

Each process plays and learns from its share of the episodes; what they hold is gathered as tokens, so that baselines, the
normalisation of advantages and the minibatches are those of the whole collection. Every sum is over all processes, so the losses
are those of one process, up to rounding. With accelerate's FSDP setting, the decoder layers of policy, reference and critic and
their optimiser states are sharded (torch's `fully_shard`); embeddings and heads stay whole, and each process keeps a whole copy
of the policy to write with.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from codeenv.agents.rlef.collect import Collection, PlayedRecord
from codeenv.agents.rlef.devices import Devices, Module, T
from codeenv.errors import CodeenvError, MissingExtraError

__all__ = ["AcceleratedDevices"]


class AcceleratedDevices(Devices):
    """The processes that `accelerate launch` started, or this one on the device that accelerate chooses.

    Args:
        shard: whether to shard the decoder layers; by default if accelerate's configuration says FSDP.
        cpu: whether to stay on the processor although there is a GPU.
        writes: precision of the whole copy of a sharded policy that writes; `same` is the policy's.
        zero: whether accelerate's configuration says DeepSpeed, see `codeenv.agents.rlef.zero`.

    Raises:
        CodeenvError: accelerate is not installed, or is configured for something that is not supported.
    """

    streams = True

    def __init__(self, shard: bool | None = None, cpu: bool = False, writes: str = "same", zero: bool = False) -> None:
        try:
            from accelerate import Accelerator, DistributedType, InitProcessGroupKwargs
        except ImportError:
            raise MissingExtraError("accelerate: true", "accelerate", "agents") from None
        gloo = zero and not torch.cuda.is_available()  # with DeepSpeed, accelerate knows of no processes on the processor
        self._accelerator = Accelerator(cpu=cpu, kwargs_handlers=[InitProcessGroupKwargs(backend="gloo")] if gloo else None)
        kind = self._accelerator.distributed_type
        if kind in (DistributedType.MEGATRON_LM, DistributedType.XLA) or (kind == DistributedType.DEEPSPEED) != zero:
            raise CodeenvError(f"accelerate is configured for {kind.value}; use one device, several processes, FSDP or DeepSpeed")
        self.rank = int(self._accelerator.process_index)
        self.count = int(self._accelerator.num_processes)
        self.device = self._accelerator.device
        self._shard = (kind == DistributedType.FSDP if shard is None else shard) and self.count > 1
        self.casts = self._in_step = self._shard
        self._dtype = None if writes == "same" else getattr(torch, writes)
        self._writer: PreTrainedModel | None = None

    def place(self, module: Module) -> Module:
        module.to(self.device)
        if self._shard:
            from torch.distributed.fsdp import fully_shard

            if isinstance(module, PreTrainedModel) and any(parameter.requires_grad for parameter in module.parameters()):
                self._writer = copy.deepcopy(module).requires_grad_(False)
                nn.Module.to(self._writer, dtype=self._dtype)
            for layer in _decoder_layers(module):
                fully_shard(layer)
        return module

    def device_of(self, policy: PreTrainedModel) -> torch.device:
        return torch.device(self.device)

    def sampler(self, policy: PreTrainedModel) -> PreTrainedModel:
        if self._writer is None:
            return policy
        with torch.no_grad():
            for mine, theirs in zip(self._writer.parameters(), policy.parameters(), strict=True):
                mine.copy_(_full(theirs))  # one whole tensor at a time
        return self._writer

    def gather(self, collection: Collection) -> Collection:
        records = [PlayedRecord.of(one) for one in collection.played]
        found = self.objects((records, collection.judge_errors, collection.places))
        whole = Collection(generation_s=collection.generation_s, judge_s=collection.judge_s)
        whole.generation_cpu_s, whole.judge_cpu_s = collection.generation_cpu_s, collection.judge_cpu_s
        whole.judge_errors = sum(errors for _, errors, _ in found)
        placed = [
            (place * self.count + rank, one)  # process r plays the episodes r, r + count, r + 2 count, ...
            for rank, (records, _, places) in enumerate(found)
            for place, one in zip(places, records, strict=True)
        ]
        placed.sort(key=lambda pair: pair[0])
        whole.played = [one for _, one in placed]
        whole.places = [place for place, _ in placed]
        return whole

    def objects(self, value: T) -> list[T]:
        if self.count == 1:
            return [value]
        found: list[Any] = [None] * self.count
        torch.distributed.all_gather_object(found, value)
        return found

    def fillers(self, episodes: Sequence[int], size: int) -> int:
        if not self._in_step:
            return 0
        most = -(-len(episodes) // self.count)
        return -(-most // size) - -(-len(self.own(episodes)) // size)

    def add(self, values: Tensor) -> Tensor:
        if self.count > 1:
            torch.distributed.all_reduce(values)
        return values

    def add_numbers(self, numbers: Mapping[str, float]) -> dict[str, float]:
        values = self.add(torch.tensor(list(numbers.values()), dtype=torch.float64, device=self.device)).tolist()
        return dict(zip(numbers, values, strict=True))

    def add_gradients(self, module: nn.Module) -> None:
        if self.count == 1:
            return
        whole = []
        for parameter in module.parameters():
            if not parameter.requires_grad:
                continue
            if _sharded(parameter):
                if parameter.grad is not None:
                    parameter.grad.mul_(self.count)  # fully_shard takes the mean
                continue
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            whole.append(parameter.grad)
        flat = self.add(torch.cat([gradient.flatten() for gradient in whole]))
        for gradient, part in zip(whole, flat.split([gradient.numel() for gradient in whole]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def clip(self, module: nn.Module, limit: float) -> Tensor:
        if not self._shard:
            return super().clip(module, limit)
        gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
        norms = [_full(nn.utils.get_total_norm([gradient])) for gradient in gradients]
        total = torch.stack(norms).norm()
        scale = (limit / (total + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(float(scale))
        whole: Tensor = total
        return whole

    def optimizer(self, module: nn.Module, **settings: Any) -> torch.optim.Optimizer:
        return torch.optim.AdamW(module.parameters(), foreach=False if self._shard else None, **settings)

    def whole(self, state: dict[str, Any]) -> dict[str, Any]:
        return {key: self.whole(value) if isinstance(value, dict) else _full(value) for key, value in state.items()}

    def load(self, module: nn.Module, state: Mapping[str, Any]) -> None:
        if not self._shard:
            super().load(module, state)
            return
        module.load_state_dict({key: _like(state[key], value) for key, value in module.state_dict().items()})

    def load_optimizer(self, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        if self._shard:
            placed = {
                number: {key: _like(value, parameters[number]) if value.dim() else value for key, value in entry.items()}
                for number, entry in state["state"].items()
            }
            state = {**state, "state": placed}
        optimizer.load_state_dict(state)

    def wait(self) -> None:
        self._accelerator.wait_for_everyone()


def _decoder_layers(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules of the longest list of modules: the layers of a transformer."""
    lists = [part for part in module.modules() if isinstance(part, nn.ModuleList)]
    if not lists:
        raise CodeenvError(f"{type(module).__name__} has no list of layers to shard; train it without FSDP")
    yield from max(lists, key=len)


def _sharded(value: Any) -> bool:
    return hasattr(value, "full_tensor")


def _full(value: Any) -> Any:
    return value.full_tensor() if _sharded(value) else value


def _like(value: Tensor, target: Any) -> Any:
    """Return a whole tensor in the shards of another, if that has any."""
    if not _sharded(target):
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(target.device), target.device_mesh, target.placements)
