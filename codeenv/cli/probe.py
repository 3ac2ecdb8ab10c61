"""`codeenv probe`: what the states of frozen models tell about runs."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from codeenv.errors import CodeenvError, MissingExtraError
from codeenv.judge import Judge
from codeenv.problems import Problem, load
from codeenv.rollout import read_episodes

if TYPE_CHECKING:
    from codeenv.agents.trace_head.probing import ProbeResult

__all__ = ["main"]


def main(
    models: tyro.conf.Positional[list[str]],
    run: Path,
    problems: str = "",
    limit: int = 500,
    out: Path | None = None,
    seed: int = 0,
    threads: int = 1,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """Probe frozen models, such as one before and one after training, on the programs of a recorded run.

    For each layer: is the class of a value, whether a line is run, and the outcome linearly readable from the states?
        Accuracies are on
    held-out problems, beside shuffled labels, the token alone (layer 0) and the commonest class.

    Example: codeenv probe runs/train/reference runs/train/final --run runs/rollout --out probe.html

    Args:
        models: paths or names of causal language models.
        run: folder of a run that `codeenv rollout` wrote.
        problems: the data set of the run, whose public tests are run again to make labels; by default the problems in its folder.
        limit: most programs.
        out: HTML page with a figure per question.
        seed: of the split by problem.
        threads: of torch.
        as_json: print the results as JSON.
    """
    if not models:
        raise CodeenvError("no model is named; give the path or name of one or more, such as: codeenv probe MODEL --run RUN")
    for name, value in (("limit", limit), ("threads", threads)):
        if value < 1:
            raise CodeenvError(f"--{name} is {value}; use a whole number of at least 1")
    if out is not None and out.is_dir():
        raise CodeenvError(f"--out {str(out)!r} is a folder; name a file, such as {str(out / 'probe.html')!r}")
    for package in ("torch", "transformers"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError("codeenv probe", package, "agents")
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.set_num_threads(threads)
    by_id = {problem.id: problem for problem in (load(problems) if problems else _recorded(run))}
    programs = _programs(run, by_id, limit)
    if not programs:
        raise CodeenvError(
            f"the run in {str(run)!r} holds no program of a problem in {problems or 'its folder'!r}; name its data set"
        )
    from codeenv.agents.trace_head.probing import LEAST, QUESTIONS

    found: dict[str, list[ProbeResult]] = {}
    with Judge() as judge:
        for name in models:
            found[name] = _probe(name, programs, judge, seed)
            if missing := [question for question in QUESTIONS if all(one.question != question for one in found[name])]:
                print(
                    f"left out for {name}: {', '.join(missing)}: fewer than {LEAST} positions to fit to or to score on; "
                    "record more episodes",
                    file=sys.stderr,
                )
    if as_json:
        print(json.dumps([{"model": name, **_row(result)} for name, results in found.items() for result in results]))
    else:
        _table(found)
    if out is not None:
        _page(found, out)
        print(out, file=sys.stderr if as_json else sys.stdout)
    return 0


def _recorded(run: Path) -> list[Problem]:
    """Return the problems that a run recorded, which have their public tests alone."""
    path = run / "problems.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise CodeenvError(f"cannot read {str(path)!r}: {error.strerror}; name the run's data set in --problems") from None
    except UnicodeDecodeError as error:
        raise CodeenvError(f"{str(path)!r} is no UTF-8 text: {error}; name the run's data set in --problems") from None
    problems = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                card = json.loads(line)
                if not isinstance(card, dict):
                    raise CodeenvError("the row is not an object")
                problems.append(Problem.from_dict({name: value for name, value in card.items() if name != "schema"}))
            except (ValueError, RecursionError, CodeenvError) as error:
                raise CodeenvError(f"{str(path)!r}, line {number}: {error}; name the run's data set in --problems") from None
    return problems


def _programs(run: Path, by_id: dict[str, Problem], limit: int) -> list[tuple[Problem, str, str]]:
    """Return problem, first message and program of the recorded first turns that hold one."""
    found = []
    for row in read_episodes(run):
        problem, turn = by_id.get(row["problem_id"]), row["turns"][0] if row["turns"] else None
        if problem is not None and problem.public_tests and turn is not None and turn["source"]:
            found.append((problem, str(row["messages"][0]["content"]), str(turn["source"])))
        if len(found) == limit:
            break
    return found


def _probe(name: str, programs: list[tuple[Problem, str, str]], judge: Judge, seed: int) -> list[ProbeResult]:
    from codeenv.agents.lm.load import chat_format, load_policy, load_tokenizer
    from codeenv.agents.lm.token_text import response_spans
    from codeenv.agents.lm.tokens import TokenConversation
    from codeenv.agents.trace_head.labels import Submission, TracedLabels
    from codeenv.agents.trace_head.positions import turn_labels
    from codeenv.agents.trace_head.probing import ProbedTurn, probe_policy
    from codeenv.judge import JudgeRequest

    chat = chat_format(load_tokenizer(name))
    policy = load_policy(name, "float32")
    reports = judge.judge_many([JudgeRequest(problem, source, tests="public") for problem, _, source in programs])
    submissions = [Submission(problem, source, report) for (problem, _, source), report in zip(programs, reports, strict=True)]
    turns = []
    for (problem, message, source), labels in zip(programs, TracedLabels(judge)(submissions), strict=True):
        # The program alone is tokenised, as this model would read it; the recorded model may have had other tokens.
        ids = [int(token) for token in chat.tokenizer.encode(source, add_special_tokens=False)]
        conversation = TokenConversation()
        conversation.add_environment(chat.opening(message))
        conversation.add_response(ids, [0.0] * len(ids), "stop")
        found = turn_labels(source, source, response_spans(chat.tokenizer, ids, source), labels)
        if found is not None and len(conversation) <= int(getattr(policy.config, "max_position_embeddings", 1 << 20)):
            turns.append(ProbedTurn(conversation, 0, found, problem.id))
    return probe_policy(policy, turns, seed)


def _row(result: ProbeResult) -> dict[str, Any]:
    return {
        "question": result.question,
        "layer": result.layer,
        "accuracy": result.accuracy,
        "shuffled": result.shuffled,
        "token_only": result.token_only,
        "majority": result.majority,
        "gain": result.gain,
        "positions": result.positions,
    }


def _table(found: dict[str, list[ProbeResult]]) -> None:
    print(f"{'model':<28} {'question':<8} layer  probe  shuffled  token only  majority   gain  positions")
    for name, results in found.items():
        for one in results:
            print(
                f"{name[-28:]:<28} {one.question:<8} {one.layer:>5}  {one.accuracy:.3f}  {one.shuffled:>8.3f}  "
                f"{one.token_only:>10.3f}  {one.majority:>8.3f} {one.gain:>+6.3f}  {one.positions:>9}"
            )


def _page(found: dict[str, list[ProbeResult]], out: Path) -> None:
    from codeenv.evaluation.report import Curve, Series, write_report

    curves = []
    for question in ("outcome", "line", "type", "bucket"):
        series = []
        for name, results in found.items():
            mine = [result for result in results if result.question == question]
            series.append(Series(name, [float(one.layer) for one in mine], [one.accuracy for one in mine]))
        control = [result for result in next(iter(found.values())) if result.question == question]
        if not control:
            continue
        best = [max(one.shuffled, one.token_only, one.majority) for one in control]
        series.append(Series("best control", [float(one.layer) for one in control], best))
        curves.append(Curve(f"Probe: {question}", "layer", "accuracy on held-out problems", series))
    write_report([], out, title="Probes", curves=curves)
