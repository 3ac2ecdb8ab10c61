"""What an answer is worth. Pure functions for answers that need no run; `PredictionScorer` runs the others in the judge.

paper      R = (1/n) * sum over the n asked variables of [predicted == true]            (CodeRL+, arXiv 2510.18471)
official   R = 0.1 + 0.9 * correct / (1 + n), the 1 being the output; 0 if unparsable   (its released code)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

from codeenv.errors import CodeenvError
from codeenv.judge import Judge, JudgeRequest
from codeenv.prediction.answer import last_json_object, last_line_object
from codeenv.prediction.equality import official_equal, typed_equal
from codeenv.prediction.item import PredictionItem
from codeenv.problems import CallTest, Problem, StdioTest

__all__ = ["PredictionScorer", "RewardMode", "Score", "answer_keys", "score_parts"]

RewardMode: TypeAlias = Literal["paper", "official"]

FORMAT_CREDIT = 0.1


@dataclass(frozen=True, slots=True)
class Score:
    """What an answer got.

    Attributes:
        reward: 0.0 to 1.0.
        parsed: whether the response held a readable answer.
        exact: whether every part of it is right.
        parts: per asked part (`output`, `value:<name>`, `exception`, `line`, `run`) whether it is right.
    """

    reward: float
    parsed: bool
    exact: bool
    parts: dict[str, bool]


def answer_keys(item: PredictionItem) -> tuple[str, ...]:
    """Return the keys that the answer's JSON object must have."""
    if item.kind == "state":
        return ("final_output", "variables")
    if item.kind == "exception":
        return ("exception", "line")
    if item.kind == "input":
        return ("args",) if isinstance(item.test, CallTest) else ("input",)
    if item.kind == "repair":
        return ("lines",)
    return ("final_output",)


def score_parts(item: PredictionItem, answer: dict[str, Any], equal: Callable[[Any, Any], bool]) -> dict[str, bool]:
    """Return which parts of an answer are right; for the kinds that need no run."""
    if item.kind == "exception":
        kind, line = item.exception or ("", 0)
        return {"exception": equal(answer["exception"], kind), "line": equal(answer["line"], line)}
    truth = item.output.strip() if isinstance(item.output, str) and isinstance(item.test, StdioTest) else item.output
    given = answer["final_output"]
    parts = {"output": equal(given.strip() if isinstance(given, str) and isinstance(truth, str) else given, truth)}
    variables = answer.get("variables") if item.kind == "state" else {}
    for name in item.names:
        parts[f"value:{name}"] = isinstance(variables, dict) and name in variables and equal(variables[name], item.values[name])
    return parts


def reward_of(parts: dict[str, bool], mode: RewardMode) -> float:
    """Return the reward of a readable answer.

    >>> reward_of({"output": False, "value:a": True, "value:b": True}, "official")
    0.7
    >>> reward_of({"output": False, "value:a": True, "value:b": True}, "paper")
    1.0
    """
    if mode == "official":
        return FORMAT_CREDIT + (1 - FORMAT_CREDIT) * sum(parts.values()) / len(parts)
    asked = {name: right for name, right in parts.items() if name.startswith("value:")} or parts
    return sum(asked.values()) / len(asked)


class PredictionScorer:
    """Scores responses to items; answers that must be run are run by the judge, all of a call together.

    Args:
        judge: runs inputs and repaired programs.
        reward: `paper` or `official`.
        strict: the released code's reading: the answer is the last line, compared with `official_equal`. Off, the answer is the
            last JSON object that parses, compared with `typed_equal`.
    """

    def __init__(self, judge: Judge | None = None, reward: RewardMode = "paper", strict: bool = False) -> None:
        if reward not in get_args(RewardMode):
            raise CodeenvError(f"the alignment reward is {reward!r}; use 'paper' or 'official'")
        self.judge = judge
        self.reward: RewardMode = reward
        self.strict = strict

    def score(self, items: Sequence[PredictionItem], responses: Sequence[str]) -> list[Score]:
        """Return the score of each response.

        Raises:
            CodeenvError: if an answer must be run and there is no judge.
        """
        find = last_line_object if self.strict else last_json_object
        equal = official_equal if self.strict else typed_equal
        answers = [find(response, answer_keys(item)) for item, response in zip(items, responses, strict=True)]
        scores: list[Score | None] = [None] * len(items)
        runs: list[tuple[int, JudgeRequest]] = []
        for index, (item, answer) in enumerate(zip(items, answers, strict=True)):
            if answer is None:
                scores[index] = Score(0.0, False, False, {})
            elif item.kind not in ("input", "repair"):
                scores[index] = self._scored(score_parts(item, answer, equal))
            elif (request := _run_of(item, answer)) is None:
                scores[index] = Score(0.0, False, False, {})
            else:
                runs.append((index, request))
        if runs:
            if self.judge is None:
                raise CodeenvError("answers of kind 'input' and 'repair' must be run; give the scorer a judge")
            for (index, _), report in zip(runs, self.judge.judge_many([request for _, request in runs]), strict=True):
                scores[index] = self._scored({"run": report.accepted})
        return [score for score in scores if score is not None]

    def _scored(self, parts: dict[str, bool]) -> Score:
        return Score(reward_of(parts, self.reward), True, all(parts.values()), parts)


def _run_of(item: PredictionItem, answer: dict[str, Any]) -> JudgeRequest | None:
    """Return the run that decides about an answer, or `None` if the answer has the wrong shape."""
    source = item.code
    test: StdioTest | CallTest
    if item.kind == "repair":
        lines = answer["lines"]
        if not isinstance(lines, list) or len(lines) != len(item.masked):
            return None
        if not all(isinstance(line, str) and len(line.splitlines()) <= 1 for line in lines):
            return None
        said = {f"MASKED_LINE_{number}": line for number, line in enumerate(lines, start=1)}
        source = "\n".join(said.get(line, line) for line in source.split("\n"))
        test = replace(item.test, **_expected(item))
    elif isinstance(item.test, StdioTest):
        if not isinstance(answer["input"], str):
            return None
        test = StdioTest(answer["input"], str(item.output))
    else:
        args, kwargs = answer["args"], answer.get("kwargs", {})
        if not isinstance(args, list) or not isinstance(kwargs, dict) or not _finite_json([args, kwargs]):
            return None
        test = CallTest(tuple(args), kwargs, item.output)
    problem = Problem(
        f"{item.id}/answer", "", item.problem.mode, item.problem.entry_point, public_tests=(test,), limits=item.problem.limits
    )
    return JudgeRequest(problem, source, tests="public")


def _expected(item: PredictionItem) -> dict[str, Any]:
    return {"output": str(item.output)} if isinstance(item.test, StdioTest) else {"expected": item.output}


def _finite_json(value: Any, depth: int = 0) -> bool:
    """Return whether a JSON value is shallow and free of NaN and infinities."""
    if depth > 20:
        return False
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(_finite_json(item, depth + 1) for item in value)
    if isinstance(value, dict):
        return all(_finite_json(item, depth + 1) for item in value.values())
    return True
