"""`codeenv replay`: judge a recorded run again."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Annotated

import tyro

from codeenv.cli.progress import Bar
from codeenv.judge import Judge
from codeenv.rollout import env_problems
from codeenv.rollout.replay import replay


def main(
    run: tyro.conf.Positional[str],
    problems: str | None = None,
    workers: int | None = None,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """Judge every program of a recorded run again and say where the verdicts differ; status 1 if they do.

    Example: codeenv replay runs/oracle

    Args:
        run: folder of the run.
        problems: environment or problem file with the run's problems; by default the run's own environment.
        workers: judge workers; one per core by default.
        as_json: print the result as JSON.
    """
    given = env_problems(problems)[0] if problems else None
    with Judge(sandbox="local", workers=workers or os.cpu_count() or 1) as judge, Bar("programs", None) as bar:
        result = replay(run, judge, given, lambda found: bar.update(found.programs, f"{len(found.differences)} differ"))
    if as_json:
        print(json.dumps({"programs": result.programs, "differences": [asdict(item) for item in result.differences]}))
    else:
        for difference in result.differences[:20]:
            print(difference)
        more = f" ({len(result.differences) - 20} of them not shown)" if len(result.differences) > 20 else ""
        print(f"{result.programs} programs judged again, {len(result.differences)} differ{more}")
    return 1 if result.differences else 0
