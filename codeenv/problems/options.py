"""The options of a data set, checked once against its loader's parameters, before any row is read."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from codeenv.problems.problem import ProblemError

__all__ = ["check_options"]


def check_options(data_set: str, loader: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Refuse options that the loader does not have, and values of another type than its annotations say.

    Whole numbers are at least 0; the loader itself knows what else a value must be.

    Raises:
        ProblemError: with the option, its value and what to use.
    """
    parameters = {name: one for name, one in inspect.signature(loader).parameters.items() if name != "request"}
    if unknown := sorted(set(options) - set(parameters)):
        allowed = f"its options are {', '.join(parameters)}" if parameters else "it has none"
        raise ProblemError(f"{data_set!r} has no option {unknown[0]!r}; {allowed}")
    for name, value in options.items():
        kinds = [kind.strip() for kind in str(parameters[name].annotation).split("|")]
        if not any(_CHECKS[kind][0](value) for kind in kinds if kind in _CHECKS) and all(kind in _CHECKS for kind in kinds):
            wanted = " or ".join(_CHECKS[kind][1] for kind in kinds if _CHECKS[kind][1])
            such = "" if parameters[name].default is None else f", such as {parameters[name].default!r}"
            raise ProblemError(f"{name} is {reprlib.repr(value)}; use {wanted}{such}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and 0 <= int(value) < 1 << 63


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


_CHECKS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "bool": (lambda value: isinstance(value, bool), "True or False"),
    "int": (_is_whole, "a whole number of at least 0"),
    "float": (lambda value: isinstance(value, Real) and not isinstance(value, bool), "a number"),
    "str": (_is_text, "a text"),
    "None": (lambda value: value is None, ""),
    "Sequence[str]": (lambda value: _is_list(value) and all(map(_is_text, value)), "a list of texts"),
    "Sequence[int]": (lambda value: _is_list(value) and all(map(_is_whole, value)), "a list of whole numbers"),
}
"""An annotation of a loader's parameter to its test and its words."""
