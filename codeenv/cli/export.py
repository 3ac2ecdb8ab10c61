"""`codeenv export`: a recorded run in another format."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Literal

import tyro

from codeenv.errors import CodeenvError
from codeenv.rollout.export import export_rows
from codeenv.rollout.output import writing


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
    count = 0
    if out is None:
        for row in rows:
            print(json.dumps(row))
            count += 1
    else:
        folders = Path(os.path.realpath(out)).parents
        if within := next((folder for folder in folders if (folder / "run.json").exists()), None):
            raise CodeenvError(f"{out!r} is inside the run {str(within)!r}; choose an --out outside of it")
        with writing(out, "the rows to") as file:
            for row in rows:
                file.write(json.dumps(row) + "\n")
                count += 1
    hint = ""
    if not count and not all_episodes:
        pairs = format == "preference"
        hint = "no two answers to one message differ in success" if pairs else "no episode is solved; --all-episodes takes all"
    if out is not None or hint:
        print(f"{count} rows written" + (f" to {out}" if out else "") + (f": {hint}" if hint else ""), file=sys.stderr)
