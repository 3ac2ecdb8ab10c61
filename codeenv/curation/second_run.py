"""The second run of a reference: the same program with another state of chance.

The sandbox seeds `random` and string hashes the same way each time, so that verdicts repeat; a reference that depends on chance
shows only if the seed changes.
"""

from __future__ import annotations

from codeenv.prediction.second_run import after_future_imports

__all__ = ["reseeded"]


def reseeded(source: str) -> str:
    """Return a program that seeds `random` differently and is otherwise the same.

    >>> reseeded("print(1)\\n").splitlines()[1]
    'print(1)'
    >>> reseeded("from __future__ import annotations\\nprint(1)\\n").splitlines()[::2]
    ['from __future__ import annotations', 'print(1)']
    """
    lines = source.split("\n")
    lines.insert(after_future_imports(source), "import random; random.seed(987654321); del random")
    return "\n".join(lines)
