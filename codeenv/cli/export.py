"""`codeenv export`: a recorded run in another format."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Literal

import tyro

from codeenv.errors import CodeenvError
from codeenv.rollout.export import export_rows


def main(
    run: tyro.conf.Positional[str],
    format: Literal["chat", "completion", "preference", "atif"] = "chat",
    out: str | None = None,
    all_episodes: bool = False,
) -> None:
    """Write a recorded run as JSONL: conversations for supervised training, preference pairs, or ATIF documents.

    Example: codeenv export runs/oracle --format completion --out sft.jsonl

    Args:
        run: folder of the run.
        format: chat (messages), completion (prompt and the last response), preference (chosen and rejected), atif.
        out: the file; standard output by default.
        all_episodes: also those that were not solved.
    """
    rows = export_rows(run, format, not all_episodes)
    if out is None:
        for row in rows:
            print(json.dumps(row))
        return
    count = 0
    try:
        with Path(out).open("w", encoding="utf-8") as file:
            for row in rows:
                file.write(json.dumps(row) + "\n")
                count += 1
    except OSError as error:
        raise CodeenvError(f"cannot write {out!r}: {error.strerror}; choose another --out") from None
    print(f"{count} rows written to {out}", file=sys.stderr)
