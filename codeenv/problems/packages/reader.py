"""A problem package as a problem: samples are public, secret data private, `submissions` right and wrong solutions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from codeenv.problems.groups import Group
from codeenv.problems.languages import LANGUAGES, language_of
from codeenv.problems.mapped import MappedRows, checked_rows
from codeenv.problems.packages.files import PackageFiles
from codeenv.problems.packages.metadata import Metadata, read_metadata
from codeenv.problems.packages.statement import find_statement
from codeenv.problems.packages.submissions import Submission, read_submissions
from codeenv.problems.packages.testdata import Case, read_cases, read_groups, sample_cases
from codeenv.problems.packages.validators import checker_of
from codeenv.problems.problem import Problem, ProblemError
from codeenv.problems.problem_set import ProblemSet
from codeenv.problems.registry import Request

__all__ = ["Package", "Submission", "find_packages", "load_packages", "read_package"]


@dataclass(frozen=True, slots=True)
class Package:
    """A package: its problem, its groups, its known submissions in all languages, its metadata.

    Attributes:
        left_out: submissions that are not among them, each with the reason.
        cases: names of the tests in `problem.tests("all")`, such as `sample/1` and `secret/group1/01`.
    """

    problem: Problem
    groups: tuple[Group, ...]
    submissions: tuple[Submission, ...]
    metadata: Metadata
    cases: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...] = ()


def load_packages(request: Request, check: bool = True, language: str = "python") -> ProblemSet:
    """Load a package (folder or zip), or all packages below a folder.

    Args:
        request: with the path.
        check: read every package once now, so that a bad one is found; otherwise when it is asked for.
        language: language of the submissions that the problems ask for.
    """
    known = language_of(language)
    if known is None:
        raise ProblemError(f"language is {language!r}; use one of {', '.join(LANGUAGES)}")
    if request.path is None:
        raise ProblemError("problem packages need a path; write package:PATH or the path alone")
    root = request.path
    found = find_packages(root)
    if not found:
        raise ProblemError(f"{str(root)!r} holds no problem package: no folder with problem.yaml and no zip")
    if request.limit is not None and not check:
        found = found[: request.limit]

    def convert(path: Path, _: int) -> Problem:
        return read_package(path, _name(path, root), known.name).problem

    def where(index: int) -> str:
        return f"package {found[index]}"

    if not check:
        return ProblemSet(MappedRows(found, convert, where), name=str(root))
    problems, positions = checked_rows(found, convert, where, request.bad)
    return ProblemSet(problems, name=str(root), find=positions.get)


def find_packages(root: Path) -> list[Path]:
    """Return the folders with problem.yaml and the zip files at or below a path, in order."""
    if root.is_file() or (root / "problem.yaml").is_file():
        return [root]
    folders = {file.parent for file in root.rglob("problem.yaml")}
    folders |= {file.parent for file in root.glob("*/problem.yaml")}  # also where the folder is a link
    zips = {file for kind in ("*.zip", "*.kpp") for file in root.rglob(kind)}
    return sorted(folders | {file for file in zips if not any(folder in file.parents for folder in folders)})


def read_package(path: Path, name: str | None = None, language: str = "python") -> Package:
    """Return a package, as a problem for submissions in a language.

    Raises:
        ProblemError: for a package that is broken, has no tests, or has a validator that cannot be run.
    """
    files = PackageFiles(path)
    metadata = read_metadata(files)
    samples, secret = sample_cases(files), read_cases(files, "data/secret")
    if not samples and not secret:
        raise ProblemError("it has no test cases: neither data/sample nor data/secret has an .in with an .ans")
    private = secret or samples
    groups = read_groups(files, private)
    flags = _validator_flags(metadata, groups)
    submissions, left_out = read_submissions(files)
    own = [known for known in submissions if known.language == language]
    statement = find_statement(files)
    problem = Problem(
        id=name or path.stem,
        statement=_with_samples(statement or metadata.name, samples),
        mode="stdio",
        public_tests=tuple(case.test for case in samples),
        private_tests=tuple(case.test for case in private),
        limits=metadata.limits,
        checker=checker_of(files, metadata, flags),
        tags=tuple(sorted(metadata.kinds)),
        source=metadata.source or "package",
        license=metadata.license,
        correct_solutions=tuple(known.source for known in own if known.accepted),
        incorrect_solutions=tuple(known.source for known in own if known.accepted is False),
        language=language,
        groups=groups if secret and any(math.isfinite(group.max_score) for group in groups) else (),
    )
    names = tuple(case.name.removeprefix("data/") for case in [*samples, *private])
    return Package(problem, groups, submissions, metadata, names, left_out)


def _validator_flags(metadata: Metadata, groups: Sequence[Group]) -> tuple[str, ...]:
    """Return the flags for the output validator: those of the package, then those of its test groups, which must agree."""
    first = groups[0] if groups else None
    for group in groups:
        if first is not None and group.flags != first.flags:
            ours, theirs = (" ".join(one.flags) or "none" for one in (first, group))
            raise ProblemError(
                f"its test groups {first.name!r} and {group.name!r} want different validator flags ({ours} and {theirs}), "
                "and one comparison is made for all tests; make a package of each"
            )
    own = first.flags if first is not None else ()
    return metadata.validator_flags if own == metadata.validator_flags else (*metadata.validator_flags, *own)


def _with_samples(statement: str, samples: Sequence[Case]) -> str:
    """Append the samples to the statement, unless it shows them already."""
    text = " ".join(statement.split())
    parts = [statement]
    for number, case in enumerate(samples, start=1):
        given = " ".join(case.test.input.split())
        shown = len(given) > 8 and given in text
        if not shown and len(case.test.input) + len(case.test.output) < 4000:
            parts.append(
                f"Sample input {number}:\n{case.test.input.rstrip()}\n\nSample output {number}:\n{case.test.output.rstrip()}"
            )
    return "\n\n".join(parts)


def _name(path: Path, root: Path) -> str:
    relative = path.relative_to(root) if path != root else Path(path.resolve().name)
    return (relative.with_suffix("") if path.suffix in (".zip", ".kpp") else relative).as_posix()
