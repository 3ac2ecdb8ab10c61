"""The branches family for a policy that is built from scratch: tokenizer, settings, supervised documents and known items.

The documents solve a part of the task: programs follow the statement slot by slot now and then, and say what runs do on inputs of
the training split. What the policy writes is run by the judge; only documents and the exam know the family's programs.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence

from transformers import PreTrainedTokenizerFast

from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.models import MiniShape
from codeenv.agents.lm.tokenizer import build_piece_tokenizer
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.episode import EnvConfig
from codeenv.prediction import PredictionItem, answer_text, prompt_of
from codeenv.problems import CallTest, Problem
from codeenv.problems.procedural.branches import (
    CONDITIONS,
    EXPRESSIONS,
    PUBLIC_TESTS,
    RAISES,
    BranchesProgram,
    BranchesTask,
    Inputs,
    Split,
    all_programs,
    inputs_text,
    problem,
    sample_tasks,
    text_pieces,
)

__all__ = ["SHAPE", "BranchesDocuments", "build_tokenizer", "env_config", "exam", "known_item", "known_lines"]

SHAPE = MiniShape(spread=0.1)
"""The policy of the family. From first weights of 0.02, the usual spread, it learns to execute later."""

_PIECES = (
    "wrong on ", " gave ", " not ", "invalid code", "wrong", "run\n", "\non ", '{"final_output": ', '{"variables": {"f.u": ',
    '}, "final_output": ', "}", '{"exception": "ZeroDivisionError", "line": ', "true", "false",
    *(f'"{digit}"' for digit in range(9)),
)  # fmt: skip


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Return the tokenizer of the family: one token for each line of a program, named digit, value and frame of an answer."""
    return build_piece_tokenizer([*text_pieces(), *_PIECES], max_length=160)


def env_config(turn_limit: int = 3) -> EnvConfig:
    """Return the task's settings: RLEF's but for one-line prompts and feedback, and programs without a fence."""
    return EnvConfig(turn_limit=turn_limit, feedback="values", prompt="plain", require_fence=False)


@functools.cache
def _by_source() -> dict[str, BranchesProgram]:
    return {program.source: program for program in all_programs()}


def known_lines(source: str, test: CallTest) -> frozenset[int] | None:
    """Return the lines that a run reaches, as a trace's coverage has them; `None` for a program that is not of the family."""
    program = _by_source().get(source)
    return None if program is None else program.covered(test.args)


def known_item(of: Problem, program: BranchesProgram, test: CallTest) -> PredictionItem | None:
    """Return the item that a traced run of a program gives, or `None` if its value is one of the inputs."""
    inputs: Inputs = test.args
    name = f"{of.id}/{program.source}/{of.public_tests.index(test)}"
    value = program.answer(inputs)
    if value is RAISES:
        error = (RAISES.__name__, 3 + 2 * program.branch(inputs))
        return PredictionItem(name, "exception", of, program.source, test, exception=error, passed=False)
    if type(value) is int and value in inputs:
        return None
    return PredictionItem(name, "state", of, program.source, test, value, ("f.u",), {"f.u": value}, passed=False)


def exam(split: Split, count: int, seed: int) -> list[PredictionItem]:
    """Return a fixed set of items about programs of the family, drawn without regard to the problem that they stand for."""
    draws = random.Random(seed)
    items = []
    for task in sample_tasks(split, 2 * count, seed):
        of = problem(task)
        test = of.public_tests[0]
        assert isinstance(test, CallTest)
        items.append(known_item(of, draws.choice(all_programs()), test))
    return [item for item in items if item is not None][:count]


class BranchesDocuments:
    """Supervised conversations on train inputs: what programs do, and programs that follow statement and feedback now and then.

    Args:
        chat: the tokens' format.
        seed: decides every document.
        execution: share of documents that run programs.
        runs: inputs of each of them.
        agreeing: share of the slots of a program that follow the statement, and of the later attempts that follow the feedback;
            the others are drawn at random.
        turns: most turns of the remaining documents.
    """

    def __init__(
        self, chat: PlainFormat, seed: int, *, execution: float = 0.5, runs: int = 4, agreeing: float = 0.4, turns: int = 3
    ) -> None:
        self._chat = chat
        self._random = random.Random(seed)
        self._execution = execution
        self._runs = runs
        self._agreeing = agreeing
        self._turns = turns

    def __call__(self, count: int) -> list[TokenConversation]:
        """Return `count` new conversations; loss belongs on the tokens marked as sampled."""
        return [self._of_runs() if self._random.random() < self._execution else self._of_turns() for _ in range(count)]

    def _of_runs(self) -> TokenConversation:
        program = self._random.choice(all_programs())
        parts: list[tuple[str, str]] = []
        while len(parts) < self._runs:
            of = problem(self._task())
            test = of.public_tests[0]
            assert isinstance(test, CallTest)
            item = known_item(of, program, test)
            if item is not None:
                shown = prompt_of(item, "compact")
                parts.append(("\non " + shown.rpartition("\non ")[2] if parts else shown, answer_text(item)))
        return self._said(parts)

    def _of_turns(self) -> TokenConversation:
        task = self._task()
        wanted = task.program
        parts = []
        shown = task.statement
        attempt = self._follows(wanted)
        for _ in range(self._turns):
            parts.append((shown, attempt.source))
            failed = next((one for one in task.inputs[:PUBLIC_TESTS] if attempt.answer(one) != wanted.answer(one)), None)
            if failed is None:
                break
            gave = attempt.answer(failed)
            said = f"gave {gave!r} not {wanted.answer(failed)!r}"
            shown = "invalid code" if gave is RAISES else f"wrong on {inputs_text(failed)} {said}"
            again = self._follows(wanted)
            branch = attempt.branch(failed)
            if self._random.random() < self._agreeing:  # keep the program but for the branch that the feedback is about
                kept = list(attempt.expressions)
                kept[branch] = wanted.expressions[wanted.branch(failed)]
                again = BranchesProgram(attempt.condition, tuple(kept))
            attempt = again
        return self._said(parts)

    def _task(self) -> BranchesTask:
        return BranchesTask(self._random.choice(all_programs()), "train", None, self._random.getrandbits(40))

    def _follows(self, wanted: BranchesProgram) -> BranchesProgram:
        """Return a program each of whose slots is the wanted one now and then, else any."""

        def slot(right: int, choices: int) -> int:
            return right if self._random.random() < self._agreeing else self._random.randrange(choices)

        chosen = tuple(slot(right, len(EXPRESSIONS)) for right in wanted.expressions)
        return BranchesProgram(slot(wanted.condition, len(CONDITIONS)), chosen)

    def _said(self, parts: Sequence[tuple[str, str]]) -> TokenConversation:
        conversation = TokenConversation()
        for number, (shown, response) in enumerate(parts):
            conversation.add_environment(self._chat.follow_up(shown, stopped=True) if number else self._chat.opening(shown))
            ids = self._chat.response(response)
            conversation.add_response(ids, [0.0] * len(ids), "stop")
        return conversation
