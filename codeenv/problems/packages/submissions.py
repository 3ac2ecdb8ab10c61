"""Known submissions of a package, and what is expected of them: by their folder, and by `submissions/submissions.yaml`.

An expectation is a set of rules. A rule names cases (all, or those whose name matches a pattern), the verdicts that each of
them may have, and those of which at least one must occur. Verdicts are AC, WA, TLE and RTE.
"""

from __future__ import annotations

import fnmatch
import itertools
import re
import reprlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from codeenv.problems.languages import LANGUAGES, language_of_file
from codeenv.problems.packages.bundle import bundled
from codeenv.problems.packages.files import PackageFiles
from codeenv.problems.packages.metadata import read_yaml
from codeenv.problems.problem import ProblemError

__all__ = ["Rule", "Submission", "read_submissions"]

_ALL = frozenset(("AC", "WA", "TLE", "RTE"))
_FOLDERS: dict[str, Any] = {
    "accepted": {"permitted": ["AC"]},
    "rejected": {"required": ["WA", "TLE", "RTE"]},
    "wrong_answer": {"permitted": ["AC", "WA"], "required": ["WA"]},
    "time_limit_exceeded": {"permitted": ["AC", "TLE"], "required": ["TLE"]},
    "run_time_error": {"permitted": ["AC", "RTE"], "required": ["RTE"]},
    "brute_force": {"permitted": ["AC", "RTE", "TLE"], "required": ["RTE", "TLE"]},
}
_FILE = "submissions/submissions.yaml"


@dataclass(frozen=True, slots=True)
class Rule:
    """Verdicts that cases may have, and of which one must occur among them."""

    cases: str
    permitted: frozenset[str]
    required: frozenset[str]

    def holds(self, verdicts: Mapping[str, str]) -> bool:
        """Whether verdicts by the names of cases obey the rule.

        >>> Rule("", frozenset(("AC", "WA")), frozenset(("WA",))).holds({"sample/1": "AC", "secret/1": "WA"})
        True
        """
        chosen = [verdict for name, verdict in verdicts.items() if not self.cases or _matches(name, self.cases)]
        if not chosen:
            return True
        return self.permitted.issuperset(chosen) and (not self.required or bool(self.required.intersection(chosen)))


@dataclass(frozen=True, slots=True)
class Submission:
    """A known submission, as one source.

    Attributes:
        name: its path below `submissions`: a file, or a folder of files that were made one.
        source: its text.
        language: its language.
        rules: what is expected of it.
    """

    name: str
    source: str
    language: str
    rules: tuple[Rule, ...]

    @property
    def accepted(self) -> bool | None:
        """Whether it must pass every test or must fail one; `None` if neither is said."""
        whole = [rule for rule in self.rules if not rule.cases]
        if any(rule.permitted == {"AC"} for rule in whole):
            return True
        return False if any(rule.required and "AC" not in rule.required for rule in whole) else None

    def as_expected(self, verdicts: Mapping[str, str]) -> bool:
        """Whether the verdicts (AC, WA, TLE or RTE) by the names of cases are as expected."""
        return all(rule.holds(verdicts) for rule in self.rules)


def read_submissions(files: PackageFiles) -> tuple[tuple[Submission, ...], tuple[tuple[str, str], ...]]:
    """Return the submissions of which something is expected, and the others with the reason why they are left out.

    A submission is a file, or a folder of files that are made one (see `bundled`).

    Raises:
        ProblemError: for a malformed `submissions.yaml`.
    """
    stated = {**_FOLDERS, **(read_yaml(files, _FILE) if _FILE in files else {})}
    groups: dict[str, list[str]] = {}
    for name in files.under("submissions"):
        parts = PurePosixPath(name).relative_to("submissions").parts
        if len(parts) > 1 and not any(part.startswith(".") or part == "__pycache__" for part in parts):
            groups.setdefault("/".join(parts[:2]), []).append(name)
    found, left_out = [], []
    for path, names in groups.items():
        rules = tuple(
            rule
            for pattern, settings in stated.items()
            if any(_matches(path, one) or _matches(path.split("/")[0], one) for one in _expanded(str(pattern)))
            for rule in _rules(str(pattern), settings)
        )
        try:
            if not rules:
                raise ProblemError("nothing is expected of it")
            source, language = _source(files, path, names)
            found.append(_checked(Submission(path, source, language, rules)))
        except ProblemError as error:
            left_out.append((path, str(error)))
    return tuple(found), tuple(left_out)


def _checked(known: Submission) -> Submission:
    """Return a submission, unless it must be accepted and is in Python 2."""
    if known.language == "python" and known.accepted:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                compile(known.source, known.name, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ProblemError(f"it is not Python 3 ({getattr(error, 'msg', None) or error})") from None
    return known


def _source(files: PackageFiles, path: str, names: list[str]) -> tuple[str, str]:
    """Return the one source of a submission's files, and its language."""
    sources = {name: language.name for name in names if (language := language_of_file(name)) is not None}
    if not sources:
        suffix = PurePosixPath(names[0]).suffix or "no suffix"
        raise ProblemError(f"its files are in none of the languages {', '.join(LANGUAGES)} (such as {suffix})")
    if len(set(sources.values())) > 1:
        raise ProblemError(f"its files are in several languages ({', '.join(sorted(set(sources.values())))})")
    named = next(iter(sources.values()))
    root = f"submissions/{path}/"
    read = [name for name in names if name in sources or PurePosixPath(name).suffix in (".h", ".hpp", ".hh")]
    source = bundled({name.removeprefix(root): files.read_text(name) for name in read}, named)
    if not source.strip():
        raise ProblemError("it is empty")
    return source, named


def _rules(pattern: str, settings: Any) -> list[Rule]:
    if not isinstance(settings, Mapping):
        raise ProblemError(f"{_FILE}: {pattern!r} is {reprlib.repr(settings)}; it must hold fields with values")
    rules = []
    if "permitted" in settings or "required" in settings:
        rules.append(
            Rule("", _verdicts(pattern, settings, "permitted", _ALL), _verdicts(pattern, settings, "required", frozenset()))
        )
    for cases, inner in settings.items():
        if re.match(r"(sample|secret|\*)", str(cases)) and isinstance(inner, Mapping):
            permitted = _verdicts(pattern, inner, "permitted", _ALL)
            rules.append(Rule(str(cases), permitted, _verdicts(pattern, inner, "required", frozenset())))
    return rules


def _verdicts(pattern: str, settings: Mapping[Any, Any], name: str, default: frozenset[str]) -> frozenset[str]:
    value = settings.get(name)
    if value is None:
        return default
    if not isinstance(value, list) or not _ALL.issuperset(map(str, value)):
        raise ProblemError(f"{_FILE}: {pattern!r}: {name} is {reprlib.repr(value)}; use a list of {', '.join(sorted(_ALL))}")
    return frozenset(map(str, value))


def _matches(name: str, pattern: str) -> bool:
    """Whether a path, or a folder above it, matches a pattern in which `*` stays within a folder."""
    parts = name.split("/")
    return any(
        len(parts) >= len(wanted := one.split("/"))
        and all(fnmatch.fnmatchcase(part, shape) for part, shape in zip(parts, wanted, strict=False))
        for one in _expanded(pattern)
    )


def _expanded(pattern: str) -> Sequence[str]:
    """Return the patterns that braces stand for.

    >>> _expanded("a{b,c}d{,e}")
    ['abd', 'abde', 'acd', 'acde']
    """
    parts = re.split(r"\{([^{}]*)\}", pattern)
    choices = [part.split(",") if number % 2 else [part] for number, part in enumerate(parts)]
    return ["".join(choice) for choice in itertools.islice(itertools.product(*choices), 1000)]
