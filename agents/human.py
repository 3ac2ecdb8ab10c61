"""A person at the terminal as an agent: to feel what a model is asked."""

from __future__ import annotations

import sys

from codeenv.rollout.agent import AgentError
from codeenv.rollout.conversation import Conversation
from codeenv.submission import fence

__all__ = ["TerminalAgent"]


class TerminalAgent:
    """Shows the last message and reads a program from standard input, up to a line that is a single dot.

    `codeenv rollout --agent human --limit 1` plays one episode at a time and gives the person a day for each response; from
    Python, call `rollout(..., concurrency=1, agent_timeout_s=86400)`.
    """

    def act(self, conversation: Conversation) -> str:
        """Return what the person typed, as a program.

        Raises:
            AgentError: if standard input ends.
        """
        print(
            f"\n{conversation[-1]['content']}\n\nYour program; end it with a line that is a single dot:",
            file=sys.stderr,
            flush=True,
        )
        lines: list[str] = []
        for line in sys.stdin:
            if line.rstrip("\n") == ".":
                return fence("".join(lines))
            lines.append(line)
        raise AgentError("standard input ended before a line with a single dot")
