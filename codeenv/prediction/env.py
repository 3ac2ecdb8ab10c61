"""Prediction as Gymnasium environments: one question, one answer."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import gymnasium
import numpy as np
from gymnasium.spaces import Dict, Discrete

from codeenv.episode import Observation
from codeenv.errors import CodeenvError
from codeenv.judge import Judge
from codeenv.prediction.item import KINDS, PredictionItem
from codeenv.prediction.make import build_items
from codeenv.prediction.prompt import PROMPT_STYLES, PromptStyle, prompt_of
from codeenv.prediction.rows import read_items
from codeenv.prediction.score import PredictionScorer, RewardMode
from codeenv.problems import Problem, load
from codeenv.spaces import Unicode

__all__ = ["PredictionEnv"]

_T = TypeVar("_T")


class PredictionEnv(gymnasium.Env[Observation, str]):
    """An episode is one item and one answer. Observation and action have the spaces of `CodeEnv`.

    `info` holds `item_id`, `problem_id` and `kind`; after the answer also `parsed`, `exact` and `parts` (which parts of the
    answer are right). The true values are never in it.

    Args:
        kind: what is asked, one of `codeenv.prediction.KINDS`; by default `state`, and every kind that `items` hold. Of `items`
            those of another kind are left out.
        problems: a data set's name or path, or problems, from whose known solutions the items are made.
        items: ready items, or the path of a JSONL file of them; instead of `problems`.
        reward: `paper` or `official`.
        strict: read and compare answers as the released CodeRL+ code does.
        prompt: style of the prompt: `plain`, `official` or `compact`.
        split, limit: passed to the loader of problems.
        sandbox, judge: as for `CodeEnv`.
        seed: of the choices made while items are made.
        render_mode: `ansi` makes `render()` return the question, and the answer with its score.

    Attributes:
        items: what is asked.
        dropped: why problems gave no item, or items are left out, with the number of each reason.

    Raises:
        CodeenvError: if no item can be made of the problems.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012  (gymnasium declares it so)

    def __init__(
        self,
        kind: str | None = None,
        problems: str | Sequence[Problem] = "humaneval",
        items: str | Path | Sequence[PredictionItem] | None = None,
        *,
        reward: RewardMode = "official",
        strict: bool = False,
        prompt: PromptStyle = "plain",
        split: str | None = None,
        limit: int | None = None,
        sandbox: str = "local",
        judge: Judge | None = None,
        seed: int = 0,
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, "ansi"):
            raise CodeenvError(f"render_mode is {render_mode!r}; use 'ansi' or None")
        if prompt not in PROMPT_STYLES or reward not in get_args(RewardMode):
            raise CodeenvError(f"prompt is {prompt!r}, reward {reward!r}; see codeenv.prediction for their names")
        self.render_mode = render_mode
        self._own_judge = judge is None
        self.judge = judge or Judge(sandbox=sandbox, workers=1)
        try:
            self.items = self._items(kind, problems, items, split, limit, seed)
        except BaseException:
            self.close()
            raise
        self.scorer = PredictionScorer(self.judge, reward, strict)
        self.prompt: PromptStyle = prompt
        self.observation_space: Any = Dict({"problem": Unicode(), "feedback": Unicode(), "trace": Unicode(), "turn": Discrete(2)})
        self.action_space = Unicode()
        self._item: PredictionItem | None = None
        self._answer: str | None = None
        self._said = ""

    def _items(
        self,
        kind: str | None,
        problems: str | Sequence[Problem],
        items: str | Path | Sequence[PredictionItem] | None,
        split: str | None,
        limit: int | None,
        seed: int,
    ) -> Sequence[PredictionItem]:
        if kind is not None and kind not in KINDS:
            raise CodeenvError(f"item kind is {kind!r}; use one of {', '.join(KINDS)}")
        if items is not None:
            found = read_items(items) if isinstance(items, (str, Path)) else _all_of("items", items, PredictionItem)
            kept = [item for item in found if kind in (None, item.kind)]
            self.dropped = Counter({"other_kind": len(found) - len(kept)} if len(kept) < len(found) else {})
            if not kept:
                kinds = ", ".join(sorted({item.kind for item in found})) or "none"
                raise CodeenvError(f"there is no item of kind {kind or 'any'!r} among the items, whose kinds are: {kinds}")
            return kept
        chosen = load(problems, split=split, limit=limit) if isinstance(problems, str) else _all_of("problems", problems, Problem)
        built = build_items(list(chosen), kind or "state", self.judge, seed)
        self.dropped = built.dropped
        if not built.items:
            reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(built.dropped.items()))
            raise CodeenvError(
                f"no item of kind {kind or 'state'!r} can be made: the problems have no public test with an input and a fitting "
                f"known solution{f' ({reasons})' if reasons else ''}; choose other problems or pass items"
            )
        return built.items

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observation, dict[str, Any]]:
        """Ask a random item, or the one that `options` name by `index` or `item_id`."""
        super().reset(seed=seed)
        options = options or {}
        if unknown := sorted(set(options) - {"index", "item_id"}):
            raise CodeenvError(f"unknown reset option {unknown[0]!r}; use index or item_id")
        if "item_id" in options:
            found = next((item for item in self.items if item.id == options["item_id"]), None)
            if found is None:
                raise CodeenvError(f"there is no item {options['item_id']!r}; ids look like {self.items[0].id!r}")
            self._item = found
        else:
            index = options.get("index")
            if "index" not in options:
                index = int(self.np_random.integers(len(self.items)))
            if isinstance(index, bool) or not isinstance(index, (int, np.integer)) or not 0 <= index < len(self.items):
                raise CodeenvError(f"the reset option 'index' is {index!r}; use a whole number from 0 to {len(self.items) - 1}")
            self._item = self.items[int(index)]
        self._answer = None
        return self._observation(0), self._about(self._item)

    def step(self, action: str) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Score an answer and end the episode.

        Raises:
            CodeenvError: if the answer is not text, or there is no open question.
        """
        if self._item is None or self._answer is not None:
            raise CodeenvError("there is no open question; call reset() before step()")
        if not isinstance(action, str):
            raise CodeenvError(f"an action must be the text of the answer, got {type(action).__name__}; pass a str")
        score = self.scorer.score([self._item], [action])[0]
        self._answer = action
        self._said = f"reward {score.reward:g}"
        info = self._about(self._item) | {"parsed": score.parsed, "exact": score.exact, "parts": score.parts}
        return self._observation(1), score.reward, True, False, info

    def render(self) -> str | None:
        """Return the question and the answer so far as text, in render mode `ansi`."""
        if self.render_mode != "ansi" or self._item is None:
            return None
        question = prompt_of(self._item, self.prompt)
        return question if self._answer is None else f"{question}\n\n--- {self._said}\n{self._answer}"

    def close(self) -> None:
        """Stop the judge's workers, unless the judge was given."""
        if self._own_judge:
            self.judge.close()

    def _observation(self, turn: int) -> Observation:
        assert self._item is not None
        return {"problem": prompt_of(self._item, self.prompt), "feedback": "", "trace": "", "turn": turn}

    @staticmethod
    def _about(item: PredictionItem) -> dict[str, Any]:
        return {"item_id": item.id, "problem_id": item.problem.id, "kind": item.kind}


def _all_of(name: str, given: Any, kind: type[_T]) -> list[_T]:
    """Return given things as a list, if all are of one kind."""
    found = list(given) if isinstance(given, Iterable) else None
    if found is None or not all(isinstance(one, kind) for one in found):
        raise CodeenvError(f"{name} is {reprlib.repr(given)}; pass a path, or a list of {kind.__name__}")
    return found
