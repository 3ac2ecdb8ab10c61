"""Test data of a package: samples, secret cases, groups with their scores."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from codeenv.problems.groups import Group
from codeenv.problems.packages.files import PackageFiles
from codeenv.problems.packages.metadata import flag_list, read_yaml
from codeenv.problems.problem import ProblemError, StdioTest

__all__ = ["Case", "read_cases", "read_groups", "sample_cases"]

_GROUP_FILES = ("testdata.yaml", "test_group.yaml")


@dataclass(frozen=True, slots=True)
class Case:
    """A test case: its name without suffix, such as `data/secret/group1/01`, and its texts."""

    name: str
    test: StdioTest


def sample_cases(files: PackageFiles) -> list[Case]:
    """Return the samples: `data/sample`, else the sample texts beside the statement."""
    found = read_cases(files, "data/sample")
    if found:
        return found
    pairs = []
    for name in files.names:
        if re.search(r"_sample_ts\d+_input\.txt$", name):
            answer = name.replace("_input.txt", "_output.txt")
            if answer in files:
                pairs.append(Case(name.removesuffix("_input.txt"), StdioTest(files.read_text(name), files.read_text(answer))))
    return pairs


def read_cases(files: PackageFiles, folder: str) -> list[Case]:
    """Return the cases below a folder in the order of their names.

    Raises:
        ProblemError: if an input has no answer or an answer no input.
    """
    names = files.under(folder)
    inputs = [name.removesuffix(".in") for name in names if name.endswith(".in")]
    answers = {name.removesuffix(".ans") for name in names if name.endswith(".ans")}
    if parts := [name for name in names if re.search(r"\.(in|ans)\.part\d+$", name)]:
        raise ProblemError(f"{parts[0]} is a part of a divided file; join the parts")
    if missing := sorted(set(inputs) - answers):
        raise ProblemError(f"{missing[0]}.in has no {missing[0]}.ans")
    if missing := sorted(answers - set(inputs)):
        raise ProblemError(f"{missing[0]}.ans has no {missing[0]}.in")
    return [Case(name, StdioTest(files.read_text(name + ".in"), files.read_text(name + ".ans"))) for name in sorted(inputs)]


def read_groups(files: PackageFiles, cases: Sequence[Case]) -> tuple[Group, ...]:
    """Return the groups that hold the secret cases, each the folder of its cases."""
    folders: dict[str, list[int]] = {}
    for index, case in enumerate(cases):
        folders.setdefault(case.name.rpartition("/")[0], []).append(index)
    groups = []
    for folder, indices in folders.items():
        settings = _settings(files, folder)
        groups.append(Group(folder, _max_score(settings), _mode(settings), tuple(indices), flag_list(_validator_flags(settings))))
    return tuple(groups)


def _settings(files: PackageFiles, folder: str) -> dict[str, Any]:
    """Return the settings of a group: its own, over those of the folders above it for what is inherited."""
    settings: dict[str, Any] = {}
    parts = folder.split("/")
    for depth in range(1, len(parts) + 1):
        for name in _GROUP_FILES:
            path = "/".join([*parts[:depth], name])
            if path in files:
                own = read_yaml(files, path)
                inherited = {key: value for key, value in settings.items() if "validator" in key or key == "grading"}
                settings = {**inherited, **own}
    return settings


def _max_score(settings: dict[str, Any]) -> float:
    value = settings.get("max_score")
    if value is None and "range" in settings:
        value = str(settings["range"]).split()[-1]
    if value is None:
        value = settings.get("accept_score")
    try:
        return float(value) if value not in (None, "unbounded") else math.inf
    except (TypeError, ValueError):
        raise ProblemError(f"a test group's score is {reprlib.repr(value)}; it must be a number") from None


def _mode(settings: dict[str, Any]) -> str:
    aggregation = settings.get("score_aggregation")
    if aggregation in ("sum", "min"):
        return str(aggregation)
    if aggregation not in (None, "pass-fail"):
        raise ProblemError(f"a test group has the score_aggregation {reprlib.repr(aggregation)}; use sum, min or pass-fail")
    flags = str(settings.get("grader_flags") or "").split()
    return next((flag for flag in flags if flag in ("min", "sum", "first_error")), "min")


def _validator_flags(settings: dict[str, Any]) -> Any:
    for name in ("output_validator_args", "output_validator_flags"):
        if settings.get(name) is not None:
            value = settings[name]
            return next(iter(value.values()), None) if isinstance(value, dict) else value
    return None
