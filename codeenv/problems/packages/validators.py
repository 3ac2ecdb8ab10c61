"""Output validation of a package as a checker: flags of the default validator, or a program to run in the sandbox.

The default validator of the format compares tokens; letter case and spaces count only with a flag, numbers within a tolerance
only with one. Validators and interactors are run as programs of their own (`codeenv.judge.validators`). Judges in Python that
define `FindError(self, input, answer, attempt)`, as those of the Code Jam archive, are wrapped into checker programs.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import PurePosixPath

from codeenv.problems.languages import LANGUAGES, language_of_file
from codeenv.problems.packages.files import PackageFiles
from codeenv.problems.packages.metadata import Metadata
from codeenv.problems.packages.wrapped import wrap_validator
from codeenv.problems.problem import Checker, ProblemError

__all__ = ["checker_from_flags", "checker_of"]

_FOLDERS = ("output_validators", "output_validator")
_DATA = (".txt", ".json", ".csv", ".in", ".ans", ".dat")
_TOLERANCES = {
    "float_tolerance": ("absolute", "relative"),
    "float_absolute_tolerance": ("absolute",),
    "float_relative_tolerance": ("relative",),
}


def checker_of(files: PackageFiles, metadata: Metadata, flags: tuple[str, ...]) -> Checker:
    """Return the checker of a package.

    Raises:
        ProblemError: for a validator that is not one program in a known language, or does not follow the format.
    """
    programs = [name for folder in _FOLDERS for name in files.under(folder) if not _hidden(name)]
    custom = metadata.custom_validation if metadata.format_version == "legacy" else bool(programs)
    talks, several = "interactive" in metadata.kinds, "multi-pass" in metadata.kinds
    if not custom and not several and not talks:
        return checker_from_flags(flags)
    if not programs:
        raise ProblemError("problem.yaml asks for a custom output validator, but the package has none")
    language = _language(programs)
    root = _root(programs)
    sources = {name.removeprefix(root): files.read_text(name) for name in programs if _is_read(name, language)}
    main = _main_program(sources, language)
    modules = {name: text for name, text in sources.items() if name != main}
    if "def FindError(" in sources[main] and not several and not talks:
        return Checker(kind="program", program=wrap_validator(sources[main], modules, flags, main.endswith(".py3")))
    says_both = all(any(re.search(rf"\b{status}\b", text) for text in sources.values()) for status in (42, 43))
    if not says_both and (language != "python" or talks or several):
        raise ProblemError(
            f"its output validator {programs[0]} does not follow the package format: it never ends with status 42 and 43"
        )
    return Checker(
        kind="interactor" if talks else "validator",
        program=sources[main],
        language=language,
        files=tuple(modules.items()),
        flags=flags,
        passes=metadata.passes,
    )


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in name.split("/"))


def _is_read(name: str, language: str) -> bool:
    """Whether a file is a source, a header, or data that a program in Python may open."""
    suffix = PurePosixPath(name).suffix
    return language_of_file(name) is not None or suffix in (".h", ".hpp", ".hh") or (language == "python" and suffix in _DATA)


def _language(programs: list[str]) -> str:
    """Return the language of a validator.

    Raises:
        ProblemError: if it has several or none that is known, or scripts of its own to build and run it.
    """
    scripts = [name for name in programs if PurePosixPath(name).name in ("build", "run")]
    if scripts:
        raise ProblemError(f"its output validator has a script {scripts[0]}; only sources in one language can be compiled here")
    found = {language.name for name in programs if (language := language_of_file(name)) is not None}
    if len(found) != 1:
        raise ProblemError(
            f"its output validator {programs[0]} is not one program in one of the languages {', '.join(LANGUAGES)}; "
            "only such validators can be run in the sandbox"
        )
    return found.pop()


def _root(programs: list[str]) -> str:
    """Return the folder of the one validator: the innermost one that holds all its files.

    Raises:
        ProblemError: if there are several programs.
    """
    inner = {name.split("/")[1] for name in programs if name.count("/") > 1}
    if programs[0].startswith("output_validators/") and (
        len(inner) > 1 or (inner and any(name.count("/") == 1 for name in programs))
    ):
        raise ProblemError(f"its folder output_validators holds several programs, such as {programs[0]} and {programs[-1]}")
    return posixpath.commonpath([posixpath.dirname(name) for name in programs]) + "/"


def _main_program(sources: dict[str, str], language: str) -> str:
    own = {name: text for name, text in sources.items() if (found := language_of_file(name)) and found.name == language}
    if len(own) == 1:
        return next(iter(own))
    top = {name: text for name, text in own.items() if "/" not in name} or own
    pattern = r"\bmain\s*\(" if language != "python" else r"__main__|\bsys\.exit\b"
    marked = [name for name, text in top.items() if re.search(pattern, text)]
    named = [name for name in marked if language == "python" and PurePosixPath(name).stem in ("main", "__main__")]
    if len(named or marked) != 1:
        raise ProblemError(f"its output validator has {len(own)} source files and it is unclear which one is the program")
    return (named or marked)[0]


def checker_from_flags(flags: tuple[str, ...]) -> Checker:
    """Return the checker that the flags of the default validator ask for.

    >>> checker = checker_from_flags(("float_tolerance", "1e-6", "case_sensitive"))
    >>> checker.kind, checker.absolute, checker.relative, checker.case_sensitive
    ('float', 1e-06, 1e-06, True)
    """
    values = {"absolute": 0.0, "relative": 0.0}
    case_sensitive = space_sensitive = False
    index = 0
    while index < len(flags):
        flag = flags[index].lstrip("-")
        if flag in _TOLERANCES:
            try:
                number = float(flags[index + 1])
            except (IndexError, ValueError):
                raise ProblemError(f"the validator flag {flag!r} needs a number") from None
            for name in _TOLERANCES[flag]:
                values[name] = number
            index += 1
        elif flag == "case_sensitive":
            case_sensitive = True
        elif flag == "space_change_sensitive":
            space_sensitive = True
        else:
            raise ProblemError(f"the validator flag {flags[index]!r} is unknown")
        index += 1
    if space_sensitive:
        return Checker(kind="exact", absolute=0.0, case_sensitive=True)
    kind = "float" if values["absolute"] or values["relative"] else "tokens"
    return Checker(kind, values["absolute"], values["relative"], case_sensitive)  # type: ignore[arg-type]
