"""Which problems a verb works on: a data set, file or package, and what is taken of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from codeenv.errors import CodeenvError
from codeenv.problems import ProblemSet, load

__all__ = ["ALL", "Choice", "Json"]

Json = Annotated[bool, tyro.conf.arg(name="json")]


@dataclass(frozen=True)
class Choice:
    """Which problems.

    Attributes:
        split: part of the data set; its first if not given.
        limit: at most this many problems.
        filter: conditions such as "difficulty<0.5 tag=dp".
        skip_bad: write bad rows with their reasons to this file and go on.
        options: the data set's own options as NAME=VALUE, such as seed=3.
    """

    split: str | None = None
    limit: int | None = None
    filter: str | None = None
    skip_bad: str | None = None
    options: tuple[str, ...] = ()

    def load(self, path: str) -> ProblemSet:
        """Return the chosen problems of a data set, file or package."""
        named = dict(_option(text) for text in self.options)
        return load(path, split=self.split, limit=self.limit, filter=self.filter, skip_bad=self.skip_bad, **named)


_CONSTANTS = {"True": True, "False": False, "None": None}
"""Values as Python writes them; other values are read as JSON, and as texts if they are none."""


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise CodeenvError(f"the option {text!r} has no value; write NAME=VALUE")
    if value in _CONSTANTS:
        return name, _CONSTANTS[value]
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


ALL = Choice()
"""Every problem of the first part."""
