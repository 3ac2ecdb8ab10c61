"""The conversation that an agent reads: the one place where observations become chat messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, TypedDict

from codeenv.episode import Episode

__all__ = ["Conversation", "Message", "conversation_of", "feedback_message"]


class Message(TypedDict):
    """One chat message: `role` is `user` (the environment) or `assistant` (the agent)."""

    role: str
    content: str


Conversation: TypeAlias = Sequence[Message]


def feedback_message(feedback: str, trace: str) -> str:
    """Return the environment's message after a failed turn: the feedback, then the trace if there is one."""
    return f"{feedback}\n\nWhat your program did on the first failing test:\n\n{trace}" if trace else feedback


def conversation_of(episode: Episode) -> list[Message]:
    """Return the whole conversation so far; it ends with a user message while the episode goes on."""
    messages: list[Message] = [{"role": "user", "content": episode.observation()["problem"]}]
    for turn in episode.turns:
        messages.append({"role": "assistant", "content": turn.response})
        if turn.feedback:
            messages.append({"role": "user", "content": feedback_message(turn.feedback, turn.trace)})
    return messages
