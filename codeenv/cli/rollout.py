"""`codeenv rollout`: run an agent in an environment and record the episodes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import tyro

from codeenv.cli.progress import Bar, prints_aside
from codeenv.errors import CodeenvError
from codeenv.judge import Judge
from codeenv.rollout import RolloutResult, read_episodes, rollout
from codeenv.rollout.determinism import first_difference


def main(
    env: str = "codeenv/HumanEval-v0",
    agent: str = "oracle",
    episodes: int | None = None,
    out: str | None = None,
    resume: bool = False,
    seed: int = 0,
    split: str | None = None,
    limit: int | None = None,
    turn_limit: Annotated[int | None, tyro.conf.arg(aliases=["--turns"])] = None,
    feedback: str | None = None,
    prompt: str | None = None,
    no_require_fence: bool = False,
    trace: str | None = None,
    reward: str | None = None,
    concurrency: int = 64,
    agent_timeout_s: float = 600.0,
    workers: int | None = None,
    ray: str | None = None,
    check_determinism: bool = False,
    agent_options: tuple[str, ...] = (),
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """Run an agent in an environment; with --out, record every episode there.

    Example: codeenv rollout --env codeenv/HumanEval-v0 --agent oracle --episodes 164 --out runs/oracle

    Args:
        env: id of an environment (see `codeenv list`) or a problem file (.jsonl).
        agent: oracle, never-right, random-wrong, repairs-on-feedback, ignores-feedback, chat, hf, repair, human, or
            module:attribute.
        episodes: number of episodes; one per problem by default.
        out: folder for the run.
        resume: go on with the run in --out.
        seed: seed of the run.
        split: split of the data set.
        limit: use only the first so many problems.
        turn_limit: most responses in an episode; by default the environment's, as with the next five.
        feedback: what is said after a failed turn: rlef, first_failure, error_class, binary, compact, values, none.
        prompt: the first message: rlef or plain (the statement alone).
        no_require_fence: take a response without any fenced block for a program.
        trace: trace shown with the feedback: off, inline, steps or final.
        reward: reward function: rlef, binary, fraction, scores, four_level.
        concurrency: most episodes in flight.
        agent_timeout_s: longest wall time of one response.
        workers: judge workers; one per core by default.
        ray: judge on a Ray cluster: its address (host:port), or auto for the one that this machine is part of.
        check_determinism: run everything twice, the second time one episode after the other, and say where the runs differ
            apart from times; status 1 if they do.
        agent_options: arguments of the agent's class, as NAME=VALUE.
        as_json: print the summary as JSON.
    """
    chosen = {"turn_limit": turn_limit, "feedback": feedback, "prompt": prompt, "trace": trace, "reward": reward}
    settings: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    if no_require_fence:
        settings["require_fence"] = False
    options = parse_options(agent_options)
    if resume and out is None:
        raise CodeenvError("--resume needs --out, the folder of the run to go on with")
    judge = None
    if ray is not None:
        judge = Judge(sandbox="ray", workers=workers or os.cpu_count() or 1, address=ray)
    concurrency, agent_timeout_s = pace_of(agent, concurrency, agent_timeout_s)
    with prints_aside(as_json), Bar("episodes", episodes, hidden=agent == "human") as bar:

        def show(result: RolloutResult) -> None:
            bar.update(result.episodes + len(result.failures), progress_note(result), result.total)

        try:
            result = rollout(
                env, agent, episodes, out=out, resume=resume, seed=seed, concurrency=concurrency, split=split, limit=limit,
                agent_timeout_s=agent_timeout_s, workers=workers, judge=judge, on_progress=show,
                agent_options=options, **settings,
            )  # fmt: skip
            difference = None
            if check_determinism:
                second = rollout(
                    env, agent, episodes, seed=seed, concurrency=1, split=split, limit=limit, agent_timeout_s=agent_timeout_s,
                    workers=workers, agent_options=options, **settings,
                )  # fmt: skip
                rows = result.rows if out is None else {row["episode"]: row for row in read_episodes(out)}
                difference = first_difference(rows, second.rows)
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
    if check_determinism:
        summary["deterministic"] = difference is None
    if as_json:
        print(json.dumps(summary))
    else:
        print(
            f"{result.solved} of {result.episodes} episodes solved ({summary['solve_rate']:.1%})"
            + (f", recorded in {out}" if out else "")
        )
    if result.failures:
        again = "; --resume tries them again" if out else ""
        print(f"codeenv rollout: {failure_note(result.failures)}{again}", file=sys.stderr)
        return 3
    if check_determinism:
        print(f"The runs differ: {difference}" if difference else "Both runs are equal apart from times", file=sys.stderr)
    return 1 if difference else 0


def pace_of(agent: str, concurrency: int, timeout_s: float) -> tuple[int, float]:
    """Return concurrency and deadline of an agent; a person reads one problem at a time and has a day for a response."""
    return (1, max(timeout_s, 24 * 3600.0)) if agent == "human" else (concurrency, timeout_s)


def parse_options(options: Sequence[str]) -> dict[str, str]:
    """Return NAME=VALUE texts as a mapping."""
    for option in options:
        if "=" not in option:
            raise CodeenvError(f"agent option {option!r} has no value; write NAME=VALUE")
    return dict(option.split("=", 1) for option in options)


def failure_note(failures: Sequence[str]) -> str:
    """Return how many episodes failed, and the first of them."""
    if len(failures) == 1:
        return f"1 episode failed: {failures[0]}"
    return f"{len(failures)} episodes failed; the first: {failures[0]}"


def progress_note(result: RolloutResult) -> str:
    """Return solve rates by turn, the judge's queue and the failures in a few words."""
    solved, parts = 0, []
    for turn in range(1, max(result.solved_in, default=1) + 1):
        solved += result.solved_in[turn]
        parts.append(f"{solved / result.episodes:.1%}" if result.episodes else "-")
    failed = f", {len(result.failures)} failed" if result.failures else ""
    return f"solved by turn {' '.join(parts)}, {result.in_flight} in flight, {result.judging} at the judge{failed}"
