"""What is asked: a problem, its tests, its limits and the way its answers are compared.

Everything here is a frozen dataclass that is validated once, at the edge (`Problem.from_dict`); the code behind it trusts it.
"""

from __future__ import annotations

import ast
import keyword
import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias

from codeenv.errors import CodeenvError
from codeenv.problems.groups import Group
from codeenv.problems.languages import LANGUAGES, language_of
from codeenv.problems.plain import PlainDataError, from_json, to_json

__all__ = ["CallTest", "Checker", "CodeTest", "Limits", "Problem", "ProblemError", "StdioTest", "Test"]

Mode: TypeAlias = Literal["stdio", "call"]


class ProblemError(CodeenvError, ValueError):
    """A problem row is malformed. The message names the row, the field, its value and what is allowed."""


def _fault_of_code(code: str) -> str:
    """Say why test code can test nothing; empty if it can."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f" (line {error.lineno})" if isinstance(error, SyntaxError) and error.lineno else ""
        return f"does not compile: {getattr(error, 'msg', None) or error}{line}"
    return "" if tree.body else "is empty; it would accept every program"


def _fault_of_text(text: Any, errors: str = "strict") -> str:
    """Say why a text cannot be written as UTF-8; empty if it can."""
    if not isinstance(text, str):
        return f"is {_short(text)}; it must be a text"
    if text.isascii():
        return ""
    try:
        text.encode("utf-8", errors)
    except UnicodeEncodeError as error:
        return f"has a lone surrogate (U+{ord(text[error.start]):04X}) at position {error.start}, which is not a character"
    return ""


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return (_is_int(value) or isinstance(value, float)) and math.isfinite(value)


@dataclass(frozen=True, slots=True)
class StdioTest:
    """A test that feeds `input` to standard input and compares standard output with `output`.

    U+DC80 to U+DCFF stand for bytes that are not UTF-8, as in Python's `surrogateescape`.
    """

    input: str
    output: str

    def to_dict(self) -> dict[str, Any]:
        return {"input": self.input, "output": self.output}


@dataclass(frozen=True, slots=True)
class CallTest:
    """A test that calls the entry point with plain data and compares the returned value with `expected`."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    expected: Any = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "args": [to_json(arg) for arg in self.args],
            "kwargs": {name: to_json(value) for name, value in self.kwargs.items()},
            "expected": to_json(self.expected),
        }


@dataclass(frozen=True, slots=True)
class CodeTest:
    """A test in trusted code, such as HumanEval's `check(candidate)`, assert lines, or `unittest` classes.

    The code runs in a process of its own and reaches the submission through a proxy.
    """

    code: str

    def to_dict(self) -> dict[str, Any]:
        return {"code": self.code}


Test: TypeAlias = StdioTest | CallTest | CodeTest


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one test. The defaults are RLEF's (arXiv 2410.02089, section 3.1): 10 s and 1 GB a test.

    Attributes:
        time_limit_s: CPU seconds of one test; wall time is only a backstop.
        memory_mb: address space in MiB.
        output_kb: KiB kept of standard output, and of standard error; more is an output-limit verdict.
    """

    time_limit_s: float = 10.0
    memory_mb: int = 1024
    output_kb: int = 16384

    def __post_init__(self) -> None:
        if not _is_number(self.time_limit_s) or not 0.01 <= self.time_limit_s <= 3600:
            raise ProblemError(f"time_limit_s is {self.time_limit_s!r}; use seconds between 0.01 and 3600")
        if not _is_int(self.memory_mb) or not 16 <= self.memory_mb <= 1 << 20:
            raise ProblemError(f"memory_mb is {self.memory_mb!r}; use a whole number of MiB between 16 and 1048576")
        if not _is_int(self.output_kb) or not 1 <= self.output_kb <= 1 << 20:
            raise ProblemError(f"output_kb is {self.output_kb!r}; use a whole number of KiB between 1 and 1048576")


_PROGRAMS = ("program", "validator", "interactor")


def _texts(name: str, values: Any) -> tuple[str, ...]:
    if not isinstance(values, (list, tuple)) or not all(isinstance(value, str) for value in values):
        raise ProblemError(f"checker {name} is {_short(values)}; use a list of texts")
    return tuple(values)


@dataclass(frozen=True, slots=True)
class Checker:
    """How an answer is compared with the expected one.

    Attributes:
        kind: `tokens` compares whitespace-separated tokens, ignoring case, numbers within `absolute` (the rule of the
            CodeContests executor that RLEF uses); `exact` compares text or values as they are; `float` compares tokens,
            numbers within `absolute` or `relative`; `unordered_lines` compares lines as a multiset; `program` asks the
            custom checker in `program`; `validator` runs the output validator of a contest package on each output;
            `interactor` is a program that talks with the submission over pipes and judges it.
        absolute: absolute tolerance between numbers.
        relative: relative tolerance between numbers.
        case_sensitive: whether letter case counts in token comparison.
        program: source of a custom checker, validator or interactor, run in the sandbox; only for these kinds.
        language: language of a validator or interactor; a checker of kind `program` is in Python.
        files: (name, text) of its other source files.
        flags: its arguments after the input, the answer and the feedback folder.
        passes: how often a validator may ask for another run of the submission, on an input that it writes.
        numbers_alike: whether `1`, `1.0` and `True` are equal as returned values, as they are for Python's `==` and so for data
            sets whose tests are assert statements.

    Returned values (call tests) are compared by type and value; floats within the tolerance, except for kind `exact`.
    """

    kind: Literal["tokens", "exact", "float", "unordered_lines", "program", "validator", "interactor"] = "tokens"
    absolute: float = 1e-5
    relative: float = 0.0
    case_sensitive: bool = False
    program: str | None = None
    numbers_alike: bool = False
    language: str = "python"
    files: tuple[tuple[str, str], ...] = ()
    flags: tuple[str, ...] = ()
    passes: int = 1

    def __post_init__(self) -> None:
        kinds = ("tokens", "exact", "float", "unordered_lines", *_PROGRAMS)
        if self.kind not in kinds:
            raise ProblemError(f"checker kind is {self.kind!r}; use one of {', '.join(kinds)}")
        for name in ("absolute", "relative"):
            value = getattr(self, name)
            if not _is_number(value) or value < 0:
                raise ProblemError(f"checker {name} tolerance is {value!r}; use a number >= 0")
        for name in ("case_sensitive", "numbers_alike"):
            if not isinstance(getattr(self, name), bool):
                raise ProblemError(f"checker {name} is {getattr(self, name)!r}; use true or false")
        if (self.kind in _PROGRAMS) != isinstance(self.program, str):
            raise ProblemError(f"checker kinds {', '.join(_PROGRAMS)} need a source in 'program', and only they have one")
        if language_of(str(self.language)) is None:
            raise ProblemError(f"checker language is {self.language!r}; use one of {', '.join(LANGUAGES)}")
        object.__setattr__(self, "flags", _texts("flags", self.flags))
        object.__setattr__(self, "files", tuple(_texts("files", pair) for pair in self.files))
        if any(len(pair) != 2 for pair in self.files):
            raise ProblemError("checker files must be pairs of a name and a text")
        for name, _ in self.files:
            if not all(re.fullmatch(r"[\w+-][\w.+-]*", part) for part in name.split("/")):
                raise ProblemError(f"checker files: the name {name!r} must be letters, digits, dots, dashes, and / for folders")
        if any("\n" in flag for flag in self.flags):
            raise ProblemError("checker flags must not hold line ends")
        if not _is_int(self.passes) or not 1 <= self.passes <= 100:
            raise ProblemError(f"checker passes is {self.passes!r}; use a whole number between 1 and 100")


@dataclass(frozen=True, slots=True)
class Problem:
    """A programming problem with public tests (shown as feedback) and private tests (decide the reward).

    Attributes:
        id: unique name, such as `HumanEval/0`.
        statement: the text that the agent reads.
        mode: `stdio` (the submission is a program) or `call` (it defines `entry_point`).
        entry_point: the function, class or `Class().method` that tests call; `None` in stdio mode.
        starter_code: code that the statement gives and that test code may rely on (helpers, imports).
        public_tests: tests whose failures are shown to the agent and that end the episode when they all pass.
        private_tests: tests that decide the reward; never shown.
        limits: resources of each test.
        checker: comparison rule.
        difficulty: 0.0 (easiest) to 1.0, or `None` if unknown.
        tags, source, license: provenance.
        correct_solutions: known right programs.
        incorrect_solutions: known wrong programs.
        groups: groups of private tests with their scores, for partial points; the verdict does not depend on them.
        language: language of submissions, a name of `codeenv.problems.languages`; other than Python in stdio mode only.
    """

    id: str
    statement: str
    mode: Mode
    entry_point: str | None = None
    starter_code: str = ""
    public_tests: tuple[Test, ...] = ()
    private_tests: tuple[Test, ...] = ()
    limits: Limits = Limits()
    checker: Checker = Checker()
    difficulty: float | None = None
    tags: tuple[str, ...] = ()
    source: str = ""
    license: str = ""
    correct_solutions: tuple[str, ...] = ()
    incorrect_solutions: tuple[str, ...] = ()
    language: str = "python"
    groups: tuple[Group, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not self.id:
            raise ProblemError(f"problem id is {self.id!r}; use a non-empty text")
        if self.mode not in ("stdio", "call"):
            raise ProblemError(f"problem {self.id!r}: mode is {self.mode!r}; use 'stdio' or 'call'")
        if self.mode == "call" and not self.entry_point:
            raise ProblemError(f"problem {self.id!r}: mode 'call' needs an entry_point, the function that tests call")
        if self.entry_point and not all(_is_name(part.removesuffix("()")) for part in self.entry_point.split(".")):
            raise ProblemError(
                f"problem {self.id!r}: entry_point is {self.entry_point!r}; use a name such as f, Solution or Solution().f"
            )
        language = language_of(self.language) if isinstance(self.language, str) else None
        if language is None:
            raise ProblemError(f"problem {self.id!r}: language is {self.language!r}; use one of {', '.join(LANGUAGES)}")
        object.__setattr__(self, "language", language.name)
        if self.language != "python" and self.mode != "stdio":
            raise ProblemError(
                f"problem {self.id!r}: mode is {self.mode!r}, language {self.language!r}; call tests are for Python only"
            )
        if not self.public_tests and not self.private_tests:
            raise ProblemError(f"problem {self.id!r}: it has no tests; give public_tests or private_tests")
        for name in ("statement", "starter_code"):
            if fault := _fault_of_text(getattr(self, name)):
                raise ProblemError(f"problem {self.id!r}: {name} {fault}")
        allowed = (StdioTest,) if self.mode == "stdio" else (CallTest, CodeTest)
        for name in ("public_tests", "private_tests"):
            for index, test in enumerate(getattr(self, name)):
                if not isinstance(test, allowed):
                    raise ProblemError(
                        f"problem {self.id!r}: {name}[{index}] is a {type(test).__name__}, which mode {self.mode!r} cannot run"
                    )
                if isinstance(test, StdioTest):
                    for part in ("input", "output"):
                        if fault := _fault_of_text(getattr(test, part), "surrogateescape"):
                            raise ProblemError(f"problem {self.id!r}: {name}[{index}].{part} {fault}")
                if isinstance(test, CodeTest) and (fault := _fault_of_code(test.code)):
                    raise ProblemError(f"problem {self.id!r}: the code of {name}[{index}] {fault}")

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Problem:
        """Build a problem from a JSON row (the names are the fields; values in tests may use the tags of `plain`).

        Raises:
            ProblemError: with the row's id, the field and its value.
        """
        if not isinstance(row, Mapping):
            raise ProblemError(f"a problem row must be a JSON object, got {type(row).__name__}")
        where = f"problem {row.get('id', '<no id>')!r}"
        known = {item.name for item in fields(cls)}
        if unknown := sorted(set(map(str, row)) - known):
            raise ProblemError(f"{where}: unknown field {unknown[0]!r}; known fields are {', '.join(sorted(known))}")
        for name in ("id", "statement", "mode"):
            if name not in row:
                raise ProblemError(f"{where}: field {name!r} is missing")
        values: dict[str, Any] = dict(row)
        for name in ("id", "statement", "starter_code", "source", "license"):
            _require(where, name, values.get(name, ""), str)
        if values.get("entry_point") is not None:
            _require(where, "entry_point", values["entry_point"], str)
        for name in ("tags", "correct_solutions", "incorrect_solutions"):
            if name in values:
                items = values[name]
                _require(where, name, items, (list, tuple))
                for index, item in enumerate(items):
                    _require(where, f"{name}[{index}]", item, str)
                values[name] = tuple(items)
        difficulty = values.get("difficulty")
        if difficulty is not None and not _is_number(difficulty):
            raise ProblemError(f"{where}: field 'difficulty' is {difficulty!r}; use a number or null")
        for name in ("public_tests", "private_tests"):
            rows = values.get(name, ())
            _require(where, name, rows, (list, tuple))
            values[name] = tuple(_test_from_dict(f"{where}: {name}[{index}]", test) for index, test in enumerate(rows))
        groups = values.get("groups", ())
        _require(where, "groups", groups, (list, tuple))
        try:
            values["groups"] = tuple(Group.from_dict(group, len(values["private_tests"])) for group in groups)
        except ValueError as error:
            raise ProblemError(f"{where}: a group {error}") from None
        for name, kind in (("limits", Limits), ("checker", Checker)):
            if name in values:
                values[name] = _part_from_dict(where, name, kind, values[name])
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON row that `from_dict` reads back to an equal problem."""
        return {
            "id": self.id,
            "statement": self.statement,
            "mode": self.mode,
            "entry_point": self.entry_point,
            "starter_code": self.starter_code,
            "public_tests": [test.to_dict() for test in self.public_tests],
            "private_tests": [test.to_dict() for test in self.private_tests],
            "limits": _part_to_dict(self.limits),
            "checker": _part_to_dict(self.checker),
            "difficulty": self.difficulty,
            "tags": list(self.tags),
            "source": self.source,
            "license": self.license,
            "correct_solutions": list(self.correct_solutions),
            "incorrect_solutions": list(self.incorrect_solutions),
            **({"language": self.language} if self.language != "python" else {}),
            **({"groups": [group.to_dict() for group in self.groups]} if self.groups else {}),
        }

    def tests(self, which: Literal["public", "private", "all"]) -> tuple[Test, ...]:
        """Return the public, the private, or all tests (public first)."""
        if which == "public":
            return self.public_tests
        if which == "private":
            return self.private_tests
        if which == "all":
            return self.public_tests + self.private_tests
        raise ValueError(f"tests is {which!r}; use 'public', 'private' or 'all'")


def _require(where: str, name: str, value: Any, kind: type | tuple[type, ...]) -> None:
    if not isinstance(value, kind):
        wanted = "a list" if kind == (list, tuple) else "a text"
        raise ProblemError(f"{where}: field {name!r} is {_short(value)}; it must be {wanted}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _test_from_dict(where: str, row: Any) -> Test:
    if not isinstance(row, Mapping):
        raise ProblemError(f"{where} is {_short(row)}; it must be an object with input/output, args/expected, or code")
    names = set(row)
    if names == {"input", "output"}:
        for name in ("input", "output"):
            _require(where, name, row[name], str)
        return StdioTest(row["input"], row["output"])
    if names == {"code"}:
        _require(where, "code", row["code"], str)
        return CodeTest(row["code"])
    if "args" in names and "expected" in names and names <= {"args", "kwargs", "expected"}:
        _require(where, "args", row["args"], (list, tuple))
        kwargs = row.get("kwargs", {})
        if not isinstance(kwargs, Mapping) or not all(isinstance(name, str) for name in kwargs):
            raise ProblemError(f"{where}: field 'kwargs' is {_short(kwargs)}; it must be an object")
        try:
            return CallTest(
                tuple(from_json(arg) for arg in row["args"]),
                {name: from_json(value) for name, value in kwargs.items()},
                from_json(row["expected"]),
            )
        except PlainDataError as error:
            raise ProblemError(f"{where}: {error}") from None
    raise ProblemError(
        f"{where} has the fields {sorted(map(str, names))}; use input and output, args, kwargs and expected, or code"
    )


def _part_from_dict(where: str, name: str, kind: type, row: Any) -> Any:
    if isinstance(row, kind):
        return row
    if not isinstance(row, Mapping):
        raise ProblemError(f"{where}: field {name!r} is {_short(row)}; it must be an object")
    known = [item.name for item in fields(kind)]
    if unknown := sorted(set(map(str, row)) - set(known)):
        raise ProblemError(f"{where}: unknown field {name}.{unknown[0]}; known fields are {', '.join(known)}")
    try:
        return kind(**row)
    except ProblemError as error:
        raise ProblemError(f"{where}: {error}") from None


def _part_to_dict(part: Limits | Checker) -> dict[str, Any]:
    row = {item.name: getattr(part, item.name) for item in fields(part)}
    unset = {"language": "python", "files": (), "flags": (), "passes": 1}
    plain = {name: list(map(list, value)) if name == "files" else list(value) if name == "flags" else value
             for name, value in row.items()}  # fmt: skip
    return {name: value for name, value in plain.items() if name not in unset or row[name] != unset[name]}
