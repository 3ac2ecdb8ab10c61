"""What `benchmarks/rlef_operator.py` teaches beside RLEF: documents, and a line of working that is no part of the program.

The line stands before a program whose operator the statement leaves open, once an example is known, such as f(3,1) with the
wanted number 2: `#+4a+b+2a-b-2b-a+3max(a,b)+1min(a,b)+3a+1b+2abs(a-b):+2a-b`. It holds what each operator gives, behind the
colon the wanted number without the offset, and an operator. Writing it takes eight values of two digits; choosing by it takes
finding a number again.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.agents.rlef.miniature import true_feedback
from codeenv.problems.procedural import mini
from codeenv.problems.procedural.mini import OFFSETS, OPERATORS, MiniTask, Program

__all__ = ["HELD_OUT", "Documents", "Mixture", "WorkingFormat", "call", "pair_from", "table", "values_of", "working"]

HELD_OUT = frozenset(int(code) for code in np.random.default_rng(5).permutation(100)[:20])
"""The digit pairs (10 a + b) that no document and no training problem's public test shows."""
_BY_EXAMPLE = ("O", "OF", "TO", "TOF")
"""Masks of the documents with examples: the operator is open and the offset is not."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """What a warm start shows.

    Attributes:
        working: whether the line of working stands before programs.
        examples: share of the documents in which a program follows from an example of what it does.
        tables: share of those that ask for an operator by a call and a number, without a program.
        dialogues: share of those in the form of several turns, whose programs are independent of the feedback.
        runs: examples of each document with examples.
        chosen: whether dialogues show, behind the working, which operator and program were chosen.
    """

    working: bool
    examples: float
    tables: float = 0.0
    dialogues: float = 0.4
    runs: int = 2
    chosen: bool = True


class WorkingFormat(PlainFormat):
    """The miniature's format; a first line that begins with # is the policy's own and does not reach the judge."""

    def text(self, ids: list[int]) -> str:
        text = super().text(ids)
        return text.partition("\n")[2] if text.startswith("#") else text


def values_of(a: int, b: int) -> list[int]:
    """Return what each operator gives for two digits."""
    nothing = OFFSETS.index(0)
    return [Program(0, 0, operator, nothing).answer(a, b)[1] for operator in range(len(OPERATORS))]


def table(a: int, b: int) -> str:
    """Return the first part of a line of working: what each operator gives."""
    return "#" + "".join(f"{value:+d}{name}" for value, name in zip(values_of(a, b), OPERATORS, strict=True))


def working(a: int, b: int, wanted: int, chosen: Program) -> str:
    """Return the line of working of a program that was chosen after an example with these digits and this wanted number."""
    return f"{table(a, b)}:{wanted - OFFSETS[chosen.offset]:+d}{OPERATORS[chosen.operator]}\n"


def call(program: Program, a: int, b: int) -> str:
    """Return the arguments of a call and what the program gives, as in `[3,1]) not ('kg',4)`."""
    arguments = ",".join(repr(value).replace(" ", "") for value in mini.argument_of(program.form, a, b))
    return f"{arguments}) not {program.answer(a, b)!r}".replace(", ", ",")


def pair_from(generator: np.random.Generator, held_out: bool = False) -> tuple[int, int]:
    """Draw two digits from the pairs that training shows, or from the others."""
    while True:
        code = int(generator.integers(100))
        if (code in HELD_OUT) is held_out:
            return divmod(code, 10)


class Documents:
    """Supervised conversations of the train split: single attempts, dialogues and programs by example.

    Args:
        chat: the tokens' format.
        seed: decides every document.
        mixture: what they show.
        turns: most attempts of a dialogue.
    """

    def __init__(self, chat: PlainFormat, seed: int, mixture: Mixture, turns: int = 3) -> None:
        self._chat, self._seed, self._mixture, self._turns = chat, seed, mixture, turns
        self._generator = np.random.default_rng([seed, 1])
        self._calls = 0

    def __call__(self, count: int) -> list[TokenConversation]:
        """Return `count` new conversations; loss belongs on the tokens marked as sampled."""
        shares = (self._mixture.examples, self._mixture.dialogues, self._mixture.tables)
        by_example, dialogues, tables = (int(count * share) for share in shares)
        self._calls += 1
        number = self._seed * 100_003 + self._calls
        tasks = [task for task in mini.sample_tasks("train", 4 * count, seed=number) if not _shows_held_out(task)]
        if not self._mixture.chosen:  # dialogues without working would teach nothing
            tasks = [task for task in tasks if task.mask in _BY_EXAMPLE]
        examples = [task for task in mini.sample_tasks("train", 6 * by_example, seed=50_000 + number) if task.mask in _BY_EXAMPLE]
        return [
            *(self._by_example(task) for task in examples[:by_example]),
            *(self._dialogue(task) for task in tasks[:dialogues]),
            *(self._table(task.program) for task in tasks[:tables]),
            *(self._single(task) for task in tasks[dialogues : count - by_example - tables]),
        ]

    def _single(self, task: MiniTask) -> TokenConversation:
        conversation = TokenConversation()
        conversation.add_environment(self._chat.opening(task.statement))
        self._respond(conversation, task.program.source)
        return conversation

    def _dialogue(self, task: MiniTask) -> TokenConversation:
        """Return attempts that fit the statement, each drawn without regard to the feedback before it."""
        conversation, pool = TokenConversation(), _fitting(task.program, task.mask)
        conversation.add_environment(self._chat.opening(task.statement))
        bare, shown = self._generator.random() < 0.15, None
        for turn in range(self._turns):
            attempt = pool[int(self._generator.integers(len(pool)))]
            note = "" if bare or shown is None else self._working(task, attempt, shown)
            self._respond(conversation, note + attempt.source, self._mixture.chosen)
            shown = mini.first_failure(attempt, task)
            if turn + 1 == self._turns or shown is None:
                break
            conversation.add_environment(self._chat.follow_up("wrong" if bare else true_feedback(attempt, task), stopped=True))
        return conversation

    def _table(self, program: Program) -> TokenConversation:
        conversation, shown = TokenConversation(), pair_from(self._generator)
        value = values_of(*shown)[program.operator]
        conversation.add_environment(self._chat.opening(f"f({call(program, *shown).partition(')')[0]}){value:+d}"))
        self._respond(conversation, f"{table(*shown)}:{value:+d}{OPERATORS[program.operator]}")
        return conversation

    def _by_example(self, task: MiniTask) -> TokenConversation:
        conversation, pool = TokenConversation(), _fitting(task.program, task.mask)
        for run in range(self._mixture.runs):
            program = pool[int(self._generator.integers(len(pool)))]
            shown = pair_from(self._generator)
            text = (task.statement if run == 0 else "") + f" f({call(program, *shown)}"
            conversation.add_environment(self._chat.follow_up(text, stopped=True) if run else self._chat.opening(text))
            note = self._working(task._replace(program=program), program, shown)
            self._respond(conversation, note + program.source)
        return conversation

    def _working(self, task: MiniTask, chosen: Program, shown: tuple[int, int]) -> str:
        if not self._mixture.working or "O" not in task.mask:
            return ""
        return working(*shown, task.program.answer(*shown)[1], chosen)

    def _respond(self, conversation: TokenConversation, text: str, chosen: bool = True) -> None:
        ids = self._chat.response(text)
        stop = len(ids) if chosen else _working_tokens(self._chat, ids)
        if stop:
            conversation.add_response(ids[:stop], [0.0] * stop, "stop")
        conversation.add_environment(ids[stop:])


def _working_tokens(chat: PlainFormat, ids: list[int]) -> int:
    """Return how many tokens are working: up to the number behind the colon, none if there is no such line."""
    colon = int(chat.tokenizer.convert_tokens_to_ids(":"))  # type: ignore[arg-type]
    return ids.index(colon) + 2 if colon in ids else 0


def _shows_held_out(task: MiniTask) -> bool:
    return any(10 * a + b in HELD_OUT for a, b in task.pairs[: mini.PUBLIC_TESTS])


@functools.lru_cache(maxsize=1 << 12)
def _fitting(program: Program, mask: str) -> tuple[Program, ...]:
    return tuple(other for other in mini.candidates(program, mask) if mini.program_split(other) == "train")
