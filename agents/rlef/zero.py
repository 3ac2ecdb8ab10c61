"""Training with DeepSpeed's ZeRO, stage 2: gradients and the states of optimisers are shared out among the processes.

Each of policy and critic has an engine of its own. The learner computes its losses on the whole models, as in one process; an
engine is given each loss to take the gradients of, sums them over the processes, and steps its share of the weights. Stage 3,
which shares out the weights too, is what `fsdp.yaml` does.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from codeenv.agents.rlef.accelerated import AcceleratedDevices
from codeenv.errors import CodeenvError, MissingExtraError

__all__ = ["ZeroDevices"]

_MOMENTS = ("exp_avg", "exp_avg_sq")


class ZeroDevices(AcceleratedDevices):
    """The processes that `accelerate launch` started with a configuration of DeepSpeed.

    Raises:
        CodeenvError: DeepSpeed is not installed, or its configuration asks for another stage of ZeRO.
    """

    def __init__(self) -> None:
        _without_compiled_sums()
        super().__init__(shard=False, zero=True)
        self._in_step = True
        found = self._accelerator.state.deepspeed_plugin.deepspeed_config["zero_optimization"]
        if found["stage"] != 2:
            raise CodeenvError(
                f"zero_stage is {found['stage']}; use 2, or shard the weights too with examples/accelerate/fsdp.yaml"
            )
        offload = (found.get("offload_optimizer") or {}).get("device", "none")
        self._zero = {"stage": 2, "offload_optimizer": {"device": offload}}
        self._engines: dict[nn.Module, Any] = {}

    def optimizer(self, module: nn.Module, **settings: Any) -> torch.optim.Optimizer:
        import deepspeed

        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        if {parameter.dtype for parameter in trained} != {torch.float32}:
            raise CodeenvError("with DeepSpeed the trained weights must be float32; set model.dtype to float32")
        adamw = torch.optim.AdamW(trained, **settings)
        size = sum(parameter.numel() for parameter in trained)
        config = {
            "train_micro_batch_size_per_gpu": 1,
            "gradient_accumulation_steps": 1,
            "managed_gradient_accumulation": False,  # the learner says when there is a step
            "gradient_allreduce_op": "sum",
            "zero_optimization": {**self._zero, "reduce_bucket_size": size, "allgather_bucket_size": 2 * size},
            "zero_allow_untested_optimizer": True,
            "zero_force_ds_cpu_optimizer": False,
        }
        engine, *_ = deepspeed.initialize(model=_Held(module), optimizer=adamw, config=config)
        self._engines[module] = engine
        return _ZeroAdamW(module, engine.optimizer, adamw.defaults)

    def backward(self, module: nn.Module, loss: Tensor) -> None:
        engine = self._engines[module]
        engine.backward(engine(loss), scale_wrt_gas=False)

    def add_gradients(self, module: nn.Module) -> None:
        if module not in self._engines:
            super().add_gradients(module)

    def clip(self, module: nn.Module, limit: float) -> Tensor:
        optimizer = self._engines[module].optimizer
        optimizer.clip_grad = limit  # which its step does
        optimizer.finalize_gradient_accumulation_boundary()
        norm = cast(Tensor, optimizer.scaled_global_norm())
        return norm if norm >= 0 else torch.full_like(norm, torch.inf)  # -1 stands for what is not finite


class _Held(nn.Module):
    """A module as an engine holds it: what is computed with it comes in, and gradients go back."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, loss: Tensor) -> Tensor:
        return loss


class _ZeroAdamW(torch.optim.Optimizer):
    """An engine's optimiser as one of the whole module: its state is that of AdamW in one process."""

    def __init__(self, module: nn.Module, zero: Any, defaults: dict[str, Any]) -> None:
        super().__init__(module.parameters(), dict(defaults))
        self._zero = zero

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self._zero.optimizer.param_groups:
            group["lr"] = self.param_groups[0]["lr"]
        self._zero.step()
        self.zero_grad()

    def zero_grad(self, set_to_none: bool = True) -> None:
        self._zero.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        from deepspeed.utils import safe_get_full_optimizer_state

        whole: dict[str, Any] = super().state_dict()
        mine = self._zero.optimizer.state.get(self._flat)
        if mine:
            for number, parameter in self._trained():
                moments = {key: safe_get_full_optimizer_state(parameter, key) for key in _MOMENTS}
                whole["state"][number] = {"step": mine["step"].clone(), **moments}
        return whole

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        from deepspeed.utils import safe_set_full_optimizer_state

        super().load_state_dict({**state_dict, "state": {}})
        self._zero.refresh_fp32_params()  # the weights were read before
        if not state_dict["state"]:
            return
        flat, states = self._flat, self._zero.optimizer.state
        if not states.get(flat):
            states[flat] = {key: torch.zeros_like(flat) for key in _MOMENTS}
            self._zero._lazy_init_hp_params_optimizer_state()
        for number, parameter in self._trained():
            for key in _MOMENTS:
                value = state_dict["state"][number][key] if number in state_dict["state"] else torch.zeros_like(parameter)
                safe_set_full_optimizer_state(parameter, value.to(parameter.device), key)
        states[flat]["step"] = next(iter(state_dict["state"].values()))["step"].clone()

    @property
    def _flat(self) -> Tensor:
        """The share of the weights, one after another, that this process steps."""
        (flat,) = self._zero.single_partition_of_fp32_groups
        return cast(Tensor, flat)

    def _trained(self) -> list[tuple[int, nn.Parameter]]:
        return [(number, one) for number, one in enumerate(self.param_groups[0]["params"]) if one.requires_grad]


def _without_compiled_sums() -> None:
    """Keep DeepSpeed from compiling its sums over shared memory, for which it waits for ever where a killed run left its lock."""
    try:
        import deepspeed.ops
    except ImportError:
        raise MissingExtraError("a DeepSpeed configuration", "deepspeed", "deepspeed") from None
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
