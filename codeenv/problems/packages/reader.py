"""A problem package as a problem: samples are public, secret data private, `submissions` right and wrong solutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from codeenv.problems.mapped import MappedRows, checked_rows
from codeenv.problems.packages.files import PackageFiles
from codeenv.problems.packages.metadata import Metadata, read_metadata
from codeenv.problems.packages.statement import find_statement
from codeenv.problems.packages.testdata import Case, Group, read_cases, read_groups, sample_cases
from codeenv.problems.packages.validators import checker_of
from codeenv.problems.problem import Problem, ProblemError
from codeenv.problems.problem_set import ProblemSet
from codeenv.problems.registry import Request

__all__ = ["Package", "Submission", "find_packages", "load_packages", "read_package"]

_ACCEPTED = ("accepted",)
_REJECTED = ("wrong_answer", "time_limit_exceeded", "run_time_error", "rejected")


@dataclass(frozen=True, slots=True)
class Submission:
    """A known Python submission of a package: its path below `submissions`, its text, and whether it should be accepted."""

    name: str
    source: str
    accepted: bool


@dataclass(frozen=True, slots=True)
class Package:
    """A package: its problem, its groups, its known submissions (Python ones only) and its metadata."""

    problem: Problem
    groups: tuple[Group, ...]
    submissions: tuple[Submission, ...]
    metadata: Metadata


def load_packages(request: Request, check: bool = True) -> ProblemSet:
    """Load a package (folder or zip), or all packages below a folder.

    Args:
        request: with the path.
        check: read every package once now, so that a bad one is found; otherwise when it is asked for.
    """
    if request.path is None:
        raise ProblemError("problem packages need a path; write package:PATH or the path alone")
    root = request.path
    found = find_packages(root)
    if not found:
        raise ProblemError(f"{str(root)!r} holds no problem package: no folder with problem.yaml and no zip")
    if request.limit is not None and not check:
        found = found[: request.limit]

    def convert(path: Path, _: int) -> Problem:
        return read_package(path, _name(path, root)).problem

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
    zips = {file for kind in ("*.zip", "*.kpp") for file in root.rglob(kind)}
    return sorted(folders | {file for file in zips if not any(folder in file.parents for folder in folders)})


def read_package(path: Path, name: str | None = None) -> Package:
    """Return a package.

    Raises:
        ProblemError: for a package that is broken, has no tests, is interactive or has several passes, or has a validator
            that is not in Python.
    """
    files = PackageFiles(path)
    metadata = read_metadata(files)
    for kind, reason in (("interactive", "is interactive"), ("multi-pass", "runs the submission in several passes")):
        if kind in metadata.kinds:
            raise ProblemError(f"the problem {reason}, which the judge cannot do")
    samples, secret = sample_cases(files), read_cases(files, "data/secret")
    if not samples and not secret:
        raise ProblemError("it has no test cases: neither data/sample nor data/secret has an .in with an .ans")
    private = secret or samples
    groups = read_groups(files, private)
    flags = metadata.validator_flags or next((group.flags for group in groups if group.flags), ())
    submissions = _submissions(files)
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
        correct_solutions=tuple(found.source for found in submissions if found.accepted),
        incorrect_solutions=tuple(found.source for found in submissions if not found.accepted),
    )
    return Package(problem, groups, submissions, metadata)


def _submissions(files: PackageFiles) -> tuple[Submission, ...]:
    """Return Python 3 submissions in the folders whose verdict the format fixes; a folder with several files is left out."""
    found = []
    for name in files.under("submissions"):
        parts = PurePosixPath(name).parts
        if len(parts) != 3 or PurePosixPath(name).suffix not in (".py", ".py3"):
            continue
        if parts[1] in _ACCEPTED + _REJECTED:
            source = files.read_text(name)
            if source.strip():
                found.append(Submission("/".join(parts[1:]), source, parts[1] in _ACCEPTED))
    return tuple(found)


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
