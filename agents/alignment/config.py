"""The settings of alignment. The defaults are CodeRL+'s (arXiv 2510.18471 and its released code) but for what is marked ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from codeenv.agents.alignment.buffer import Strategy
from codeenv.agents.settings import check_choice, check_flag, check_number, check_whole
from codeenv.errors import CodeenvError
from codeenv.prediction.prompt import PROMPT_STYLES
from codeenv.prediction.score import RewardMode

__all__ = ["AlignmentConfig"]


@dataclass(frozen=True, slots=True)
class AlignmentConfig:
    """How alignment prompts are mixed into the batch.

    Attributes:
        fraction: share of the batch's prompts that ask for predictions (1 - alpha); 0.0 is plain RL, bit for bit.
        mode: `ours` (scoped variables, exceptions, typed equality, robust answer) or `official` (the released code's items,
            prompt and reading of the answer).
        reward: `paper` (share of right variables) or `official` (0.1 for the format + 0.9 * share of right parts).
        strategy, buffer: see `AlignmentBuffer`.
        source: `failed` programs become items, or `passed`, or `all` (mode `ours`).
        mutants: also make items of copies of the attempts with one number or comparison changed, which often raise (error-aware
            prediction, after CodeBoost, arXiv 2508.05242).
        names: most variables asked in an item.
        prompt: style of the prompt in mode `ours`.
        samples: answers to one item; by default as many as the episodes on a problem (`group`), which is 1 in PPO.
        floor: alignment starts when this share of the answers to the first items is right; ours, since a policy that is
            never right learns nothing from such prompts. By default 0.1, and 0.0 in mode `official`: the released code has none.
        recheck: iterations between two looks at the first items: at the floor, and as the metric `align_frozen`, which does not
            drift with the policy's own programs.
        repairs: share of the items that ask for a masked line instead (CodeBoost); a kind of task of its own; mode `ours`.
        least_successes: a batch whose alignment answers have fewer successes gives them no advantage, in algorithms
            that whiten advantages; ours (0: never). By default 10, and 0 in mode `official`.
    """

    fraction: float = 0.4
    mode: Literal["ours", "official"] = "ours"
    reward: RewardMode = "official"
    strategy: Strategy = "recent"
    buffer: int = 20_000
    source: Literal["failed", "passed", "all"] = "failed"
    mutants: bool = False
    names: int = 3
    prompt: Literal["plain", "compact"] = "plain"
    samples: int | None = None
    floor: float | None = None
    recheck: int = 10
    least_successes: int | None = None
    repairs: float = 0.0

    def __post_init__(self) -> None:
        check_number("the alignment fraction", self.fraction, 0.0, 1.0, below=True)
        for name, known in (
            ("mode", ("ours", "official")), ("reward", get_args(RewardMode)), ("strategy", get_args(Strategy)),
            ("source", ("failed", "passed", "all")), ("prompt", PROMPT_STYLES),
        ):  # fmt: skip
            check_choice(f"the alignment {name}", getattr(self, name), known)
        for name, least in (("samples", 1), ("recheck", 1), ("buffer", 1), ("names", 0), ("least_successes", 0)):
            if (whole := getattr(self, name)) is not None or name not in ("samples", "least_successes"):
                check_whole(name, whole, least)
        for name in ("floor", "repairs"):
            if (share := getattr(self, name)) is not None or name != "floor":
                check_number(name, share, 0.0, 1.0)
        check_flag("mutants", self.mutants)
        if self.mode == "official" and self.source != "failed":
            raise CodeenvError(f"the alignment source is {self.source!r}, but mode 'official' asks about failed programs alone")
        if self.mode == "official" and self.repairs:
            raise CodeenvError(f"repairs is {self.repairs!r}, but mode 'official' has none; set it to 0.0 or the mode to 'ours'")

    @property
    def least_share(self) -> float:
        """The floor in force."""
        return self.floor if self.floor is not None else 0.0 if self.mode == "official" else 0.1

    @property
    def least_right(self) -> int:
        """The number of successes in force that a batch needs for advantages."""
        return self.least_successes if self.least_successes is not None else 0 if self.mode == "official" else 10

    @property
    def style(self) -> str:
        """The prompt style in force."""
        return "official" if self.mode == "official" else self.prompt
