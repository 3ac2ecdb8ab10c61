"""Rows of a data set on the Hugging Face Hub, through `datasets`; without a network, from its cache or not at all, and soon."""

from __future__ import annotations

import contextlib
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from codeenv.problems.loaders.fields import Row
from codeenv.problems.loaders.local import datasets_library, json_rows, quiet
from codeenv.problems.problem import ProblemError

__all__ = ["hub_rows"]

_PROBE_S = 3.0


def hub_rows(hub: str, config: str | None, split: str, files: Sequence[str] = ()) -> Sequence[Row]:
    """Return the rows of a split.

    Args:
        hub: the data set's name.
        config: its configuration.
        split: one of its splits.
        files: JSON Lines files of the data set that make the split; `datasets` finds them itself where none is named.

    Raises:
        ProblemError: without a network and a copy in the cache, without access, or if there is no such data set.
    """
    library = datasets_library()
    try:
        with quiet(), _at_once():
            if files:
                return json_rows(*[_downloaded(hub, file) for file in files])
            rows: Sequence[Row] = library.load_dataset(hub, config, split=split)
    except Exception as error:  # no connection, no such file, no access: the library has no common base class
        lines = str(error).strip().splitlines()
        reason = f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
        if "scripts are no longer supported" in reason:
            reason = f"it is published with a loading script, which datasets {library.__version__} does not run"
        raise ProblemError(
            f"the data set {hub!r} could not be read from the Hub ({reason}); "
            "pass a local copy as NAME:PATH if there is no network"
        ) from None
    return rows


def _downloaded(hub: str, file: str) -> Path:
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(hub, file, repo_type="dataset"))


@contextlib.contextmanager
def _at_once() -> Iterator[None]:
    """Ask the Hub once whether it is there; if it is not, only its cache is used, without tries that take half a minute."""
    import datasets.config
    import huggingface_hub.constants

    places: list[Any] = [datasets.config, huggingface_hub.constants]
    before = [place.HF_HUB_OFFLINE for place in places]
    offline = any(before) or not _answers(huggingface_hub.constants.ENDPOINT)
    for place in places:
        place.HF_HUB_OFFLINE = offline or place.HF_HUB_OFFLINE
    try:
        yield
    finally:
        for place, value in zip(places, before, strict=True):
            place.HF_HUB_OFFLINE = value


def _answers(endpoint: str) -> bool:
    """Whether anything answers there within some seconds, resolving the name included."""
    found: list[bool] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=_PROBE_S).close()
        except urllib.error.HTTPError:
            found.append(True)
        except OSError:
            found.append(False)
        else:
            found.append(True)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_PROBE_S)
    return bool(found) and found[0]
