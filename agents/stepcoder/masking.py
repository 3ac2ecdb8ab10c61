"""Masks for a collection: coverage of what was submitted, from lines to sampled tokens."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from codeenv.agents.lm.chat_format import ChatFormat
from codeenv.agents.lm.token_text import response_spans
from codeenv.agents.rlef.collect import Played
from codeenv.agents.stepcoder.completion import given_part
from codeenv.agents.stepcoder.mask import MaskConfig, kept_lines, random_mask, token_mask
from codeenv.episode import Turn
from codeenv.judge import Judge, JudgeRequest
from codeenv.judge.verdict import Verdict
from codeenv.prediction.attempt import recording_request
from codeenv.problems import CallTest, Problem, StdioTest, Test
from codeenv.text import program_lines
from codeenv.trace import Trace, TraceError

__all__ = ["Coverage", "KnownLines", "Masking"]

KnownLines: TypeAlias = Callable[[str, CallTest], frozenset[int] | None]
"""Given a program and a test, the lines that the run reaches where that is known without a run, else `None`."""


class Coverage:
    """The lines that programs run on tests, each program and input run once.

    Args:
        judge: runs them.
        keep: most runs that are remembered; the oldest are forgotten first.
        known: asked before a program is run.
    """

    def __init__(self, judge: Judge, keep: int = 1 << 16, known: KnownLines | None = None) -> None:
        self.judge = judge
        self.keep = keep
        self.known = known
        self._known: dict[tuple[Any, ...], frozenset[int]] = {}

    def lines(self, programs: Sequence[tuple[Problem, str, Iterable[Test]]]) -> list[frozenset[int] | None]:
        """Return per program the lines that any of its tests ran, `None` if no run gave a trace.

        Args:
            programs: each with its problem and the tests to run it on; test code has no coverage.
        """
        wanted: dict[tuple[Any, ...], JudgeRequest] = {}
        owned: list[list[tuple[Any, ...]]] = []
        for problem, source, tests in programs:
            owned.append([])
            for test in tests:
                if isinstance(test, (StdioTest, CallTest)):
                    given = test.input if isinstance(test, StdioTest) else repr((test.args, sorted(test.kwargs.items())))
                    key = (source, problem.mode, problem.entry_point, problem.limits, given)
                    owned[-1].append(key)
                    if key in self._known or key in wanted:
                        continue
                    known = self.known(source, test) if self.known and isinstance(test, CallTest) else None
                    if known is not None:
                        self._known[key] = known
                    else:
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
        known: what is known of programs without a run.
    """

    def __init__(self, config: MaskConfig | None = None, seed: int = 0, known: KnownLines | None = None) -> None:
        self.config = config or MaskConfig()
        self.seed = seed
        self.known = known
        self._coverage: Coverage | None = None

    def masks(self, played: Sequence[Played], chat: ChatFormat, judge: Judge) -> list[list[list[bool]]]:
        """Return for each turn of each episode whether its tokens lie on lines that ran."""
        turns = [(one, number, turn) for one in played for number, turn in enumerate(one.episode.turns)]
        masked = [row for row in turns if self._wanted(row[2])]
        if self._coverage is None or self._coverage.judge is not judge:
            self._coverage = Coverage(judge, known=self.known)
        programs = [(one.episode.problem, str(turn.source), self._tests(one.episode.problem, turn)) for one, _, turn in masked]
        covered = self._coverage.lines(programs)
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
            given = given_part(turn.source, text, one.given)
            above = len(program_lines(given)) - 1  # lines of the program that are in the prompt
            kept = {line - above for line in kept_lines(turn.source, found, self.config)}
            masks[id(one)].append(token_mask(text, turn.source.removeprefix(given), spans, kept))
        return [masks[id(one)] for one in played]

    def weights(self, episodes: Sequence[Sequence[Sequence[bool]]], number: int = 0) -> Tensor:
        """Return the weight of each sampled token of some episodes from their masks, 0.0 or 1.0, (M,) float32.

        Args:
            episodes: the masks of each turn of each episode.
            number: of the collection; the random control draws anew for each.
        """
        masks = [list(mask) for turns in episodes for mask in turns]
        if self.config.mode == "random":
            masks = random_mask(masks, f"{self.seed}/{number}")
        return torch.tensor([float(keep) for mask in masks for keep in mask])

    def _tests(self, problem: Problem, turn: Turn) -> list[Test]:
        """Return the tests behind the reward of a turn: the public ones, and the private ones if they were run."""
        tests = list(problem.public_tests)
        if self.config.tests == "reward" and turn.private is not None:
            every = problem.tests("all")
            tests += [every[result.index] for result in turn.private.results if result.index >= len(tests)]
        return tests

    def _wanted(self, turn: Turn) -> bool:
        if turn.source is None or turn.public.verdict in (Verdict.NO_CODE, Verdict.COMPILE_ERROR):
            return False
        return self.config.mask_passed or not turn.public.accepted
