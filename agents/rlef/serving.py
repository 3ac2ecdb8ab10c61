"""A training run whose responses a vLLM server writes: what that asks of the settings, and where the weights go."""

from __future__ import annotations

from pathlib import Path

from codeenv.agents.lm.served import ServedPolicy
from codeenv.agents.lm.vllm_server import VllmServer
from codeenv.agents.rlef.checks import ALONE, check_settings
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
    check_settings(config)
    if learner.devices.count > 1:
        raise CodeenvError(ALONE)
    served = ServedPolicy(
        VllmServer(config.server),
        learner.chat.tokenizer,
        Path(config.server.folder) if config.server.folder else folder / "served",
        config.rlef.sampling_dtype,
    )
    learner.write_on(served)
