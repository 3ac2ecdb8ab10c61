"""`codeenv rollout`: run an agent in an environment and record the episodes."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import tyro

from codeenv.cli.progress import Bar
from codeenv.errors import CodeenvError
from codeenv.rollout import RolloutResult, rollout


def main(
    env: str = "codeenv/HumanEval-v0",
    agent: str = "oracle",
    episodes: int | None = None,
    out: str | None = None,
    resume: bool = False,
    seed: int = 0,
    split: str | None = None,
    limit: int | None = None,
    turn_limit: int | None = None,
    feedback: str | None = None,
    trace: str | None = None,
    reward: str | None = None,
    concurrency: int = 64,
    agent_timeout_s: float = 600.0,
    workers: int | None = None,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """Run an agent in an environment; with --out, record every episode there.

    Example: codeenv rollout --env codeenv/HumanEval-v0 --agent oracle --episodes 164 --out runs/oracle

    Args:
        env: id of an environment (see `codeenv list`) or a problem file (.jsonl).
        agent: oracle, never-right, repairs-on-feedback, ignores-feedback, or module:attribute.
        episodes: number of episodes; one per problem by default.
        out: folder for the run.
        resume: go on with the run in --out.
        seed: seed of the run.
        split: split of the data set.
        limit: use only the first so many problems.
        turn_limit: most responses in an episode.
        feedback: kind of feedback.
        trace: trace shown with the feedback: off, inline, steps or final.
        reward: reward function.
        concurrency: most episodes in flight.
        agent_timeout_s: longest wall time of one response.
        workers: judge workers; one per core by default.
        as_json: print the summary as JSON.
    """
    chosen = {"turn_limit": turn_limit, "feedback": feedback, "trace": trace, "reward": reward}
    settings: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    if resume and out is None:
        raise CodeenvError("--resume needs --out, the folder of the run to go on with")
    with Bar("episodes", episodes) as bar:

        def show(result: RolloutResult) -> None:
            rate = result.solved / result.episodes if result.episodes else 0.0
            bar.update(result.episodes + len(result.failures), f"solved {rate:.1%}" + _failed(result))

        try:
            result = rollout(
                env, agent, episodes, out=out, resume=resume, seed=seed, concurrency=concurrency, split=split, limit=limit,
                agent_timeout_s=agent_timeout_s, workers=workers, on_progress=show, **settings,
            )  # fmt: skip
        except KeyboardInterrupt:
            kept = f"; the finished episodes are in {out}, --resume goes on" if out else ""
            print(f"codeenv rollout: interrupted{kept}", file=sys.stderr)
            return 130
    summary = {
        "env": env,
        "agent": agent,
        "episodes": result.episodes,
        "solved": result.solved,
        "solve_rate": result.solved / result.episodes if result.episodes else 0.0,
        "failures": len(result.failures),
        "out": out,
    }
    if as_json:
        print(json.dumps(summary))
    else:
        print(
            f"{result.solved} of {result.episodes} episodes solved ({summary['solve_rate']:.1%})"
            + (f", recorded in {out}" if out else "")
        )
    if result.failures:
        again = "; --resume tries them again" if out else ""
        print(f"codeenv rollout: {len(result.failures)} episodes failed; the first: {result.failures[0]}{again}", file=sys.stderr)
        return 3
    return 0


def _failed(result: RolloutResult) -> str:
    return f", {len(result.failures)} failed" if result.failures else ""
