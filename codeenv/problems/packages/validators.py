"""Output validation of a package as a checker: flags of the default validator, or a program to run in the sandbox.

The default validator of the format compares tokens; letter case and spaces count only with a flag, numbers within a tolerance
only with one. A custom validator in Python is wrapped into a checker program: it finds its input, answer and feedback files in
memory and says 42 (accepted) or 43 (wrong). Judges that define `FindError(self, input, answer, attempt)`, as those of the Code
Jam archive, are called directly. Validators in other languages, interactors, and validators of several passes are compiled
and run as programs of their own (`codeenv.judge.validators`).
"""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath

from codeenv.problems.languages import LANGUAGES, language_of_file
from codeenv.problems.packages.files import PackageFiles
from codeenv.problems.packages.metadata import Metadata
from codeenv.problems.problem import Checker, ProblemError

__all__ = ["checker_from_flags", "checker_of", "wrap_validator"]

_FOLDERS = ("output_validators", "output_validator")
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
    programs = [name for folder in _FOLDERS for name in files.under(folder) if not name.rpartition("/")[2].startswith(".")]
    custom = metadata.custom_validation if metadata.format_version == "legacy" else bool(programs)
    several = "multi-pass" in metadata.kinds
    if not custom and not several and "interactive" not in metadata.kinds:
        return checker_from_flags(flags)
    if not programs:
        raise ProblemError("problem.yaml asks for a custom output validator, but the package has none")
    sources = {name: files.read_text(name) for name in programs if _is_text(name)}
    language = _language(programs)
    if language == "python" and not several and "interactive" not in metadata.kinds:
        return Checker(
            kind="program", program=wrap_validator({name: sources[name] for name in programs if name in sources}, flags)
        )
    if not all(any(re.search(rf"\b{status}\b", text) for text in sources.values()) for status in (42, 43)):
        raise ProblemError(
            f"its output validator {programs[0]} does not follow the package format: it never ends with status 42 and 43"
        )
    main = _main_program(sources, language)
    return Checker(
        kind="interactor" if "interactive" in metadata.kinds else "validator",
        program=sources[main],
        language=language,
        files=tuple((PurePosixPath(name).name, text) for name, text in sources.items() if name != main),
        flags=flags,
        passes=metadata.passes,
    )


def _is_text(name: str) -> bool:
    return language_of_file(name) is not None or PurePosixPath(name).suffix in (".h", ".hpp", ".hh")


def _language(programs: list[str]) -> str:
    """Return the language of a validator.

    Raises:
        ProblemError: if it has several or none that is known, several programs, or scripts of its own to build and run it.
    """
    scripts = [name for name in programs if PurePosixPath(name).name in ("build", "run")]
    if scripts:
        raise ProblemError(f"its output validator has a script {scripts[0]}; only sources in one language can be compiled here")
    folders = {PurePosixPath(name).parent for name in programs}
    found = {language.name for name in programs if (language := language_of_file(name)) is not None}
    if len(found) != 1 or len(folders) != 1:
        raise ProblemError(
            f"its output validator {programs[0]} is not one program in one of the languages {', '.join(LANGUAGES)}; "
            "only such validators can be run in the sandbox"
        )
    return found.pop()


def _main_program(sources: dict[str, str], language: str) -> str:
    own = {name: text for name, text in sources.items() if language_of_file(name) is not None}
    if len(own) == 1:
        return next(iter(own))
    if language == "python":
        return _main_file(own)
    marked = [name for name, text in own.items() if re.search(r"\bmain\s*\(", text)]
    if len(marked) != 1:
        raise ProblemError(f"its output validator has {len(own)} source files and it is unclear which one holds main")
    return marked[0]


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


def wrap_validator(sources: dict[str, str], flags: tuple[str, ...]) -> str:
    """Return a checker program, `check(input, output, expected) -> bool`, around the Python files of a validator.

    Raises:
        ProblemError: if none of the files, or more than one, can be the main program.
    """
    names = sorted(sources)
    main = names[0] if len(names) == 1 else _main_file(sources)
    modules = {PurePosixPath(name).stem: source for name, source in sources.items() if name != main}
    return _WRAPPER.format(
        main=json.dumps(sources[main]), modules=json.dumps(modules), flags=json.dumps(list(flags)), python3=main.endswith(".py3")
    )


def _main_file(sources: dict[str, str]) -> str:
    marked = [name for name, source in sources.items() if "__main__" in source or "sys.exit" in source]
    if len(marked) != 1:
        raise ProblemError(f"its output validator has {len(sources)} Python files and it is unclear which one is the program")
    return marked[0]


_WRAPPER = '''"""A validator of a problem package as a checker program."""
import io
import builtins
import sys
import types

MAIN = {main}
MODULES = {modules}
FLAGS = {flags}
PYTHON3 = {python3}


class Kept(io.StringIO):
    def close(self):
        pass


def python2_names():
    """Names that judges written for Python 2 use; lists where Python 3 gives iterators."""
    names = {{"xrange": range, "unicode": str, "long": int, "basestring": str, "raw_input": input}}
    for name in ("filter", "map", "zip"):
        names[name] = lambda *args, _made=getattr(builtins, name): list(_made(*args))
    names["range"] = lambda *args: list(range(*args))
    names["cmp"] = lambda left, right: (left > right) - (left < right)
    return names


def check(input, output, expected):
    for name, source in MODULES.items():
        module = types.ModuleType(name)
        sys.modules[name] = module
        exec(compile(source, name + ".py", "exec"), module.__dict__)
    if "def FindError(" in MAIN:
        space = {{"__name__": "validator", **({{}} if PYTHON3 else python2_names())}}
        exec(compile(MAIN, "validator.py", "exec"), space)
        find = space.get("FindError") or next(value.FindError for value in space.values() if hasattr(value, "FindError"))
        unused = (None,) * (find.__code__.co_argcount - 3)
        return not find(*unused, input, expected, output)
    texts = {{"input.in": input, "answer.ans": expected}}
    feedback = {{}}

    def open_in_memory(file, mode="r", *args, **kwargs):
        name = str(file)
        if name in texts and not set(mode) & set("wax+"):
            return io.BytesIO(texts[name].encode()) if "b" in mode else Kept(texts[name])
        if name.startswith("feedback"):
            made = io.BytesIO() if "b" in mode else Kept(feedback.get(name, "").getvalue() if name in feedback else "")
            feedback[name] = made
            return made
        raise FileNotFoundError(name)

    kept = builtins.open, io.open, sys.argv, sys.stdin, sys.stdout, sys.stderr
    try:
        builtins.open = io.open = open_in_memory
        sys.argv = ["validator.py", "input.in", "answer.ans", "feedback/", *FLAGS]
        sys.stdin = io.TextIOWrapper(io.BytesIO(output.encode()), "utf-8")
        sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
        exec(compile(MAIN, "validator.py", "exec"), {{"__name__": "__main__", "__file__": "validator.py"}})
        code = 0
    except SystemExit as stop:
        code = stop.code
    finally:
        builtins.open, io.open, sys.argv, sys.stdin, sys.stdout, sys.stderr = kept
    if code not in (42, 43):
        raise RuntimeError("the validator ended with status %r, not 42 or 43" % (code,))
    return code == 42
'''
