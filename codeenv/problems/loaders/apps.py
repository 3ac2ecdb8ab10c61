"""APPS (arXiv 2105.09938) and TACO (arXiv 2312.14852): programs and functions from programming sites.

Neither says which tests are examples: public are the tests whose input and output the statement shows (the first if it shows
none), private are the others (the same if none is left). Rows without tests are left out. APPS is read from the Hub, from its
rows, or from the published folder (`0000/question.txt`, `input_output.json`, `solutions.json`).
"""

from __future__ import annotations

import re
from pathlib import Path

from codeenv.problems.loaders.fields import Row, decoded, text, texts, wrong
from codeenv.problems.loaders.io_pairs import entry_of, pairs_to_tests, python_source, shown_first
from codeenv.problems.loaders.tables import build
from codeenv.problems.mapped import checked_rows
from codeenv.problems.problem import Checker, Limits, Problem, ProblemError
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
    files = (f"{request.split}.jsonl",)  # the data set's own script reads these, and datasets runs no scripts
    return build(request, "apps", lambda row, _: _apps(row, solutions), check=check, files=files)


def load_taco(request: Request, check: bool = True, solutions: int = 3) -> ProblemSet:
    """Load a split of TACO; `solutions` is how many solutions each problem keeps."""
    return build(request, "taco", lambda row, index: _taco(row, index, solutions), check=check)


def _apps(row: Row, solutions: int) -> Problem | None:
    level = text(row, "difficulty", "")
    field = "problem_id" if "problem_id" in row else "id"
    number = row.get(field)
    if isinstance(number, bool) or not isinstance(number, (int, str)):
        raise ProblemError("field 'problem_id' is missing") if number is None else wrong(field, number, "a number or a text")
    return _problem(row, f"APPS/{number}", _APPS_LEVELS.get(level), (level,) if level else (), "apps", "MIT", Limits(), solutions)


def _taco(row: Row, index: int, solutions: int) -> Problem | None:
    level = text(row, "difficulty", "")
    seconds, megabytes = _number(row, "time_limit", 10.0), _number(row, "memory_limit", 1024.0)
    limits = Limits(min(max(0.01, seconds), 3600.0), min(max(16, int(megabytes)), 1 << 20))
    tags = tuple(_names(row, "tags"))
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
    pairs = decoded(row, "input_output", dict, "an object with inputs and outputs", {})
    if not pairs or not pairs.get("inputs", True):
        return None
    tests, function = pairs_to_tests(pairs, "input_output")
    question, starter = text(row, "question"), text(row, "starter_code", "")
    public, private = shown_first(tests, question)
    statement = question.strip()
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
        correct_solutions=tuple(python_source(source) for source in texts(row, "solutions", ())[:solutions]),
    )


def _number(row: Row, name: str, otherwise: float) -> float:
    """Return the first number in a text such as `2.0 seconds`; `otherwise` if there is none above 0."""
    value = row.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, (str, int, float))):
        raise wrong(name, value, "a text with a number")
    found = re.search(r"\d+(?:\.\d+)?", str(value or ""))
    return float(found[0]) if found and float(found[0]) > 0 else otherwise


def _names(row: Row, name: str) -> list[str]:
    """Return a list of texts, written as a list or as Python's text of one."""
    value = row.get(name)
    if isinstance(value, str):
        return re.findall(r"['\"]([^'\"]+)['\"]", value)
    return texts(row, name, ())


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
        "difficulty": decoded({"metadata.json": read("metadata.json")}, "metadata.json", dict, "an object", {}).get("difficulty"),
    }
