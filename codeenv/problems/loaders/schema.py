"""Rows of our own schema: JSON Lines, or JSON with one problem or a list of them, packed with gzip or not.

Public and private tests are the fields `public_tests` and `private_tests` of a row; see `Problem.from_dict`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from codeenv.problems.jsonl import JsonlRows
from codeenv.problems.loaders.local import json_values
from codeenv.problems.mapped import MappedRows, checked_rows
from codeenv.problems.problem import Problem, ProblemError
from codeenv.problems.problem_set import ProblemSet
from codeenv.problems.registry import Request

__all__ = ["load_schema"]


def load_schema(request: Request, check: bool = True) -> ProblemSet:
    """Load problems of our schema.

    Args:
        request: with the path of the file.
        check: read every row once at the start, so that a bad row is found now; otherwise when it is asked for.
    """
    if request.path is None:
        raise ProblemError("the data set 'jsonl' needs a file; write jsonl:PATH or the path alone")
    path = request.path
    if path.is_dir():
        raise ProblemError(f"{str(path)!r} is a folder; name a .jsonl, .jsonl.gz or .json file in it")
    rows: Sequence[Any] = json_values(path) if ".json" in path.suffixes else JsonlRows(path)

    def where(index: int) -> str:
        return f"{path}, row {index + 1}"

    if not check:
        return ProblemSet(MappedRows(rows, _problem, where), name=str(path))
    problems, positions = checked_rows(rows, _problem, where, request.bad)
    return ProblemSet(problems, name=str(path), find=positions.get)


def _problem(row: Any, index: int) -> Problem:
    return Problem.from_dict(json.loads(row.decode("utf-8")) if isinstance(row, bytes) else row)
