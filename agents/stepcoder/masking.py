"""Masks for a collection: coverage of what was submitted, from lines to sampled tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from codeenv.agents.lm.chat_format import ChatFormat
from codeenv.agents.lm.token_text import response_spans
from codeenv.agents.rlef.collect import Played
from codeenv.agents.stepcoder.mask import MaskConfig, kept_lines, random_mask, token_mask
from codeenv.episode import Turn
from codeenv.judge import Judge
from codeenv.judge.verdict import Verdict
from codeenv.prediction.attempt import recording_request
from codeenv.problems import CallTest, Problem, StdioTest
from codeenv.trace import Trace, TraceError

__all__ = ["Masking", "covered_lines"]


def covered_lines(judge: Judge, programs: Sequence[tuple[Problem, str]]) -> list[frozenset[int] | None]:
    """Return per program the lines that any of its problem's public tests ran, `None` if no run gave a trace."""
    requests = []
    owner: list[int] = []
    for index, (problem, source) in enumerate(programs):
        for test in problem.public_tests:
            if isinstance(test, (StdioTest, CallTest)):
                requests.append(recording_request(problem, test, source, problem.limits, trace="coverage"))
                owner.append(index)
    covered: list[frozenset[int] | None] = [None] * len(programs)
    for index, report in zip(owner, judge.judge_many(requests), strict=True):
        text = report.results[0].trace if report.results else None
        if text is None:
            continue
        try:
            lines = frozenset(Trace.from_jsonl(text).footer.covered)
        except TraceError:
            continue
        covered[index] = (covered[index] or frozenset()) | lines
    return covered


class Masking:
    """Fine-grained optimisation in a learner.

    Args:
        config: the open choices.
        seed: of the random control.
    """

    def __init__(self, config: MaskConfig | None = None, seed: int = 0) -> None:
        self.config = config or MaskConfig()
        self.seed = seed

    def weights(self, played: Sequence[Played], chat: ChatFormat, judge: Judge) -> Tensor:
        """Return the weight of each sampled token of the episodes, 0.0 or 1.0, (M,) float32."""
        turns = [(one, number, turn) for one in played for number, turn in enumerate(one.episode.turns)]
        masked = [row for row in turns if self._wanted(row[2])]
        covered = covered_lines(judge, [(one.episode.problem, str(turn.source)) for one, _, turn in masked])
        lines = {id(row[2]): found for row, found in zip(masked, covered, strict=True)}
        masks: list[list[bool]] = []
        for one, number, turn in turns:
            ids = one.conversation.response(number)
            found = lines.get(id(turn))
            if found is None or turn.source is None:
                masks.append([True] * len(ids))
                continue
            text = chat.text(ids)
            spans = response_spans(chat.tokenizer, ids, text)
            given = one.given if turn.source.startswith(one.given) and one.given not in text else ""
            above = given.count("\n")  # lines of the program that are in the prompt
            kept = {line - above for line in kept_lines(turn.source, found, self.config)}
            masks.append(token_mask(text, turn.source.removeprefix(given), spans, kept))
        if self.config.mode == "random":
            masks = random_mask(masks, self.seed)
        return torch.tensor([float(keep) for mask in masks for keep in mask])

    def _wanted(self, turn: Turn) -> bool:
        if turn.source is None or turn.public.verdict in (Verdict.NO_CODE, Verdict.COMPILE_ERROR):
            return False
        return self.config.mask_passed or not turn.public.accepted
