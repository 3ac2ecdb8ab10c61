"""Feedback arms: the same agent, problems, budget, early stop and reward; only the text after a failed turn differs.

An arm is a feedback function and, for the traced ones, a trace setting. The true public tests decide when an episode ends
and the true tests what it is worth, in every arm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from codeenv.episode import EnvConfig
from codeenv.errors import CodeenvError
from codeenv.evaluation.donors import RandomFeedback, SameStatementFeedback
from codeenv.evaluation.perturb import perturbed_problem, perturbed_report
from codeenv.evaluation.seeds import generator_of
from codeenv.feedback import FEEDBACKS, Feedback, FeedbackContext, get_feedback
from codeenv.judge import Judge
from codeenv.problems import Problem

__all__ = ["ARMS", "Arm", "PerturbedFeedback", "PrivateFeedback", "StaleFeedback", "check_arms", "make_arm"]


@dataclass(frozen=True, slots=True)
class Arm:
    """One condition of the comparison.

    Attributes:
        name: as on the command line.
        settings: what it changes in `EnvConfig`.
        history: whether the agent sees the conversation; if not, it sees the first message in every turn.
        problems: those that the arm can be played on, if it is not all of them.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    history: bool = True
    problems: Sequence[Problem] | None = None


class StaleFeedback:
    """Feedback about the turn before the last one; in the first turn, the `none` feedback."""

    def __init__(self, base: Feedback) -> None:
        self._base = base

    def __call__(self, context: FeedbackContext) -> str:
        failed = [report for report in context.earlier if not report.accepted]
        if not failed:
            return FEEDBACKS["none"](context)
        return self._base(replace(context, report=failed[-1]))


class PerturbedFeedback:
    """Feedback whose expected values are wrong."""

    def __init__(self, base: Feedback, seed: int) -> None:
        self._base = base
        self._seed = seed

    def __call__(self, context: FeedbackContext) -> str:
        generator = generator_of(self._seed, context.problem.id)  # a test is always wrong in the same way
        problem = perturbed_problem(context.problem, generator)
        return self._base(replace(context, problem=problem, report=perturbed_report(context.report, problem, generator)))


class PrivateFeedback:
    """Feedback about up to 20 tests, private ones included, with up to 8 failures (RLEF, arXiv 2410.02089, table 4).

    It shows private inputs and outputs to the agent: a diagnosis of what better tests would be worth, not a setting to train in.
    """

    tests = 20
    failures = 8

    def __init__(self, base: Feedback, judge: Judge) -> None:
        self._base = base
        self._judge = judge

    def __call__(self, context: FeedbackContext) -> str:
        if context.source is None or not context.report.results:
            return self._base(context)
        shown = context.problem.tests("all")[: self.tests]
        problem = replace(context.problem, public_tests=shown, private_tests=())
        report = self._judge.judge(problem, context.source, tests="public")
        failed = report.failed[: self.failures]
        return self._base(replace(context, problem=problem, report=replace(report, results=failed)))


def _silent(context: FeedbackContext) -> str:
    return ""


def _same_statement(feedback: SameStatementFeedback) -> Arm:
    return Arm("random_same", {"feedback": feedback}, problems=feedback.served)


Maker = Callable[..., Arm]
"""From the problems, the judge, the true feedback and a seed to an arm."""

ARMS: dict[str, tuple[str, Maker]] = {
    "true": ("the environment's feedback", lambda problems, judge, base, seed: Arm("true")),
    "none": ("a request to try again", lambda problems, judge, base, seed: Arm("none", {"feedback": "none"})),
    "binary": ("that the program is not right", lambda problems, judge, base, seed: Arm("binary", {"feedback": "binary"})),
    "error_class": (
        "the kind of the first failure",
        lambda problems, judge, base, seed: Arm("error_class", {"feedback": "error_class"}),
    ),
    "first_failure": (
        "the first failing test alone",
        lambda problems, judge, base, seed: Arm("first_failure", {"feedback": "first_failure"}),
    ),
    "random": (
        "true feedback to a wrong program of another problem",
        lambda problems, judge, base, seed: Arm("random", {"feedback": RandomFeedback(problems, judge, base, seed)}),
    ),
    "random_same": (
        "true feedback from another problem with the same statement",
        lambda problems, judge, base, seed, more=(): _same_statement(SameStatementFeedback(problems, judge, base, seed, more)),
    ),
    "stale": (
        "the feedback of the turn before",
        lambda problems, judge, base, seed: Arm("stale", {"feedback": StaleFeedback(base)}),
    ),
    "perturbed": (
        "true feedback with wrong expected values",
        lambda problems, judge, base, seed: Arm("perturbed", {"feedback": PerturbedFeedback(base, seed)}),
    ),
    "trace_inline": (
        "with a trace beside the code",
        lambda problems, judge, base, seed: Arm("trace_inline", {"trace": "inline"}),
    ),
    "trace_steps": ("with a trace step by step", lambda problems, judge, base, seed: Arm("trace_steps", {"trace": "steps"})),
    "trace_final": ("with the final state", lambda problems, judge, base, seed: Arm("trace_final", {"trace": "final"})),
    "private": (
        "failures of private tests too",
        lambda problems, judge, base, seed: Arm("private", {"feedback": PrivateFeedback(base, judge)}),
    ),
    "independent": (
        "no history: every turn is a fresh sample",
        lambda problems, judge, base, seed: Arm("independent", {"feedback": _silent}, history=False),
    ),
}
"""What each arm shows after a failed turn, and how to make it."""


def check_arms(names: Sequence[str]) -> list[str]:
    """Return the names of arms, `true` first.

    Raises:
        CodeenvError: if there are none, or one is unknown or given twice.
    """
    known = f"use some of {', '.join(ARMS)}"
    if not any(names):
        raise CodeenvError(f"no arm is named; {known}, such as true,random,none")
    for position, name in enumerate(names):
        if name not in ARMS:
            raise CodeenvError(f"there is no arm {name!r}; {known}")
        if name in names[:position]:
            raise CodeenvError(f"the arm {name!r} is given twice; give each arm once")
    return list(dict.fromkeys(["true", *names]))


def make_arm(
    name: str, problems: Sequence[Problem], judge: Judge, config: EnvConfig, seed: int = 0, more: Sequence[Problem] = ()
) -> Arm:
    """Return an arm by name.

    Args:
        name: one of `ARMS`.
        problems: the problems of the benchmark, from which the random arms draw.
        judge: runs the wrong programs of the random arms, and the private tests of the private arm.
        config: the environment's settings; its feedback is the true one.
        seed: of what the arm draws.
        more: further problems, from which the arm `random_same` draws too.

    Raises:
        CodeenvError: if there is no such arm, or the problems do not allow it.
    """
    if name not in ARMS:
        raise CodeenvError(f"there is no arm {name!r}; use some of {', '.join(ARMS)}")
    further = {"more": more} if name == "random_same" else {}
    return ARMS[name][1](problems, judge, get_feedback(config.feedback), seed, **further)
