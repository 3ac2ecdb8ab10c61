"""Items on disk: one JSON row each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from codeenv.errors import CodeenvError
from codeenv.prediction.item import PredictionItem

__all__ = ["read_items", "write_items"]


def read_items(path: str | Path) -> list[PredictionItem]:
    """Return the items of a JSONL file.

    Raises:
        CodeenvError: with the line number, if the file cannot be read or a row is malformed.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CodeenvError(f"cannot read the items in {str(path)!r}: {error}") from None
    items = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                items.append(PredictionItem.from_dict(json.loads(line)))
            except (ValueError, CodeenvError) as error:
                raise CodeenvError(f"{str(path)!r}, line {number}: {error}") from None
    return items


def write_items(path: str | Path, items: Iterable[PredictionItem]) -> None:
    """Write items as JSONL."""
    text = "".join(json.dumps(item.to_dict(), ensure_ascii=False) + "\n" for item in items)
    Path(path).write_text(text, encoding="utf-8", errors="backslashreplace")
