"""Items on disk: one JSON row each."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from codeenv.errors import CodeenvError
from codeenv.prediction.item import PredictionItem

__all__ = ["read_items", "write_items"]


def read_items(path: str | Path) -> list[PredictionItem]:
    """Return the items of a JSONL file.

    Raises:
        CodeenvError: with the line number, if the file cannot be read or a row is malformed.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CodeenvError(f"cannot read the items in {str(path)!r}: {error}") from None
    items = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                items.append(PredictionItem.from_dict(_checked(json.loads(line))))
            except (ValueError, CodeenvError, RecursionError) as error:
                raise CodeenvError(f"{str(path)!r}, line {number}: {error}") from None
            except (TypeError, AttributeError, KeyError, IndexError) as error:
                reason = f"a field has an unexpected form ({type(error).__name__}: {error})"
                raise CodeenvError(f"{str(path)!r}, line {number}: {reason}; write items with write_items") from None
    return items


def _checked(row: Any) -> dict[str, Any]:
    """Return a row whose texts are texts and whose test is the number of one."""
    if not isinstance(row, dict):
        raise CodeenvError(f"the item is {reprlib.repr(row)}; it must be an object")
    for field in ("id", "kind", "code"):
        if not isinstance(row.get(field), str):
            raise CodeenvError(f"field {field!r} is {reprlib.repr(row.get(field))}; it must be a text")
    if isinstance(row.get("test"), int) and row["test"] < 0:
        raise CodeenvError(f"field 'test' is {row['test']}; it must be the number of a public test, from 0")
    if not (row.get("passed") is None or isinstance(row["passed"], bool)):
        raise CodeenvError(f"field 'passed' is {reprlib.repr(row['passed'])}; it must be true, false or null")
    return row


def write_items(path: str | Path, items: Iterable[PredictionItem]) -> None:
    """Write items as JSONL."""
    text = "".join(json.dumps(item.to_dict()) + "\n" for item in items)
    Path(path).write_text(text, encoding="utf-8")
