"""`codeenv list`: the registered environments."""

from __future__ import annotations

import json
from typing import Annotated

import gymnasium
import tyro

import codeenv  # noqa: F401  (registers the environments)


def main(as_json: Annotated[bool, tyro.conf.arg(name="json")] = False) -> None:
    """List the environments that `gymnasium.make` knows after `import codeenv`.

    Example: codeenv list

    Args:
        as_json: print a JSON array.
    """
    rows = [
        {"id": name, "problems": spec.kwargs.get("problems"), "split": spec.kwargs.get("split")}
        for name, spec in sorted(gymnasium.registry.items())
        if name.startswith("codeenv/")
    ]
    if as_json:
        print(json.dumps(rows))
        return
    width = max(len(str(row["id"])) for row in rows)
    for row in rows:
        print(f"{row['id']:<{width}} {row['problems']}" + (f" ({row['split']})" if row["split"] else ""))
