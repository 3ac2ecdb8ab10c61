"""What the values of settings may be: each check is a sentence with the value and what to use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from codeenv.errors import CodeenvError

__all__ = ["check_choice", "check_flag", "check_number", "check_whole"]


def check_whole(name: str, value: Any, least: int) -> None:
    """Make sure that a setting is a whole number of at least `least`.

    Raises:
        CodeenvError: it is not.
    """
    if type(value) is not int or value < least:
        raise CodeenvError(f"{name} is {value!r}; use a whole number of at least {least}")


def check_number(name: str, value: Any, low: float, high: float, *, below: bool = False, above: bool = False) -> None:
    """Make sure that a setting is a number from `low` to `high`; with `above` and `below` these two are not among them.

    Raises:
        CodeenvError: it is not.
    """
    known = type(value) in (int, float) and math.isfinite(value)
    if not known or value < low or value > high or (below and value == high) or (above and value == low):
        span = f"from {low:g} to {'below ' if below else ''}{high:g}"
        if above:
            span = f"between {low:g} and {high:g}" if below else f"above {low:g}, up to {high:g}"
        raise CodeenvError(f"{name} is {value!r}; use a number {span}")


def check_choice(name: str, value: Any, known: Sequence[str]) -> None:
    """Make sure that a setting is one of some names.

    Raises:
        CodeenvError: it is not.
    """
    if not isinstance(value, str) or value not in known:
        raise CodeenvError(f"{name} is {value!r}; use one of {', '.join(known)}")


def check_flag(name: str, value: Any) -> None:
    """Make sure that a setting is true or false.

    Raises:
        CodeenvError: it is neither.
    """
    if not isinstance(value, bool):
        raise CodeenvError(f"{name} is {value!r}; use true or false")
