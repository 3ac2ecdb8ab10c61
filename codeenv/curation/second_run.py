"""The second run of a reference: the same program with another state of chance.

The sandbox seeds `random` and string hashes the same way each time, so that verdicts repeat; a reference that depends on chance
shows only if the seed changes.
"""

from __future__ import annotations

__all__ = ["reseeded"]


def reseeded(source: str) -> str:
    """Return a program that seeds `random` differently and is otherwise the same.

    >>> reseeded("print(1)\\n").splitlines()[1]
    'print(1)'
    """
    if "__future__" in source:  # nothing may stand before such an import
        return source + "\n# the second run\n"
    return "import random; random.seed(987654321); del random\n" + source
