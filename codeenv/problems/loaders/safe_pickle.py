"""Pickles that hold nothing but lists, dictionaries and texts; any other content is refused before it is made."""

from __future__ import annotations

import io
import pickle
from typing import Any

from codeenv.problems.problem import ProblemError

__all__ = ["load_plain_pickle"]


def load_plain_pickle(data: bytes) -> Any:
    """Return the lists, dictionaries, tuples, texts and numbers in a pickle.

    Raises:
        ProblemError: if the pickle names a class or function, or is broken. Nothing that it names is imported or run.

    >>> import pickle
    >>> load_plain_pickle(pickle.dumps(["a", {"b": 1}]))
    ['a', {'b': 1}]
    """
    try:
        return _Plain(io.BytesIO(data)).load()
    except (pickle.UnpicklingError, EOFError, ValueError, IndexError, TypeError, AttributeError, MemoryError) as error:
        raise ProblemError(f"the pickle is refused: {error or 'it is truncated'}") from None


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it names {module}.{name}, and only lists, dictionaries and texts are accepted")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it has a persistent id, and only lists, dictionaries and texts are accepted")
