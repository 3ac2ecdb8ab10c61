"""Playing ahead: the next collections are generated and judged in a thread while the learner updates.

A collection that is played ahead comes from the policy of `staleness` iterations before the one that learns from it, never
an older one. The factor stop_grad(min(pi / pi_b, 1)) of the policy loss is for that (RLEF, arXiv 2410.02089, section 2.3).
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedModel

from codeenv.agents.rlef.collect import Collection

__all__ = ["Ahead"]


@dataclass(frozen=True, slots=True)
class _Pending:
    number: int
    policy: PreTrainedModel
    found: Future[Collection]


class Ahead:
    """Collections that are being played.

    Args:
        play: plays the collection of a number with a policy; called in a thread, one call at a time.
        staleness: most collections that are ahead.
    """

    def __init__(self, play: Callable[[PreTrainedModel, int], Collection], staleness: int) -> None:
        self._play = play
        self._staleness = staleness
        self._pending: deque[_Pending] = deque()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="codeenv-ahead")

    def take(self, policy: PreTrainedModel, number: int, last: int) -> Collection:
        """Return the collection of this number and start those that follow it, from the policy as it is now.

        Args:
            policy: the policy before this iteration's update; it is copied.
            number: of the iteration.
            last: number of the last iteration; none behind it is played.
        """
        if not self._pending:
            self._submit(copy.deepcopy(policy), number)
        found = self._pending[0].found.result()  # first, so that an interrupt while waiting leaves the queue whole
        self._pending.popleft()
        first = self._pending[-1].number + 1 if self._pending else number + 1
        for following in range(first, min(last, number + self._staleness) + 1):
            self._submit(copy.deepcopy(policy), following)
        return found

    def wait(self) -> None:
        """Wait until nothing is being played."""
        for one in self._pending:
            one.found.exception()

    def close(self) -> None:
        """Drop what has not begun and let the thread end."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def state(self) -> list[dict[str, Any]]:
        """Return the policies of the collections that are ahead, for a checkpoint."""
        return [{"number": one.number, "policy": one.policy.state_dict()} for one in self._pending]

    def load(self, state: list[dict[str, Any]], policy: PreTrainedModel) -> None:
        """Play again the collections that were ahead when a checkpoint was written; `policy` gives the architecture."""
        for one in state:
            writer = copy.deepcopy(policy)
            writer.load_state_dict(one["policy"])
            self._submit(writer, int(one["number"]))

    def _submit(self, policy: PreTrainedModel, number: int) -> None:
        self._pending.append(_Pending(number, policy, self._thread.submit(self._play, policy, number)))
