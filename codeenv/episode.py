"""One episode as a state machine: the rules of the task, without a judge and without Gymnasium.

The rules are RLEF's (arXiv 2410.02089, section 2.1): a turn's program runs on the public tests; if it fails them and turns
are left,
their report becomes the next observation; if it passes, or at the turn limit, the episode ends. Private tests run only on a
program that passes the public ones, and only their verdict comes out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypedDict

from codeenv.errors import CodeenvError
from codeenv.feedback import Feedback, FeedbackContext, Prompt, get_feedback, get_prompt
from codeenv.judge.verdict import Report, Verdict
from codeenv.problems import Problem
from codeenv.problems.groups import full_score, score
from codeenv.reward import Outcome, Reward, get_reward
from codeenv.submission import extract_code

__all__ = ["TRACES", "EnvConfig", "Episode", "Observation", "Step", "Turn"]

TRACES = ("off", "inline", "steps", "final")


class Observation(TypedDict):
    """What the agent sees: the first message, feedback and trace of its last turn ("" before the first), the turn's number."""

    problem: str
    feedback: str
    trace: str
    turn: int


@dataclass(frozen=True, slots=True)
class EnvConfig:
    """The task's settings; the defaults are RLEF's (arXiv 2410.02089, sections 2 and 3.1).

    Attributes:
        turn_limit: most responses in an episode.
        feedback: name in `codeenv.feedback.FEEDBACKS` or a function.
        prompt: name in `codeenv.feedback.PROMPTS` or a function.
        reward: name in `codeenv.reward.REWARDS` or a function.
        trace: `off`, or how the trace of the first failing public test is shown: `inline`, `steps` or `final`.
        trace_tokens: budget of the shown trace, in word pieces.
        require_fence: whether a program must stand in a fenced block; if not, a response without any fence is taken whole.
        early_stop: whether passing the public tests ends the episode (off in RLEF's no-feedback ablation).
    """

    turn_limit: int = 3
    feedback: str | Feedback = "rlef"
    prompt: str | Prompt = "rlef"
    reward: str | Reward = "rlef"
    trace: str = "off"
    trace_tokens: int = 512
    require_fence: bool = True
    early_stop: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.turn_limit, int) or isinstance(self.turn_limit, bool) or self.turn_limit < 1:
            raise CodeenvError(f"turn_limit is {self.turn_limit!r}; use a whole number of at least 1")
        if self.trace not in TRACES:
            raise CodeenvError(f"trace is {self.trace!r}; use one of {', '.join(TRACES)}")
        if not isinstance(self.trace_tokens, int) or self.trace_tokens < 16:
            raise CodeenvError(f"trace_tokens is {self.trace_tokens!r}; use a whole number of at least 16")
        get_feedback(self.feedback)
        get_prompt(self.prompt)
        get_reward(self.reward)


@dataclass(frozen=True, slots=True)
class Turn:
    """What happened in one turn.

    Attributes:
        response: the agent's text.
        source: the program in it, `None` if there is none.
        public: the public report.
        private: the private report, `None` if the private tests were not run. It must not reach the agent.
        feedback, trace: the texts of the next observation, "" if the episode ended.
        outcome: what the turn led to.
        reward_parts: the named parts of the reward.
    """

    response: str
    source: str | None
    public: Report
    private: Report | None
    feedback: str
    trace: str
    outcome: Outcome
    reward_parts: dict[str, float]

    @property
    def reward(self) -> float:
        """The sum of the reward's parts."""
        return float(sum(self.reward_parts.values()))


@dataclass(frozen=True, slots=True)
class Step:
    """The result of one turn, in Gymnasium's terms. `truncated` is set only if the judge failed; such a turn has no reward."""

    observation: Observation
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]


@dataclass(slots=True)
class Episode:
    """The state of one episode. `source` and `advance` do one turn; the judge's work happens between them."""

    problem: Problem
    config: EnvConfig
    turns: list[Turn] = field(default_factory=list)
    terminated: bool = False
    truncated: bool = False

    @property
    def done(self) -> bool:
        return self.terminated or self.truncated

    def observation(self) -> Observation:
        """Return what the agent sees now."""
        last = self.turns[-1] if self.turns else None
        return {
            "problem": get_prompt(self.config.prompt)(self.problem),
            "feedback": last.feedback if last else "",
            "trace": last.trace if last else "",
            "turn": len(self.turns),
        }

    def source(self, response: str) -> str | None:
        """Return the program of a response, `None` if it holds none.

        Raises:
            CodeenvError: if the response is not text, or the episode is over.
        """
        if not isinstance(response, str):
            raise CodeenvError(f"an action must be the text of the response, got {type(response).__name__}; pass a str")
        if self.done:
            raise CodeenvError(f"the episode on problem {self.problem.id!r} has ended; call reset() before step()")
        return extract_code(response, self.config.require_fence, self.problem.language)

    def wants_private(self, public: Report) -> bool:
        """Return whether the private tests must run now: the public tests passed, and the episode ends with this turn."""
        return public.accepted and (self.config.early_stop or len(self.turns) + 1 >= self.config.turn_limit)

    def advance(self, response: str, source: str | None, public: Report, private: Report | None) -> Step:
        """Take the reports on a response's program and return what the turn led to."""
        failed_judging = public.verdict is Verdict.JUDGE_ERROR or (private is not None and private.verdict is Verdict.JUDGE_ERROR)
        outcome = self._outcome(public, private)
        ended = outcome.ended and not failed_judging
        parts = {} if failed_judging else get_reward(self.config.reward)(outcome)
        feedback = trace = ""
        if not ended and not failed_judging:
            earlier = tuple(turn.public for turn in self.turns)
            feedback = get_feedback(self.config.feedback)(FeedbackContext(self.problem, source, public, len(self.turns), earlier))
            trace = self._trace_text(source, public)
        turn = Turn(response, source, public, private, feedback, trace, outcome, parts)
        self.turns.append(turn)
        self.terminated, self.truncated = ended, failed_judging
        return Step(self.observation(), turn.reward, ended, failed_judging, self._info(turn))

    def _outcome(self, public: Report, private: Report | None) -> Outcome:
        passed = public.accepted
        ended = (passed and self.config.early_stop) or len(self.turns) + 1 >= self.config.turn_limit
        private_passed = passed and (private is None or private.accepted)
        verdict = private.verdict if private is not None and passed else public.verdict
        return Outcome(
            turn=len(self.turns),
            valid=public.verdict not in (Verdict.NO_CODE, Verdict.COMPILE_ERROR),
            ended=ended,
            public_passed=passed,
            solved=ended and private_passed,
            public_fraction=public.passed_fraction if public.results else float(passed),
            private_fraction=None if private is None else private.passed_fraction,
            verdict=verdict,
            private_score=None if private is None else private_score(self.problem, private),
        )

    def _trace_text(self, source: str | None, public: Report) -> str:
        if self.config.trace == "off" or source is None:
            return ""
        recorded = next((result.trace for result in public.failed if result.trace), None)
        if recorded is None:
            return ""
        from codeenv.trace.events import Trace
        from codeenv.trace.rendering import render

        return render(Trace.from_jsonl(recorded), source, style=self.config.trace, budget_tokens=self.config.trace_tokens)

    def _info(self, turn: Turn) -> dict[str, Any]:
        """Return the public facts of a turn; of the private tests only the verdict in sum and the share that passed."""
        info: dict[str, Any] = {
            "problem_id": self.problem.id,
            "turn": turn.outcome.turn,
            "report": turn.public,
            "verdict": turn.public.verdict.value,
            "valid": turn.outcome.valid,
            "reward_parts": dict(turn.reward_parts),
            "isolation": turn.public.isolation,
        }
        if self.terminated:
            info["solved"] = turn.outcome.solved
            info["private_fraction"] = turn.outcome.private_fraction
        if self.truncated:
            info["judge_error"] = (turn.private or turn.public).error or "the judge failed"
        return info


def private_score(problem: Problem, private: Report) -> float | None:
    """Return the share of the points that a private report is worth, `None` without points."""
    if not problem.groups or len(private.results) != len(problem.private_tests):
        return None if not problem.groups else 0.0
    passed = [result.verdict is Verdict.ACCEPTED for result in private.results]
    return score(problem.groups, passed) / (full_score(problem.groups) or 1.0)
