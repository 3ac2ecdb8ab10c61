"""Alignment in miniature: tokenizer, feedback, supervised documents and items of the values family.

The family's programs are ours, so what they do is known without running them; what a policy writes goes to the judge.
"""

from __future__ import annotations

import functools
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerFast

from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.tokenizer import build_piece_tokenizer
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.agents.trace_head.classes import outcome_class, value_classes
from codeenv.agents.trace_head.labels import RunLabels, Submission, Variable
from codeenv.episode import EnvConfig
from codeenv.prediction import Attempt, Built, PredictionItem, answer_text, prompt_of
from codeenv.prediction.attempt import random_from_list, random_to_list
from codeenv.problems import CallTest, Problem
from codeenv.problems.procedural.values import (
    PUBLIC_TESTS,
    Split,
    ValuesProgram,
    ValuesTask,
    all_programs,
    candidates,
    inputs_text,
    problem,
    sample_tasks,
    split_of,
    text_pieces,
)

__all__ = [
    "FamilyBuilder",
    "ValuesDocuments",
    "build_tokenizer",
    "env_config",
    "exam",
    "family_item",
    "family_labels",
]

_PIECES = (
    "wrong on ", " gave ", " not ", "invalid code", "wrong", "run\n", "fill\n", "\non ", " gives ",
    "def f(p,q,r):\nMASKED_LINE_1", '{"lines": [" u=', '"]}',
    '{"variables": {"f.u": ', ', "f.v": ', '}, "final_output": ', "}",
)  # fmt: skip


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Return the tokenizer of the family: one token for each slot value, named digit and frame of an answer."""
    return build_piece_tokenizer([*text_pieces(), *_PIECES], max_length=128)


def env_config(turn_limit: int = 3) -> EnvConfig:
    """Return the task's settings: RLEF's but for one-line prompts and feedback, and programs without a fence."""
    return EnvConfig(turn_limit=turn_limit, feedback="values", prompt="plain", require_fence=False)


@functools.cache
def _by_source() -> dict[str, ValuesProgram]:
    return {program.source: program for program in all_programs()}


def family_item(of: Problem, program: ValuesProgram, test: CallTest, kind: str = "state") -> PredictionItem:
    """Return the item about one of the family's programs on a public test: what `ScopedBuilder` makes of a traced run.

    Kind `state` asks for `u`, `v` and the output; kind `repair` for the expression that `u` is bound to.
    """
    u, v = program.picked(test.args), program.answer(test.args)
    name = f"{of.id}/{program.pick}.{program.offset}/{of.public_tests.index(test)}/{kind}"
    if kind == "repair":
        line = program.source.split("\n")[1]
        masked = program.source.replace(line, "MASKED_LINE_1", 1)
        return PredictionItem(name, "repair", of, masked, test, v, masked=(line,), passed=False)
    return PredictionItem(name, "state", of, program.source, test, v, ("f.u", "f.v"), {"f.u": u, "f.v": v}, passed=False)


class FamilyBuilder:
    """Makes items of attempts without running them again; programs that are not of the family are dropped.

    Args:
        kind: `state` or `repair`.
        source: `failed` or `all` attempts.
        seed: of the choice among a problem's attempts.
    """

    def __init__(self, kind: str = "state", source: str = "failed", seed: int = 0) -> None:
        self.kind = kind
        self.source = source
        self._random = random.Random(seed)

    def build(self, attempts: Sequence[Attempt]) -> Built:
        """Return at most one item of each problem."""
        built = Built()
        seen: set[str] = set()
        counts: Counter[str] = Counter()
        for attempt in self._random.sample(list(attempts), len(attempts)):
            program = _by_source().get(attempt.source)
            test = attempt.problem.public_tests[attempt.test]
            if attempt.passed and self.source == "failed":
                counts["passed"] += 1
            elif program is None or not isinstance(test, CallTest):
                counts["run_failed"] += 1
            elif attempt.problem.id in seen:
                counts["enough"] += 1
            else:
                seen.add(attempt.problem.id)
                built.items.append(family_item(attempt.problem, program, test, self.kind))
        built.dropped = counts
        return built

    def to_dict(self) -> dict[str, Any]:
        """Return the state of the choices."""
        return {"random": random_to_list(self._random)}

    def load_dict(self, state: dict[str, Any]) -> None:
        """Take what `to_dict` returned."""
        random_from_list(self._random, state["random"])


def family_labels(submissions: Sequence[Submission]) -> list[RunLabels]:
    """Return what `TracedLabels` returns for programs of the family, without running them; others have their outcome alone."""
    labels = []
    for one in submissions:
        outcome = outcome_class(one.public.verdict)
        program = _by_source().get(one.source or "")
        failed = one.public.failed
        test = one.problem.public_tests[failed[0].index if failed else 0]
        if program is None or one.source is None or not isinstance(test, CallTest):
            labels.append(RunLabels(outcome))
            continue
        lines = one.source.split("\n")
        ends = (len(lines[0]) + 1 + len(lines[1]), len(lines[0]) + 1 + len(lines[1]) + 1 + len(lines[2]))
        values = (program.picked(test.args), program.answer(test.args))
        variables = []
        for name, end, value in zip(("f.u", "f.v"), ends, values, strict=True):
            classes = value_classes(str(value))
            if classes is not None:
                variables.append(Variable(name, end, *classes))
        labels.append(RunLabels(outcome, None, dict.fromkeys((2, 3, 4), True), tuple(variables)))
    return labels


def exam(split: Split, count: int, seed: int, kind: str = "state") -> list[PredictionItem]:
    """Return a fixed set of items about programs of a split: it does not drift with the policy's own programs."""
    items = []
    for task in sample_tasks(split, count, seed):
        of = problem(task)
        test = of.public_tests[0]
        assert isinstance(test, CallTest)
        items.append(family_item(of, task.program, test, kind))
    return items


class ValuesDocuments:
    """Supervised conversations about train programs.

    A share of them runs a program on several inputs and states the values; a small share shows the form of a repair with an
    answer that is drawn at random; the rest are statements with their program, and conversations of several turns whose
    attempts are drawn without regard to the feedback, so that the use of feedback is left to learn.

    Args:
        chat: the tokens' format.
        seed: decides every document.
        execution: share of documents that run programs.
        runs: inputs of each such document.
        repair: share of documents that show the form of a repair.
        multi_turn: share of the remaining documents that have several turns.
    """

    def __init__(
        self, chat: PlainFormat, seed: int, execution: float = 0.6, runs: int = 4, repair: float = 0.04, multi_turn: float = 0.4
    ) -> None:
        self._chat = chat
        self._random = random.Random(seed)
        self._execution = execution
        self._runs = runs
        self._repair = repair
        self._multi_turn = multi_turn
        self._train = [program for program in all_programs() if split_of(program) == "train"]

    def __call__(self, count: int) -> list[TokenConversation]:
        """Return `count` new conversations; loss belongs on the tokens marked as sampled."""
        return [self._document() for _ in range(count)]

    def _document(self) -> TokenConversation:
        draw = self._random.random()
        if draw < self._execution:
            return self._of_runs()
        if draw < self._execution + self._repair:
            item = self._item(self._random.choice(self._train), "repair")
            other = self._item(self._random.choice(self._train), "repair")
            return self._said([(prompt_of(item, "compact"), answer_text(other))])
        return self._of_turns(1 if self._random.random() >= self._multi_turn else 3)

    def _item(self, program: ValuesProgram, kind: str) -> PredictionItem:
        of = problem(ValuesTask(program, "AK", self._random.getrandbits(40)))
        test = of.public_tests[0]
        assert isinstance(test, CallTest)
        return family_item(of, program, test, kind)

    def _of_runs(self) -> TokenConversation:
        program = self._random.choice(self._train)
        parts = []
        for number in range(self._runs):
            item = self._item(program, "state")
            shown = prompt_of(item, "compact")
            parts.append((shown if number == 0 else "\non " + shown.rpartition("\non ")[2], answer_text(item)))
        return self._said(parts)

    def _of_turns(self, turns: int) -> TokenConversation:
        mask = self._random.choices(("A", "K", "AK"), (0.4, 0.2, 0.4))[0]
        task = ValuesTask(self._random.choice(self._train), mask, self._random.getrandbits(40))
        pool = [program for program in candidates(task.program, mask) if split_of(program) == "train"]
        parts = []
        shown = task.statement
        for _ in range(turns):
            attempt = self._random.choice(pool)
            parts.append((shown, attempt.source))
            failed = next(
                (item for item in task.inputs[:PUBLIC_TESTS] if attempt.answer(item) != task.program.answer(item)), None
            )
            if failed is None:
                break
            shown = f"wrong on {inputs_text(failed)} gave {attempt.answer(failed)} not {task.program.answer(failed)}"
        return self._said(parts)

    def _said(self, parts: Sequence[tuple[str, str]]) -> TokenConversation:
        conversation = TokenConversation()
        for number, (shown, response) in enumerate(parts):
            conversation.add_environment(self._chat.follow_up(shown, stopped=True) if number else self._chat.opening(shown))
            ids = self._chat.response(response)
            conversation.add_response(ids, [0.0] * len(ids), "stop")
        return conversation
