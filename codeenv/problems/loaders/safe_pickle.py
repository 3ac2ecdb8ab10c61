"""Pickles that hold nothing but lists, dictionaries and texts; any other content is refused before it is made."""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import Any

from codeenv.problems.problem import ProblemError

__all__ = ["load_plain_pickle"]

_MAX_OPERATIONS = 5_000_000
_STORES = ("PUT", "BINPUT", "LONG_BINPUT")
_BROKEN = (
    pickle.UnpicklingError, EOFError, ValueError, LookupError, TypeError, AttributeError, OverflowError, MemoryError
)  # fmt: skip


def load_plain_pickle(data: bytes) -> Any:
    """Return the lists, dictionaries, tuples, texts and numbers in a pickle.

    Raises:
        ProblemError: if the pickle names a class or function, is broken, or asks for memory out of
            proportion. Nothing that it names is imported or run.

    >>> import pickle
    >>> load_plain_pickle(pickle.dumps(["a", {"b": 1}]))
    ['a', {'b': 1}]
    """
    try:
        _check_operations(data)
        return _Plain(io.BytesIO(data)).load()
    except _BROKEN as error:
        raise ProblemError(f"the pickle is refused: {error or 'it is truncated'}") from None


def _check_operations(data: bytes) -> None:
    """Refuse a pickle that stores at a place it cannot need: the unpickler allocates all places up to it."""
    for count, (operation, argument, _) in enumerate(pickletools.genops(data)):
        if operation.name in _STORES and isinstance(argument, int) and not 0 <= argument < len(data):
            raise pickle.UnpicklingError(f"it stores an object at place {argument} and is {len(data)} bytes long")
        if count >= _MAX_OPERATIONS:
            raise pickle.UnpicklingError(f"it has more than {_MAX_OPERATIONS} operations")


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it names {module}.{name}, and only lists, dictionaries and texts are accepted")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it has a persistent id, and only lists, dictionaries and texts are accepted")
