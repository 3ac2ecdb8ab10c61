"""RLEF in miniature: the tokenizer, the feedback arms and the supervised documents of the miniature family.

The family's programs are ours, so what they do is known without running them; only what a policy writes goes to the judge.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence

import numpy as np
from transformers import PreTrainedTokenizerFast

from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.tokenizer import build_piece_tokenizer
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.episode import EnvConfig
from codeenv.feedback import Feedback, FeedbackContext, compact
from codeenv.judge.verdict import Report, TestResult, Verdict
from codeenv.problems.procedural.mini import (
    PUBLIC_TESTS,
    MiniTask,
    Program,
    candidates,
    first_failure,
    parse,
    problem,
    program_split,
    sample_tasks,
)

__all__ = ["MiniDocuments", "bare_feedback", "build_tokenizer", "env_config", "random_feedback", "true_report"]

_PIECES = (
    "wrong",
    "wrong: f(",
    ") gave (",
    ") raised (",
    ") not (",
    " diff ",
    "invalid code",
    "TypeError",
    "ValueError",
    "AttributeError",
)
_NUMBERS = (*map(str, range(21)), *(f"{number:+d}" for number in range(-31, 32)))

_ERRORS = (  # what a program of the row's input form raises when it is called in the column's
    ("", "TypeError", "TypeError"),
    ("TypeError", "", "ValueError"),
    ("TypeError", "AttributeError", ""),
)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Return the tokenizer of the family: one token for each slot value, and for the words of statements and feedback."""
    from codeenv.problems.procedural.mini import text_pieces

    return build_piece_tokenizer([*text_pieces(), *_PIECES, *_NUMBERS], max_length=128)


def env_config(feedback: str | Feedback = "compact", turn_limit: int = 3) -> EnvConfig:
    """Return the task's settings: RLEF's but for one-line prompts and feedback, and programs without a fence."""
    return EnvConfig(turn_limit=turn_limit, feedback=feedback, prompt="plain", require_fence=False)


def true_report(program: Program, task: MiniTask) -> Report:
    """Return the public report of one of the family's own programs, equal to the judge's in all that feedback shows."""
    results = []
    for index, (a, b) in enumerate(task.pairs[:PUBLIC_TESTS]):
        verdict, output, error = Verdict.ACCEPTED, "", _ERRORS[program.form][task.program.form]
        if error:
            verdict = Verdict.RUNTIME_ERROR
        else:
            output = repr(program.answer(a, b))
            if program.answer(a, b) != task.program.answer(a, b):
                verdict = Verdict.WRONG_ANSWER
        results.append(TestResult(index, True, verdict, output=output, error=error))
    verdict = next((result.verdict for result in results if result.verdict is not Verdict.ACCEPTED), Verdict.ACCEPTED)
    return Report(task.id, verdict, tuple(results))


def true_feedback(program: Program, task: MiniTask) -> str:
    """Return the compact feedback that one of the family's own programs gets."""
    return compact(FeedbackContext(problem(task), program.source, true_report(program, task), 0))


def bare_feedback(context: FeedbackContext) -> str:
    """Return feedback that says only that the program is wrong."""
    return "wrong"


def random_feedback(context: FeedbackContext) -> str:
    """Return feedback of the true form about something else: another program that fits the statement, failed by a third one.

    Feedback from an unrelated problem would contradict the statement, which alone lowers the solve rate. The draw depends on
    the problem, the program and the turn alone.
    """
    task = parse(context.problem.id)
    key = f"{context.problem.id}\n{context.source}\n{context.turn}".encode()
    generator = np.random.default_rng(int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big"))
    fitting = _fitting(task.program, task.mask)
    while True:
        hidden, attempt = (fitting[int(index)] for index in generator.integers(len(fitting), size=2))
        other = MiniTask(hidden, task.mask, int(generator.integers(1 << 40)))
        if hidden != task.program and first_failure(attempt, other) is not None:
            return true_feedback(attempt, other)


@functools.lru_cache(maxsize=1 << 12)
def _fitting(program: Program, mask: str) -> tuple[Program, ...]:
    return candidates(program, mask)


class MiniDocuments:
    """Supervised conversations of the train split.

    Most are a statement and its program. The others show the form of several turns, but each attempt is drawn uniformly from
    the train programs that fit the statement, independent of the feedback shown: the policy learns the format, and nothing
    about the use of feedback.

    Args:
        chat: the tokens' format.
        seed: decides every document.
        multi_turn: share of conversations with several turns.
        bare: share of those whose feedback says only that the program is wrong.
    """

    def __init__(self, chat: PlainFormat, seed: int, multi_turn: float = 0.4, bare: float = 0.15, turns: int = 3) -> None:
        self._chat = chat
        self._seed = seed
        self._generator = np.random.default_rng([seed, 1])
        self._multi_turn = multi_turn
        self._bare = bare
        self._turns = turns
        self._calls = 0

    def __call__(self, count: int) -> list[TokenConversation]:
        """Return `count` new conversations; loss belongs on the tokens marked as sampled."""
        tasks = sample_tasks("train", count, seed=self._seed * 100_003 + self._calls)
        self._calls += 1
        draws = self._generator.random((count, 2))
        return [
            self._several(task, bare=draw[1] < self._bare) if draw[0] < self._multi_turn else self._single(task)
            for task, draw in zip(tasks, draws, strict=True)
        ]

    def _single(self, task: MiniTask) -> TokenConversation:
        conversation = TokenConversation()
        conversation.add_environment(self._chat.opening(task.statement))
        self._respond(conversation, task.program)
        return conversation

    def _several(self, task: MiniTask, bare: bool) -> TokenConversation:
        conversation = TokenConversation()
        conversation.add_environment(self._chat.opening(task.statement))
        pool = _train_programs(task.program, task.mask)
        for turn in range(self._turns):
            attempt = pool[int(self._generator.integers(len(pool)))]
            self._respond(conversation, attempt)
            if turn + 1 == self._turns or first_failure(attempt, task) is None:
                break
            conversation.add_environment(self._chat.follow_up("wrong" if bare else true_feedback(attempt, task), stopped=True))
        return conversation

    def _respond(self, conversation: TokenConversation, program: Program) -> None:
        ids = self._chat.response(program.source)
        conversation.add_response(ids, [0.0] * len(ids), "stop")


@functools.lru_cache(maxsize=1 << 12)
def _train_programs(program: Program, mask: str) -> Sequence[Program]:
    return tuple(other for other in candidates(program, mask) if program_split(other) == "train")
