"""Alignment in miniature: tokenizer, feedback, supervised documents and items of the values family.

The family's programs are ours, so what they do is known without running them; what a policy writes goes to the judge.
"""

from __future__ import annotations

import functools
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from transformers import PreTrainedTokenizerFast

from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.models import MiniShape
from codeenv.agents.lm.tokenizer import build_piece_tokenizer
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.agents.settings import check_choice, check_whole
from codeenv.agents.trace_head.classes import outcome_class, value_classes
from codeenv.agents.trace_head.labels import RunLabels, Submission, Variable
from codeenv.episode import EnvConfig
from codeenv.prediction import Attempt, Built, PredictionItem, answer_text, prompt_of
from codeenv.prediction.attempt import random_from_list, random_to_list
from codeenv.problems import CallTest, Problem
from codeenv.problems.procedural.values import (
    PUBLIC_TESTS,
    Inputs,
    Split,
    ValuesProgram,
    ValuesTask,
    all_programs,
    inputs_text,
    problem,
    sample_tasks,
    text_pieces,
)

__all__ = [
    "SHAPE",
    "FamilyBuilder",
    "ValuesDocuments",
    "build_tokenizer",
    "digit_labels",
    "env_config",
    "exam",
    "family_item",
    "family_labels",
]

SHAPE = MiniShape(spread=0.1)
"""The policy of the family. From first weights of 0.02, the usual spread, it learns to execute later."""

_PIECES = (
    "wrong on ", " gave ", " not ", "invalid code", "wrong", "run\n", "fill\n", "\non ", " gives ",
    "MASKED_LINE_1", '{"lines": ["', '"]}',
    '{"final_output": ', '{"variables": {"f.u": ', '}, "final_output": ', "}",
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

    Kind `state` asks for `u` and the output, kind `output` for the output alone; kind `repair` for the line that binds `u`; kind
    `test_output` for the output that the problem's statement asks for, which should name the pick.
    """
    output = program.answer(test.args)
    name = f"{of.id}/{program.pick}/{of.public_tests.index(test)}/{kind}"
    if kind == "test_output":
        return PredictionItem(name, "test_output", of, "", test, test.expected)
    if kind == "repair":
        line = program.source.split("\n")[1]
        masked = program.source.replace(line, "MASKED_LINE_1")
        return PredictionItem(name, "repair", of, masked, test, output, masked=(line,), passed=False)
    if kind == "output":
        return PredictionItem(name, "output", of, program.source, test, output, passed=False)
    return PredictionItem(name, "state", of, program.source, test, output, ("f.u",), {"f.u": output}, passed=False)


class FamilyBuilder:
    """Makes items of attempts without running them again; programs that are not of the family are dropped.

    There is no filter of trivial items: every value of the family is one of the inputs.

    Args:
        kind: `state` or `repair`.
        source: `failed`, `passed` or `all` attempts.
        seed: of the choice among a problem's attempts.
        names: most variables asked; the family's programs have one, and with 0 the output alone is asked.
        released: the released code's rules, as far as the family's programs let them differ: every attempt is asked about, on the
            problem's first public test alone, unless input and output were asked before in this call.
    """

    def __init__(
        self, kind: str = "state", source: str = "failed", seed: int = 0, released: bool = False, names: int = 3
    ) -> None:
        check_choice("the kind of the family's items", kind, ("state", "repair"))
        check_choice("the source of alignment items", source, ("failed", "passed", "all"))
        check_whole("names", names, 0)
        self.kind = "output" if kind == "state" and names == 0 else kind
        self.source = source
        self.released = released
        self._random = random.Random(seed)

    def build(self, attempts: Sequence[Attempt]) -> Built:
        """Return at most one item of each problem, or of each input and output."""
        built = Built()
        seen: set[str] = set()
        counts: Counter[str] = Counter()
        for attempt in self._random.sample(list(attempts), len(attempts)):
            program = _by_source().get(attempt.source)
            test = attempt.problem.public_tests[0 if self.released else attempt.test]
            if self.source != "all" and attempt.passed != (self.source == "passed"):
                counts["passed" if attempt.passed else "failed"] += 1
            elif program is None or not isinstance(test, CallTest):
                counts["run_failed"] += 1
            elif (key := f"{test.args} {program.answer(test.args)}" if self.released else attempt.problem.id) in seen:
                counts["enough"] += 1
            else:
                seen.add(key)
                item = family_item(attempt.problem, program, test, self.kind)
                built.items.append(replace(item, passed=attempt.passed))
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
        test = _first_failing(one)
        if program is None or one.source is None:
            labels.append(RunLabels(outcome))
            continue
        lines = one.source.split("\n")
        end = len(lines[0]) + 1 + len(lines[1])
        classes = value_classes(str(program.answer(test.args)))
        variables = () if classes is None else (Variable("f.u", end, *classes),)
        labels.append(RunLabels(outcome, None, dict.fromkeys((2, 3), True), variables))
    return labels


def digit_labels(submissions: Sequence[Submission]) -> list[RunLabels]:
    """Return `family_labels` with the digit itself as the class of a value: all digits of the family lie in one bucket."""
    found = family_labels(submissions)
    for place, (one, labels) in enumerate(zip(submissions, found, strict=True)):
        program = _by_source().get(one.source or "")
        if program is not None and labels.variables:
            digit = program.answer(_first_failing(one).args)
            found[place] = replace(labels, variables=tuple(replace(one, bucket=digit) for one in labels.variables))
    return found


def _first_failing(one: Submission) -> CallTest:
    failed = one.public.failed
    test = one.problem.public_tests[failed[0].index if failed else 0]
    assert isinstance(test, CallTest)
    return test


def exam(split: Split, count: int, seed: int, kind: str = "state") -> list[PredictionItem]:
    """Return a fixed set of items about programs of a split: it does not drift with the policy's own programs."""
    items = []
    for task in sample_tasks(split, count, seed):
        of = problem(task._replace(stated=kind == "test_output"))
        test = of.public_tests[0]
        assert isinstance(test, CallTest)
        items.append(family_item(of, task.program, test, kind))
    return items


class ValuesDocuments:
    """Supervised conversations on train inputs: what programs do, and a weak habit of reading feedback.

    A share of them runs a program on several inputs and states the values; a share fills a masked line from what the program
    gives; the rest are statements with their program, and conversations of several turns. Of the attempts after the first a share
    agrees with the feedback shown so far, the others are drawn without regard to it: the policy reads feedback now and then, and
    relying on it is left to learn.

    Args:
        chat: the tokens' format.
        seed: decides every document.
        execution: share of documents that run programs.
        repair: share of documents that fill masked lines.
        outputs: share of documents that give the output that a statement without an open slot asks for.
        runs: inputs of each document of the first two kinds.
        multi_turn: share of the remaining documents that have several turns.
        agreeing: share of later attempts that agree with the feedback.
    """

    def __init__(
        self, chat: PlainFormat, seed: int, *, execution: float = 0.3, repair: float = 0.3, outputs: float = 0.04,
        runs: int = 4, multi_turn: float = 0.7, agreeing: float = 0.4,
    ) -> None:  # fmt: skip
        self._chat = chat
        self._random = random.Random(seed)
        self._execution = execution
        self._repair = repair
        self._outputs = outputs
        self._runs = runs
        self._multi_turn = multi_turn
        self._agreeing = agreeing

    def __call__(self, count: int) -> list[TokenConversation]:
        """Return `count` new conversations; loss belongs on the tokens marked as sampled."""
        return [self._document() for _ in range(count)]

    def _document(self) -> TokenConversation:
        draw = self._random.random()
        if draw < self._execution:
            return self._of_runs("state")
        if draw < self._execution + self._repair:
            return self._of_runs("repair")
        if draw < self._execution + self._repair + self._outputs:
            item = self._item("test_output")
            return self._said([(prompt_of(item, "compact"), answer_text(item))])
        return self._of_turns(1 if self._random.random() >= self._multi_turn else 3)

    def _item(self, kind: str, program: ValuesProgram | None = None) -> PredictionItem:
        if program is None:
            program = self._random.choice(all_programs())
        of = problem(ValuesTask(program, "train", self._random.getrandbits(40), stated=kind == "test_output"))
        test = of.public_tests[0]
        assert isinstance(test, CallTest)
        return family_item(of, program, test, kind)

    def _of_runs(self, kind: str) -> TokenConversation:
        """One program on several inputs; or, for repairs, one frame whose masked line, and so what it gives, changes."""
        program = self._random.choice(all_programs()) if kind == "state" else None
        parts = []
        for number in range(self._runs):
            item = self._item(kind, program)
            shown = prompt_of(item, "compact")
            parts.append((shown if number == 0 else "\non " + shown.rpartition("\non ")[2], answer_text(item)))
        return self._said(parts)

    def _of_turns(self, turns: int) -> TokenConversation:
        stated = turns == 1 and self._random.random() < 0.5
        task = ValuesTask(self._random.choice(all_programs()), "train", self._random.getrandbits(40), stated)
        parts = []
        shown = task.statement
        seen: list[Inputs] = []
        for turn in range(turns):
            pool = (task.program,) if stated else all_programs()
            if turn and self._random.random() < self._agreeing:
                pool = tuple(other for other in pool if all(other.answer(one) == task.program.answer(one) for one in seen))
            attempt = self._random.choice(pool)
            parts.append((shown, attempt.source))
            failed = next(
                (item for item in task.inputs[:PUBLIC_TESTS] if attempt.answer(item) != task.program.answer(item)), None
            )
            if failed is None:
                break
            seen.append(failed)
            shown = f"wrong on {inputs_text(failed)} gave {attempt.answer(failed)} not {task.program.answer(failed)}"
        return self._said(parts)

    def _said(self, parts: Sequence[tuple[str, str]]) -> TokenConversation:
        conversation = TokenConversation()
        for number, (shown, response) in enumerate(parts):
            conversation.add_environment(self._chat.follow_up(shown, stopped=True) if number else self._chat.opening(shown))
            ids = self._chat.response(response)
            conversation.add_response(ids, [0.0] * len(ids), "stop")
        return conversation
