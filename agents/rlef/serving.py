"""A training run whose responses a vLLM server writes: what that asks of the settings, and where the weights go."""

from __future__ import annotations

from pathlib import Path

from codeenv.agents.lm.served import ServedPolicy
from codeenv.agents.lm.vllm_server import VllmServer
from codeenv.agents.rlef.run_config import TrainConfig
from codeenv.agents.rlef.trainer import Learner
from codeenv.errors import CodeenvError

__all__ = ["write_on_server"]


def write_on_server(config: TrainConfig, learner: Learner, folder: Path) -> None:
    """Let the server of the settings write the learner's responses; without one, do nothing.

    Args:
        folder: of the run.

    Raises:
        CodeenvError: the settings ask for what a server cannot do, or it is not there.
    """
    if not config.server.url:
        return
    # The server's log-probabilities are those before temperature and top-p (vLLM's logprobs_mode raw_logprobs).
    if config.rlef.temperature != 1.0 or config.rlef.top_p != 1.0:
        raise CodeenvError(
            f"rlef.temperature is {config.rlef.temperature:g} and rlef.top_p {config.rlef.top_p:g}; a server's log-probabilities "
            "are exact at 1.0 alone, so set both to 1.0, or write in this process (no server.url)"
        )
    if not config.rlef.recompute_logprobs:
        raise CodeenvError(
            "rlef.recompute_logprobs is false, and a server's log-probabilities differ from the trainer's by rounding; "
            "set it to true"
        )
    mixed = (config.alignment.fraction > 0, config.trace_head.mode != "off", config.mask.mode != "off")
    if config.rlef.staleness or any(mixed) or config.curriculum.mode != "off" or learner.devices.count > 1:
        raise CodeenvError(
            "a server writes for a learner of one process without alignment, trace_head, mask, curriculum or rlef.staleness; "
            "switch them off, or write in this process (no server.url)"
        )
    served = ServedPolicy(
        VllmServer(config.server),
        learner.chat.tokenizer,
        Path(config.server.folder) if config.server.folder else folder / "served",
        config.rlef.sampling_dtype,
    )
    learner.write_on(served)
