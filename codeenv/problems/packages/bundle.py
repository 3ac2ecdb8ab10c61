"""Several source files of one submission as one source, since a submission is one text here.

C and C++: files that are included stand in place of their `#include`, other files before the one that holds `main`. Python: the
other files become modules that the main one imports. Java: the classes of all files in one, with their imports at the top.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from codeenv.problems.packages.importer import IMPORTER
from codeenv.problems.problem import ProblemError

__all__ = ["bundled"]

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)".*$', re.M)
_PUBLIC = re.compile(r"^(\s*)public\s+(?=(?:final\s+|abstract\s+)*(?:class|interface|enum|record)\b)", re.M)
_HEADERS = (".h", ".hpp", ".hh")


def bundled(files: Mapping[str, str], language: str) -> str:
    """Return one source for the files of a submission (names relative to its folder).

    Raises:
        ProblemError: if it is unclear how, with the reason.

    >>> print(bundled({"main.c": '#include "a.h"\\nint main() { return f(); }', "a.h": "int f() { return 0; }"}, "c"))
    int f() { return 0; }
    int main() { return f(); }
    """
    sources = {name: text for name, text in files.items() if not name.endswith(_HEADERS)}
    if len(sources) == 1 and not _INCLUDE.search(next(iter(sources.values()))):
        return next(iter(sources.values()))
    if language in ("c", "cpp"):
        return _of_c(files, sources)
    if language == "python":
        return _of_python(sources)
    if language == "java":
        return _of_java(sources)
    raise ProblemError(f"it has {len(sources)} source files, which cannot be made one in this language")


def _of_c(files: Mapping[str, str], sources: Mapping[str, str]) -> str:
    main = _only(name for name, text in sources.items() if re.search(r"\bmain\s*\(", text))
    seen: set[str] = set()
    included = {name for text in files.values() for name in _INCLUDE.findall(text)}
    order = [*sorted(name for name in sources if name != main and name not in included), main]
    return "\n".join(_expanded(name, files, seen) for name in order)


def _expanded(name: str, files: Mapping[str, str], seen: set[str]) -> str:
    """Return a file with its own includes in their places, each once; others stay for the compiler to find."""
    seen.add(name)

    def replace(match: re.Match[str]) -> str:
        wanted = str(PurePosixPath(name).parent / match[1])
        wanted = wanted if wanted in files else match[1]
        if wanted not in files:
            return match[0]
        return "" if wanted in seen else _expanded(wanted, files, seen)

    return re.sub(r"^[ \t]*#[ \t]*pragma[ \t]+once[ \t]*$", "", _INCLUDE.sub(replace, files[name]), flags=re.M)


def _of_python(sources: Mapping[str, str]) -> str:
    named = [name for name in sources if name in ("main.py", "__main__.py")]
    imported = {word for text in sources.values() for word in re.findall(r"^\s*(?:from|import)\s+([\w.]+)", text, re.M)}
    main = _only(named or (name for name in sources if PurePosixPath(name).stem not in imported))
    modules = {
        PurePosixPath(name).with_suffix("").as_posix().replace("/", "."): text for name, text in sources.items() if name != main
    }
    return _PYTHON.format(importer=IMPORTER, modules=json.dumps(modules), main=json.dumps(sources[main]))


def _of_java(sources: Mapping[str, str]) -> str:
    if package := next((name for name, text in sources.items() if re.search(r"^\s*package\s", text, re.M)), ""):
        raise ProblemError(f"its file {package} is in a Java package, and files of packages cannot be made one")
    main = _only(name for name, text in sources.items() if re.search(r"\bvoid\s+main\s*\(", text))
    imports: dict[str, None] = {}
    bodies = []
    for name in [main, *sorted(set(sources) - {main})]:
        imports.update(dict.fromkeys(line.strip() for line in re.findall(r"^\s*import\s[^;]+;", sources[name], re.M)))
        body = re.sub(r"^\s*import\s[^;]+;", "", sources[name], flags=re.M)
        if name != main:
            body = _PUBLIC.sub(r"\1", body)
        bodies.append(body)
    return "\n".join([*imports, *bodies])


def _only(names: Iterable[str]) -> str:
    found = list(names)
    if len(found) != 1:
        raise ProblemError(f"it has several source files, and it is unclear which one starts ({', '.join(found) or 'none'})")
    return found[0]


_PYTHON = """import importlib.machinery
import sys

MODULES = {modules}


{importer}
sys.meta_path.insert(0, Modules())
exec(compile({main}, "main.py", "exec"), {{"__name__": "__main__", "__builtins__": __builtins__}})
"""
