"""Two models, one for first attempts and one for repairs: the paper's separate repair model (RLEF, arXiv 2410.02089, table 5)."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from codeenv.agents.hf import HuggingFaceAgent
from codeenv.errors import CodeenvError
from codeenv.rollout.agent import Response
from codeenv.rollout.conversation import Conversation

__all__ = ["RepairAgent"]


class RepairAgent:
    """Takes the first response from one model and all later ones from another.

    Args:
        first, repair: folder or hub name of the two models; or pass agents with `act_batch` as `first_agent`, `repair_agent`.
        independent: each repair sees the first attempt and its feedback alone, as in the paper; otherwise all attempts.
        device, dtype, temperature, top_p, max_tokens, max_context, batch_size, seed, threads: of both models, see
            `HuggingFaceAgent`.
    """

    def __init__(
        self,
        first: str = "",
        repair: str = "",
        independent: bool = True,
        device: str = "cpu",
        dtype: str = "auto",
        temperature: float = 0.2,
        top_p: float = 0.95,
        max_tokens: int = 512,
        max_context: int = 4096,
        batch_size: int = 16,
        seed: int = 0,
        threads: int = 0,
        first_agent: Any = None,
        repair_agent: Any = None,
    ) -> None:
        shared: dict[str, Any] = {
            "device": device, "dtype": dtype, "temperature": temperature, "top_p": top_p, "max_tokens": max_tokens,
            "max_context": max_context, "batch_size": batch_size, "seed": seed, "threads": threads,
        }  # fmt: skip
        for name, model, agent in (("first", first, first_agent), ("repair", repair, repair_agent)):
            if not model and agent is None:
                raise CodeenvError(f"the repair agent needs two models; give the other one as --agent-options {name}=NAME")
        self._first = first_agent or HuggingFaceAgent(first, **shared)
        self._repair = repair_agent or HuggingFaceAgent(repair, adopt=True, **shared)
        self._independent = independent

    def act_batch(self, conversations: Sequence[Conversation]) -> list[Response]:
        """Return one response per conversation; the two models are asked in turn."""
        answers: dict[int, Response] = {}
        for agent, later in ((self._first, False), (self._repair, True)):
            chosen = [index for index, conversation in enumerate(conversations) if (len(conversation) > 1) is later]
            if not chosen:
                continue
            shown = [conversations[index] for index in chosen]
            if later and self._independent:
                shown = [conversation[:3] for conversation in shown]
            answers |= zip(chosen, agent.act_batch(shown), strict=True)
        return [answers[index] for index in range(len(conversations))]

    async def end_run(self) -> None:
        """Let both models forget the conversations of the run."""
        for agent in (self._first, self._repair):
            end = getattr(agent, "end_run", None)
            result = end() if callable(end) else None
            if inspect.isawaitable(result):
                await result
