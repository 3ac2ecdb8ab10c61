"""Where the numbers of a run go beside `metrics.jsonl`: TensorBoard and Weights & Biases, by flag."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from codeenv.errors import CodeenvError

__all__ = ["Board", "open_boards"]


class Board(Protocol):
    """Takes the numbers of one iteration after another."""

    def write(self, metrics: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


def open_boards(
    folder: Path, settings: Mapping[str, Any], tensorboard: bool, wandb: bool, project: str, done: int
) -> list[Board]:
    """Return the boards that were asked for.

    Args:
        folder: of the run.
        settings: of the run, for Weights & Biases.
        tensorboard, wandb: which ones.
        project: of Weights & Biases.
        done: iterations that are done; a resumed run writes those after them again.

    Raises:
        CodeenvError: a package is not installed, or Weights & Biases cannot start.
    """
    boards: list[Board] = []
    if tensorboard:
        boards.append(_TensorBoard(folder, done))
    if wandb:
        boards.append(_WeightsAndBiases(folder, settings, project))
    return boards


class _TensorBoard:
    def __init__(self, folder: Path, done: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise CodeenvError("tensorboard is not installed; install it with: pip install tensorboard") from None
        self._writer: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=done)

    def write(self, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, int(metrics["iteration"]))

    def close(self) -> None:
        self._writer.close()


class _WeightsAndBiases:
    """A run named after its folder; `WANDB_MODE=offline` writes to the folder alone, and without a key that is the default."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], project: str) -> None:
        try:
            import wandb
        except ImportError:
            raise CodeenvError("wandb is not installed; install it with: pip install wandb") from None
        known = os.environ.get("WANDB_API_KEY") or (Path.home() / ".netrc").exists()
        mode: Any = os.environ.get("WANDB_MODE") or ("online" if known else "offline")
        identity = folder / "wandb_run"
        try:
            self._run: Any = wandb.init(
                project=project, name=folder.name, dir=str(folder), mode=mode, config=dict(settings), resume="allow",
                id=identity.read_text(encoding="utf-8").strip() if identity.exists() else None,
                settings=wandb.Settings(silent=True),
            )  # fmt: skip
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise CodeenvError(
                f"Weights & Biases cannot start: {reason}; set WANDB_MODE=offline to write to the folder"
            ) from None
        identity.write_text(f"{self._run.id}\n", encoding="utf-8")

    def write(self, metrics: Mapping[str, float]) -> None:
        self._run.log(dict(metrics), step=int(metrics["iteration"]))

    def close(self) -> None:
        self._run.finish()
