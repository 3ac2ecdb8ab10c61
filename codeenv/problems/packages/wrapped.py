"""A Python validator as a checker program, for judges with `FindError`, and where no program can be started as such.

The wrapped validator finds its input, answer and feedback files in memory. Where the sandbox can start programs of their own
(level `namespaces`) a validator that is no judge with `FindError` is run there as the format says, on real files.
"""

from __future__ import annotations

import json
from pathlib import PurePosixPath

from codeenv.problems.packages.importer import IMPORTER
from codeenv.problems.problem import Checker

__all__ = ["wrap_validator", "wrapped_checker"]


def wrapped_checker(checker: Checker) -> str:
    """Return the checker program for a Python validator."""
    modules = {name: text for name, text in checker.files if name.endswith((".py", ".py3"))}
    return wrap_validator(checker.program or "", modules, checker.flags)


def wrap_validator(main: str, modules: dict[str, str], flags: tuple[str, ...], python3: bool = True) -> str:
    """Return a checker program, `check(input, output, expected) -> bool`, around the Python files of a validator."""
    named = {PurePosixPath(name).with_suffix("").as_posix().replace("/", "."): source for name, source in modules.items()}
    names = json.dumps(named)
    return _WRAPPER.format(
        importer=IMPORTER, main=json.dumps(main), modules=names, flags=json.dumps(list(flags)), python3=python3
    )


_WRAPPER = '''"""A validator of a problem package as a checker program."""
import io
import builtins
import importlib.machinery
import operator
import re
import sys

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


{importer}
class Settings:
    """What a judge's `self` is: an object without settings of its own."""

    def __getattr__(self, name):
        return False


def ordered(kind):
    """Give a class with the comparison of Python 2 those of Python 3."""
    if "__cmp__" in vars(kind) and "__lt__" not in vars(kind):
        for name in ("lt", "le", "eq", "ne", "gt", "ge"):
            compare = getattr(operator, name)
            setattr(kind, "__%s__" % name, lambda self, other, _compare=compare: _compare(self.__cmp__(other), 0))
        kind.__hash__ = object.__hash__


def check(input, output, expected):
    sys.meta_path.insert(0, Modules())
    if "def FindError(" in MAIN:
        space = {{"__name__": "validator", **({{}} if PYTHON3 else python2_names())}}
        source = MAIN if PYTHON3 else re.sub(r"\\.iter(items|keys|values)\\(\\)", r".\\1()", MAIN)
        exec(compile(source, "validator.py", "exec"), space)
        for value in list(space.values()):
            if isinstance(value, type) and not PYTHON3:
                ordered(value)
        find = space.get("FindError")
        if find is None:
            owner = next(value for value in space.values() if hasattr(value, "FindError"))
            find = owner.FindError
            try:
                find = owner().FindError
            except TypeError:  # it is made with settings that are not known, or is no class
                pass
        settings = 0 if hasattr(find, "__self__") else find.__code__.co_argcount - 3
        return not find(*[Settings()] * settings, input, expected, output)
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
