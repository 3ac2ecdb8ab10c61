"""`codeenv train`: train a policy in the RLEF way, from a config file and flags."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import sys
from collections.abc import Sequence
from logging import ERROR, getLogger
from pathlib import Path
from typing import TYPE_CHECKING

from codeenv.cli.interrupts import Interrupts
from codeenv.cli.progress import Bar
from codeenv.errors import CodeenvError, MissingExtraError

if TYPE_CHECKING:
    from codeenv.agents.rlef.run import TrainingRun
    from codeenv.agents.rlef.run_config import TrainConfig
    from codeenv.evaluation.report import Curve

__all__ = ["main", "run_arguments"]

_USAGE = """Train a policy in the RLEF way.

Settings come from --config and from flags; a flag wins. Each setting of the file has a flag of its name, such as
--rlef.learning-rate. The run can be killed at any time and resumed with the same command and --resume.

Example: codeenv train --config examples/rlef/mini.yaml --out runs/mini
"""


def main() -> int:
    """Train with the arguments of the command line."""
    return run_arguments(sys.argv[2:])


def run_arguments(arguments: Sequence[str]) -> int:
    """Train; the flags are made from `TrainConfig`, with the values of `--config` as defaults."""
    for package in ("torch", "transformers"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError("codeenv train", package, "agents")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import tyro

    from codeenv.agents.rlef.run_config import TrainArguments, TrainConfig, read_config

    path = _value_of(arguments, "--config")
    base = read_config(Path(path)) if path else TrainConfig()
    names = [item.name for item in dataclasses.fields(TrainConfig)]
    default = TrainArguments(**{name: getattr(base, name) for name in names})
    parsed = tyro.cli(TrainArguments, default=default, args=list(arguments), prog="codeenv train", description=_USAGE)
    return _train(TrainConfig(**{name: getattr(parsed, name) for name in names}), parsed.out, parsed.resume)


def _train(config: TrainConfig, out: Path, resume: bool) -> int:
    from transformers.utils import logging

    from codeenv.agents.rlef.run import TrainingRun, open_judge

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    getLogger("bitsandbytes").setLevel(ERROR)  # peft loads it if it is there, and it warns of kernels that nobody asked for
    total = config.rlef.iterations
    run: TrainingRun | None = None
    interrupted = saved = False
    note = "codeenv train: stopping after this update; Ctrl-C again stops at once and loses it"
    interrupts = Interrupts(lambda: run is not None and run.learner.phase == "updating", note)
    with open_judge(config) as judge, interrupts:
        try:
            run = TrainingRun(config, out, judge, resume, on_event=lambda sentence: print(sentence, file=sys.stderr))
            with Bar("iterations", total) as bar:

                def show(metrics: dict[str, float]) -> None:
                    done = int(metrics["iteration"]) + 1
                    note = f"solved {metrics['solve_rate']:.3f}, kl {metrics['kl']:.3f}"
                    interrupts.check()
                    if run is None or not run.main:
                        return
                    bar.update(done, note)
                    if done % config.checkpoint_every == 0:
                        _page(run)
                    if not sys.stderr.isatty() and (done % max(1, total // 20) == 0 or done == total):
                        print(f"iteration {done}/{total}: {note}", file=sys.stderr, flush=True)

                run.train(show)
        except KeyboardInterrupt:
            interrupted = True
            saved = run is not None and run.interrupted()
        finally:
            if run is not None:
                run.close()
    if run is not None and not run.main:
        return 130 if interrupted else 0
    if interrupted or run is None:
        _say_interrupted(run, out, saved)
        return 130
    _page(run)
    last = run.metrics[-1]["solve_rate"] if run.metrics else float("nan")
    print(f"trained for {run.learner.iteration} iterations, solve rate at the end {last:.3f}")
    print("\n".join(str(out / name) for name in ("final", "metrics.jsonl", "report.html")))
    return 0


def _say_interrupted(run: TrainingRun | None, out: Path, saved: bool) -> None:
    """Print what an interrupted run leaves behind; the report and the policy are written as at the end of a whole run."""
    if run is None:
        print(f"codeenv train: interrupted before the first iteration; start again with --resume or another --out than {out}",
              file=sys.stderr)  # fmt: skip
        return
    _page(run)
    kept = f"the state after iteration {run.learner.iteration} is" if saved else "its last checkpoint is"
    print(f"codeenv train: interrupted; {kept} in {out}, --resume goes on from there", file=sys.stderr)
    names = ("final", "metrics.jsonl", "report.html")
    print("\n".join(str(out / name) for name in names if (out / name).exists()))


def _page(run: TrainingRun) -> None:
    from codeenv.evaluation.report import Curve, Series, write_report

    x = [metrics["iteration"] + 1 for metrics in run.metrics]
    solved = [Series("training", x, [metrics["solve_rate"] for metrics in run.metrics])]
    rows = [metrics for metrics in run.metrics if "validation_solve_rate" in metrics]
    if rows:
        points = [metrics["iteration"] + 1 for metrics in rows]
        solved.append(Series("validation", points, [metrics["validation_solve_rate"] for metrics in rows]))
    curves = [Curve("Solve rate", "iteration", "solved", solved)]
    for name, title in (("kl", "Mean log-ratio to the start, nats a token"), ("turns", "Turns an episode")):
        series = [Series(name, x, [metrics[name] for metrics in run.metrics])]
        curves.append(Curve(title, "iteration", name, series, percent=False))
    curves += _alignment_curves(run)
    recorded = run.folder / "predictions"  # with a trace head: episodes and what it says of them
    runs = {"policy at the end": recorded} if (recorded / "episodes.jsonl").exists() else {}
    write_report(runs, run.folder / "report.html", title=f"Training run {run.folder.name}", curves=curves)


def _alignment_curves(run: TrainingRun) -> list[Curve]:
    """Return the curves of alignment and of the trace head, where there are any."""
    from codeenv.evaluation.report import Curve, Series

    curves = []
    names = {"align_exact": "wholly right", "align_parsed": "readable", "align_reward": "reward"}
    asked = [metrics for metrics in run.metrics if metrics.get("align_answers")]
    if asked:
        x = [metrics["iteration"] + 1 for metrics in asked]
        series = [Series(label, x, [metrics[name] for metrics in asked]) for name, label in names.items()]
        looks = [metrics for metrics in run.metrics if "align_frozen" in metrics]
        if looks:
            points = [metrics["iteration"] + 1 for metrics in looks]
            series.append(Series("first items, wholly right", points, [metrics["align_frozen"] for metrics in looks]))
        curves.append(Curve("Predictions of own failed programs", "iteration", "share", series))
    for head in ("outcome", "exception", "line", "type", "bucket"):
        found = [metrics for metrics in run.metrics if f"head_{head}_accuracy" in metrics]
        if found:
            x = [metrics["iteration"] + 1 for metrics in found]
            kinds = [name for name in ("accuracy", "majority", "static") if all(f"head_{head}_{name}" in row for row in found)]
            series = [Series(name, x, [metrics[f"head_{head}_{name}"] for metrics in found]) for name in kinds]
            curves.append(Curve(f"Trace head: {head}", "iteration", "share", series))
    measured = [metrics for metrics in run.metrics if "head_gradient_ratio" in metrics]
    if measured:
        x = [metrics["iteration"] + 1 for metrics in measured]
        names = {"head_gradient_ratio": "ratio of the norms, head to policy", "head_gradient_cosine": "cosine"}
        series = [Series(label, x, [metrics[name] for metrics in measured]) for name, label in names.items()]
        curves.append(Curve("Trace head: gradients on the trunk", "iteration", "ratio, cosine", series, percent=False))
    return curves


def _value_of(arguments: Sequence[str], flag: str) -> str | None:
    for index, argument in enumerate(arguments):
        if argument == flag:
            if index + 1 == len(arguments):
                raise CodeenvError(f"{flag} needs a file, such as {flag} examples/rlef/mini.yaml")
            return arguments[index + 1]
        if argument.startswith(flag + "="):
            return argument.partition("=")[2]
    return None
