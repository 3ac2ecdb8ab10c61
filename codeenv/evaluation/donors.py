"""Feedback about another program: real reports of real failures, on problems other than the agent's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from codeenv.errors import CodeenvError
from codeenv.evaluation.mutants import NOT_IMPLEMENTED, wrong_programs
from codeenv.evaluation.seeds import generator_of
from codeenv.feedback import Feedback, FeedbackContext
from codeenv.judge import Judge, JudgeRequest
from codeenv.problems import Problem

__all__ = ["RandomFeedback", "SameStatementFeedback"]

_DONORS = 64
"""Most problems whose wrong programs are run; more do not make the control cleaner."""

_MUTANT_S = 2.0
"""Time limit of a wrong program, in seconds."""

_ALIKE = 6
"""Most problems of one statement that lend their reports, and most programs that are run on each."""


class RandomFeedback:
    """RLEF's random feedback (arXiv 2410.02089, section 3.4).

    A wrong program of another problem is run on that problem's public tests, and the agent is shown that report. Wrong programs
    are the problem's known ones, else mutants of a right one; a problem without any that fails lends `raise NotImplementedError`.
    Which one is shown depends on the seed, the agent's problem and program, and the turn.

    Args:
        problems: where other problems come from.
        judge: runs the wrong programs, once, here.
        base: makes text of the report.
        seed: of the draws.

    Raises:
        CodeenvError: if there are fewer than two problems with public tests.
    """

    def __init__(self, problems: Sequence[Problem], judge: Judge, base: Feedback, seed: int) -> None:
        self._base = base
        self._seed = seed
        pool = [problem for problem in problems if problem.public_tests]
        generator_of(seed, "donors").shuffle(pool)
        chosen = [(problem, source) for problem in pool[:_DONORS] for source in wrong_programs(problem, seed)]
        requests = [JudgeRequest(_hurried(problem), source, tests="public") for problem, source in chosen]
        self._failures: list[FeedbackContext] = []
        failed: set[str] = set()
        for (problem, source), report in zip(chosen, judge.judge_many(requests), strict=True):
            last_resort = source == NOT_IMPLEMENTED
            if not report.accepted and not (last_resort and problem.id in failed):
                failed.add(problem.id)
                self._failures.append(FeedbackContext(problem, source, report.public_part(), 0))
        if len(failed) < 2:
            raise CodeenvError(
                f"the random arm needs at least 2 problems with public tests, this set has {len(failed)}; add some"
            )

    def __call__(self, context: FeedbackContext) -> str:
        generator = generator_of(self._seed, context.problem.id, context.turn, context.source)
        others = [failure for failure in self._failures if failure.problem.id != context.problem.id]
        return self._base(replace(generator.choice(others), turn=context.turn))


def _hurried(problem: Problem) -> Problem:
    """Return the problem with a shorter time limit: mutants that never end are many, and each would use up the whole limit."""
    seconds = min(problem.limits.time_limit_s, _MUTANT_S)
    return replace(problem, limits=replace(problem.limits, time_limit_s=seconds))


class SameStatementFeedback:
    """Random feedback that fits the statement: the report is about another problem with the same statement.

    Feedback from an unrelated problem contradicts the statement, which harms an agent more than no feedback does; this control
    does not. A right program of a third problem with the statement is run on the other problem's public tests.

    Args:
        problems: those that an agent is to play.
        judge: runs the programs, once, here.
        base: makes text of the report.
        seed: of the draws.
        more: further problems that may lend their reports.

    Attributes:
        served: the problems that share their statement with enough others.

    Raises:
        CodeenvError: if fewer than two do.
    """

    def __init__(
        self, problems: Sequence[Problem], judge: Judge, base: Feedback, seed: int, more: Sequence[Problem] = ()
    ) -> None:
        self._base = base
        self._seed = seed
        asked = {problem.statement for problem in problems}
        groups: dict[str, dict[str, Problem]] = {}
        for problem in (*problems, *more):
            if problem.statement in asked and problem.correct_solutions and problem.public_tests:
                groups.setdefault(problem.statement, {}).setdefault(problem.id, problem)
        requests: list[JudgeRequest] = []
        for statement, group in groups.items():
            members = list(group.values())
            generator_of(seed, statement).shuffle(members)
            for donor in members[:_ALIKE]:
                own = donor.correct_solutions[0]
                thirds = dict.fromkeys(other.correct_solutions[0] for other in members if other.correct_solutions[0] != own)
                requests += [JudgeRequest(donor, source, tests="public") for source in list(thirds)[:_ALIKE]]
        self._failures: dict[str, list[FeedbackContext]] = {}
        for request, report in zip(requests, judge.judge_many(requests), strict=True):
            if not report.accepted:
                failure = FeedbackContext(request.problem, request.source, report.public_part(), 0)
                self._failures.setdefault(request.problem.statement, []).append(failure)
        self.served = [problem for problem in problems if self._others(problem)]
        if len(self.served) < 2:
            raise CodeenvError(
                "the arm random_same needs problems that share a statement but not a solution; "
                f"{len(self.served)} of {len(problems)} do here; use the arm random"
            )

    def _others(self, problem: Problem) -> list[FeedbackContext]:
        return [failure for failure in self._failures.get(problem.statement, []) if failure.problem.id != problem.id]

    def __call__(self, context: FeedbackContext) -> str:
        generator = generator_of(self._seed, context.problem.id, context.turn, context.source)
        return self._base(replace(generator.choice(self._others(context.problem)), turn=context.turn))
