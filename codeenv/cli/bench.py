"""`codeenv bench`: measure an agent."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from codeenv.cli.progress import Bar, prints_aside
from codeenv.cli.rollout import failure_note, pace_of, parse_options, progress_note
from codeenv.errors import CodeenvError
from codeenv.evaluation.arms import check_arms
from codeenv.evaluation.bench import BenchResult, run_bench
from codeenv.evaluation.bench_report import (
    arms_table,
    bench_cards,
    bench_sentence,
    bench_tables,
    columns_of,
    known_table,
    text_table,
    width_note,
)
from codeenv.evaluation.report import write_report
from codeenv.judge import Judge
from codeenv.rollout import RolloutResult, env_problems, load_agent


def main(
    what: tyro.conf.Positional[Literal["feedback"]],
    env: str = "codeenv/HumanEval-v0",
    agent: str = "repairs-on-feedback",
    arms: str = "true,random,none,independent",
    turns: int | None = None,
    feedback: str | None = None,
    prompt: str | None = None,
    no_require_fence: bool = False,
    rollouts: int = 20,
    out: str | None = None,
    resume: bool = False,
    seed: int = 0,
    split: str | None = None,
    limit: int | None = None,
    no_known_points: bool = False,
    concurrency: int = 64,
    agent_timeout_s: float = 600.0,
    workers: int | None = None,
    agent_options: tuple[str, ...] = (),
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """Measure whether an agent uses execution feedback or only samples again.

    The agent plays every problem --rollouts times in each arm; an arm is what it sees after a failed turn. Its use of feedback
    is the solve rate in the arm true minus that in the arm random.

    A first look, seconds: codeenv bench feedback --env codeenv/Procedural-v0 --limit 20 --rollouts 1

    Example: codeenv bench feedback --env codeenv/HumanEval-v0 --agent mine:MyAgent --rollouts 5 --arms true,random,none

    Args:
        what: feedback.
        env: id of an environment (see `codeenv list`) or a problem file (.jsonl).
        agent: oracle, never-right, random-wrong, repairs-on-feedback, ignores-feedback, chat, hf, repair, human, or
            module:attribute.
        arms: names with commas between them: true (the environment's feedback; always played), random (true feedback about
            another problem), random_same (about another problem with the same statement), none (a request to try again),
            binary (that it is not right), error_class (the kind of failure), first_failure (the first failing test alone),
            stale (the feedback of the turn before), perturbed (wrong expected values), trace_inline, trace_steps, trace_final
            (with an execution trace), private (private tests too), independent (no history: every turn a fresh sample).
        turns: most responses in an episode; by default the environment's.
        feedback: the true feedback: rlef, first_failure, error_class, binary, compact; by default the environment's.
        prompt: the first message: rlef or plain (the statement alone); by default the environment's.
        no_require_fence: take a response without any fenced block for a program.
        rollouts: episodes per problem and arm; more give narrower intervals.
        out: folder for the runs, results.json and report.html; by default runs/bench-<agent>.
        resume: go on with what is in --out.
        seed: seed of the runs.
        split: split of the data set.
        limit: use only the first so many problems.
        no_known_points: leave out the scripted agents whose result is known.
        concurrency: most episodes in flight.
        agent_timeout_s: longest wall time of one response.
        workers: judge workers; one per core by default.
        agent_options: arguments of the agent's class, as NAME=VALUE.
        as_json: print the results as JSON.
    """
    names = check_arms([name.strip() for name in arms.split(",")])
    if out == "":
        raise CodeenvError("the folder's name is empty; name a folder with --out, or leave --out away")
    problems, config = env_problems(env, split, limit)
    chosen = {"turn_limit": turns, "feedback": feedback, "prompt": prompt, "require_fence": False if no_require_fence else None}
    config = replace(config, **{name: value for name, value in chosen.items() if value is not None})  # type: ignore[arg-type]
    folder = Path(out or Path("runs") / ("bench-" + agent.replace(":", "-").replace("/", "-")))
    if folder.exists() and not folder.is_dir():
        raise CodeenvError(f"{str(folder)!r} is a file; choose another --out")
    if folder.exists() and any(folder.iterdir()) and not resume:
        raise CodeenvError(f"{str(folder)!r} is not empty; use --resume to go on with it, or choose another --out")
    options = parse_options(agent_options)
    concurrency, agent_timeout_s = pace_of(agent, concurrency, agent_timeout_s)
    more = env_problems(env, split)[0] if limit is not None and "random_same" in names else ()
    with (
        prints_aside(as_json),
        Judge(sandbox="local", workers=workers or os.cpu_count() or 1) as judge,
        Bar("episodes", len(problems) * rollouts, hidden=agent == "human") as bar,
    ):

        def show(label: str, result: RolloutResult) -> None:
            place = f"arm {label}, {names.index(label) + 1} of {len(names)}" if label in names else f"known point {label}"
            bar.update(result.episodes + len(result.failures), f"{place}: {progress_note(result)}", result.total)

        bar.update(0, "running the wrong programs that the arms need")
        result = run_bench(
            problems,
            load_agent(agent, options),
            folder,
            config=config,
            arms=names,
            rollouts=rollouts,
            judge=judge,
            seed=seed,
            resume=resume,
            known_points=not no_known_points,
            concurrency=concurrency,
            agent_timeout_s=agent_timeout_s,
            env=env,
            header={"agent": agent, "agent_options": options, "split": split, "limit": limit},
            more=more,
            on_progress=show,
        )
    each = f"{rollouts} rollout{'s' if rollouts > 1 else ''} of up to {config.turn_limit} turns"
    page = write_report(
        result.runs,
        folder / "report.html",
        title=f"Feedback use: {agent}" + (f", {options['model'].rstrip('/').split('/')[-1]}" if options.get("model") else ""),
        subtitle=f"{len(problems)} problems of {env}, {each} in each arm. {bench_sentence(result)}".strip(),
        tables=bench_tables(result),
        cards=bench_cards(result),
    )
    if as_json:
        print(json.dumps({**result.to_dict(), "report": str(page)}))
    else:
        _print(result, page)
    if result.failures:
        print(f"codeenv bench: {failure_note(result.failures)}; --resume tries them again", file=sys.stderr)
        return 3
    return 0


def _print(result: BenchResult, page: Path) -> None:
    shown = ("arm", "solved", "in turn 1", "public passed", "true minus this", "p (sign flip)")
    print(text_table(columns_of(arms_table(result), shown)))
    if note := width_note(result):
        print(f"\n{note}")
    used = result.utilisation
    if used is not None:
        share = f", {used.share.value:.1%} of what was possible" if used.share.n else ""
        gain = used.difference
        print(f"\nFeedback utilisation, true minus {used.second}: {gain.value:+.1%} ({gain.low:+.1%} to {gain.high:+.1%}){share}")
        print(bench_sentence(result))
    known = known_table(result)
    if known is not None:
        print("\n" + text_table(known))
    print(f"\nThe report is in {page}")
