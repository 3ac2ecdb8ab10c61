"""Masks for a collection: coverage of what was submitted, from lines to sampled tokens."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from codeenv.agents.lm.chat_format import ChatFormat
from codeenv.agents.lm.token_text import response_spans
from codeenv.agents.rlef.collect import Played
from codeenv.agents.stepcoder.mask import MaskConfig, kept_lines, random_mask, token_mask
from codeenv.episode import Turn
from codeenv.judge import Judge, JudgeRequest
from codeenv.judge.verdict import Verdict
from codeenv.prediction.attempt import recording_request
from codeenv.problems import CallTest, Problem, StdioTest
from codeenv.trace import Trace, TraceError

__all__ = ["Coverage", "Masking"]


class Coverage:
    """The lines that programs run on public tests, each program and input run once.

    Args:
        judge: runs them.
        keep: most runs that are remembered; the oldest are forgotten first.
    """

    def __init__(self, judge: Judge, keep: int = 1 << 16) -> None:
        self.judge = judge
        self.keep = keep
        self._known: dict[tuple[Any, ...], frozenset[int]] = {}

    def lines(self, programs: Sequence[tuple[Problem, str]]) -> list[frozenset[int] | None]:
        """Return per program the lines that any of its problem's public tests ran, `None` if no run gave a trace."""
        wanted: dict[tuple[Any, ...], JudgeRequest] = {}
        owned: list[list[tuple[Any, ...]]] = []
        for problem, source in programs:
            owned.append([])
            for test in problem.public_tests:
                if isinstance(test, (StdioTest, CallTest)):
                    given = test.input if isinstance(test, StdioTest) else repr((test.args, sorted(test.kwargs.items())))
                    key = (source, problem.mode, problem.entry_point, problem.limits, given)
                    owned[-1].append(key)
                    if key not in self._known and key not in wanted:
                        wanted[key] = recording_request(problem, test, source, problem.limits, trace="coverage")
        for key, report in zip(wanted, self.judge.judge_many(list(wanted.values())), strict=True):
            text = report.results[0].trace if report.results else None
            if text is not None:
                with contextlib.suppress(TraceError):
                    self._known[key] = frozenset(Trace.from_jsonl(text).footer.covered)
        runs = [[self._known[key] for key in keys if key in self._known] for keys in owned]
        while len(self._known) > self.keep:
            del self._known[next(iter(self._known))]
        return [frozenset().union(*each) if each else None for each in runs]


class Masking:
    """Fine-grained optimisation in a learner.

    Args:
        config: the open choices.
        seed: of the random control.
    """

    def __init__(self, config: MaskConfig | None = None, seed: int = 0) -> None:
        self.config = config or MaskConfig()
        self.seed = seed
        self._coverage: Coverage | None = None

    def masks(self, played: Sequence[Played], chat: ChatFormat, judge: Judge) -> list[list[list[bool]]]:
        """Return for each turn of each episode whether its tokens lie on lines that ran."""
        turns = [(one, number, turn) for one in played for number, turn in enumerate(one.episode.turns)]
        masked = [row for row in turns if self._wanted(row[2])]
        if self._coverage is None or self._coverage.judge is not judge:
            self._coverage = Coverage(judge)
        covered = self._coverage.lines([(one.episode.problem, str(turn.source)) for one, _, turn in masked])
        lines = {id(row[2]): found for row, found in zip(masked, covered, strict=True)}
        masks: dict[int, list[list[bool]]] = {id(one): [] for one in played}
        for one, number, turn in turns:
            ids = one.conversation.response(number)
            found = lines.get(id(turn))
            if found is None or turn.source is None:
                masks[id(one)].append([True] * len(ids))
                continue
            text = chat.text(ids)
            spans = response_spans(chat.tokenizer, ids, text)
            given = one.given if turn.source.startswith(one.given) and one.given not in text else ""
            above = given.count("\n")  # lines of the program that are in the prompt
            kept = {line - above for line in kept_lines(turn.source, found, self.config)}
            masks[id(one)].append(token_mask(text, turn.source.removeprefix(given), spans, kept))
        return [masks[id(one)] for one in played]

    def weights(self, episodes: Sequence[Sequence[Sequence[bool]]]) -> Tensor:
        """Return the weight of each sampled token of some episodes from their masks, 0.0 or 1.0, (M,) float32."""
        masks = [list(mask) for turns in episodes for mask in turns]
        if self.config.mode == "random":
            masks = random_mask(masks, self.seed)
        return torch.tensor([float(keep) for mask in masks for keep in mask])

    def _wanted(self, turn: Turn) -> bool:
        if turn.source is None or turn.public.verdict in (Verdict.NO_CODE, Verdict.COMPILE_ERROR):
            return False
        return self.config.mask_passed or not turn.public.accepted
