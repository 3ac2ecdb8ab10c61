"""APPS (arXiv 2105.09938) and TACO (arXiv 2312.14852): programs and functions from programming sites.

Neither says which tests are examples: public are the tests whose input and output the statement shows (the first if it shows
none), private are the others (the same if none is left). Rows without tests are left out. APPS is read from the Hub, from its
rows, or from the published folder (`0000/question.txt`, `input_output.json`, `solutions.json`).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from codeenv.problems.loaders.io_pairs import entry_of, pairs_to_tests, python_source, shown_first
from codeenv.problems.loaders.tables import Row, build, text_list
from codeenv.problems.mapped import checked_rows
from codeenv.problems.problem import Checker, Limits, Problem
from codeenv.problems.problem_set import ProblemSet
from codeenv.problems.registry import Request

__all__ = ["load_apps", "load_taco"]

_APPS_LEVELS = {"introductory": 0.2, "interview": 0.5, "competition": 0.8}
_TACO_LEVELS = {"EASY": 0.15, "MEDIUM": 0.35, "MEDIUM_HARD": 0.55, "HARD": 0.75, "VERY_HARD": 0.95}


def load_apps(request: Request, check: bool = True, solutions: int = 3) -> ProblemSet:
    """Load a split of APPS; `solutions` is how many solutions each problem keeps."""
    if request.path is not None and request.path.is_dir() and (folders := _problem_folders(request.path, request.split)):
        problems, positions = checked_rows(
            folders, lambda folder, _: _apps(_read_folder(folder), solutions), lambda index: str(folders[index]), request.bad
        )
        return ProblemSet(problems, name="apps", split=request.split, find=positions.get)
    return build(request, "apps", lambda row, _: _apps(row, solutions), check=check)


def load_taco(request: Request, check: bool = True, solutions: int = 3) -> ProblemSet:
    """Load a split of TACO; `solutions` is how many solutions each problem keeps."""
    return build(request, "taco", lambda row, index: _taco(row, index, solutions), check=check)


def _apps(row: Row, solutions: int) -> Problem | None:
    level = row.get("difficulty") or ""
    number = row["problem_id"] if "problem_id" in row else row["id"]
    return _problem(row, f"APPS/{number}", _APPS_LEVELS.get(level), (level,) if level else (), "apps", "MIT", Limits(), solutions)


def _taco(row: Row, index: int, solutions: int) -> Problem | None:
    level = row.get("difficulty") or ""
    limits = Limits(_number(row.get("time_limit"), 10.0), max(16, int(_number(row.get("memory_limit"), 1024.0))))
    tags = tuple(str(tag) for tag in _list(row.get("tags")))
    return _problem(row, f"TACO/{index}", _TACO_LEVELS.get(level), tags, "taco", "Apache-2.0", limits, solutions)


def _problem(
    row: Row,
    name: str,
    difficulty: float | None,
    tags: tuple[str, ...],
    source: str,
    license: str,
    limits: Limits,
    solutions: int,
) -> Problem | None:
    data = row.get("input_output") or ""
    pairs: Any = json.loads(data) if isinstance(data, str) and data.strip() else data
    if not pairs or not pairs["inputs"]:
        return None
    tests, function = pairs_to_tests(pairs)
    public, private = shown_first(tests, row["question"])
    starter = row.get("starter_code") or ""
    statement = row["question"].strip()
    if starter.strip():
        statement += f"\n\nUse this starter code:\n\n```python\n{starter.strip()}\n```"
    elif function:
        statement += f"\n\nWrite the function `{function}`."
    return Problem(
        id=name,
        statement=statement,
        mode="call" if function else "stdio",
        entry_point=entry_of(function, starter) if function else None,
        starter_code=starter,
        public_tests=public,
        private_tests=private,
        checker=Checker(numbers_alike=True),
        limits=limits,
        difficulty=difficulty,
        tags=tags,
        source=source,
        license=license,
        correct_solutions=tuple(python_source(text) for text in text_list(row.get("solutions"))[:solutions]),
    )


def _number(text: Any, otherwise: float) -> float:
    found = re.search(r"\d+(?:\.\d+)?", str(text or ""))
    return float(found[0]) if found and float(found[0]) > 0 else otherwise


def _list(value: Any) -> list[Any]:
    if isinstance(value, str):
        return re.findall(r"['\"]([^'\"]+)['\"]", value)
    return list(value or [])


def _problem_folders(path: Path, split: str) -> list[Path]:
    root = path / split if (path / split).is_dir() else path
    return sorted(folder for folder in root.iterdir() if (folder / "question.txt").exists())


def _read_folder(folder: Path) -> Row:
    def read(name: str) -> str:
        file = folder / name
        return file.read_text(encoding="utf-8") if file.exists() else ""

    return {
        "problem_id": folder.name,
        "question": read("question.txt"),
        "input_output": read("input_output.json"),
        "solutions": read("solutions.json"),
        "starter_code": read("starter_code.py"),
        "difficulty": json.loads(read("metadata.json") or "{}").get("difficulty", ""),
    }
