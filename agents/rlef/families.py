"""The generated families that a training run knows by name: their problems, documents, tokenizer and inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from transformers import PreTrainedTokenizerFast

from codeenv.agents.alignment.branches import SHAPE as BRANCHES_SHAPE
from codeenv.agents.alignment.branches import BranchesDocuments
from codeenv.agents.alignment.branches import build_tokenizer as branches_tokenizer
from codeenv.agents.alignment.miniature import SHAPE as VALUES_SHAPE
from codeenv.agents.alignment.miniature import FamilyBuilder, ValuesDocuments
from codeenv.agents.alignment.miniature import build_tokenizer as values_tokenizer
from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.models import MiniShape
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.agents.rlef.miniature import MiniDocuments, build_tokenizer
from codeenv.prediction import ItemBuilder
from codeenv.problems import Problem
from codeenv.problems.procedural import branches, mini, values

__all__ = ["FAMILIES", "Family"]


@dataclass(frozen=True, slots=True)
class Family:
    """A family for a policy that is built from scratch.

    Attributes:
        sample: given the number of a split (0 train, 1 validation), a count and a seed: problems.
        documents: given format and seed: the maker of supervised conversations.
        tokenizer: makes the tokenizer.
        inputs: what the judge's cache runs every program on.
        shape: of the policy.
        builder: given kind of attempts, seed and most names: makes alignment items without running a program again; `None` runs
            them.
    """

    sample: Callable[[int, int, int], list[Problem]]
    documents: Callable[[PlainFormat, int], Callable[[int], Sequence[TokenConversation]]]
    tokenizer: Callable[[], PreTrainedTokenizerFast]
    inputs: Any
    shape: MiniShape = field(default_factory=MiniShape)
    builder: Callable[[str, int, int], ItemBuilder] | None = None


def _mini(part: int, count: int, seed: int) -> list[Problem]:
    return [mini.problem(task) for task in mini.sample_tasks("tune" if part else "train", count, seed)]


def _values(part: int, count: int, seed: int) -> list[Problem]:
    return [values.problem(task) for task in values.sample_tasks("tune" if part else "train", count, seed)]


def _branches(part: int, count: int, seed: int) -> list[Problem]:
    return [branches.problem(task) for task in branches.sample_tasks("tune" if part else "train", count, seed)]


FAMILIES: dict[str, Family] = {
    "branches": Family(_branches, BranchesDocuments, branches_tokenizer, (), BRANCHES_SHAPE),
    "mini": Family(_mini, MiniDocuments, build_tokenizer, mini.inputs_of),
    "values": Family(
        _values,
        ValuesDocuments,
        values_tokenizer,
        values.input_domain(),
        VALUES_SHAPE,
        lambda source, seed, names: FamilyBuilder("state", source, seed, names=names),
    ),
}
