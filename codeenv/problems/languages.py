"""The languages of submissions, as names: what a problem's `language`, a fence's mark and a file's suffix mean.

How a language is compiled and run is `codeenv.sandbox.toolchains`; whether it can be, the machine decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

__all__ = ["LANGUAGES", "Language", "language_of", "language_of_file"]


@dataclass(frozen=True, slots=True)
class Language:
    """A language.

    Attributes:
        name: what problems say.
        title: what sentences say.
        aliases: other names of it in fences and files.
        suffixes: of its files.
        silent: a program that prints nothing.
    """

    name: str
    title: str
    aliases: tuple[str, ...]
    suffixes: tuple[str, ...]
    silent: str


LANGUAGES = {
    language.name: language
    for language in (
        Language("python", "Python", ("py", "python3", "py3"), (".py", ".py3"), "pass\n"),
        Language("c", "C", ("c99", "c11", "c17"), (".c",), "int main(void) { return 0; }\n"),
        Language(
            "cpp",
            "C++",
            ("c++", "cc", "cxx", "cpp11", "cpp14", "cpp17", "cpp20", "c++17", "c++20"),
            (".cpp", ".cc", ".cxx", ".c++"),
            "int main() {}\n",
        ),
        Language("go", "Go", ("golang",), (".go",), "package main\n\nfunc main() {}\n"),
        Language(
            "java",
            "Java",
            ("java17", "java21"),
            (".java",),
            "public class Main {\n    public static void main(String[] args) {}\n}\n",
        ),
        Language("javascript", "JavaScript", ("js", "node", "nodejs", "mjs", "cjs"), (".js", ".mjs", ".cjs"), ";\n"),
        Language("rust", "Rust", ("rs",), (".rs",), "fn main() {}\n"),
    )
}
"""By name. The first name is the canonical one."""

_BY_ALIAS = {alias: language for language in LANGUAGES.values() for alias in (language.name, *language.aliases)}
_BY_SUFFIX = {suffix: language for language in LANGUAGES.values() for suffix in language.suffixes}


def language_of(name: str) -> Language | None:
    """Return the language of a name or a fence's mark, in any case; `None` if there is none.

    >>> language_of("C++").name
    'cpp'
    """
    return _BY_ALIAS.get(name.lower())


def language_of_file(path: str) -> Language | None:
    """Return the language of a file by its suffix; `None` if it has none of them.

    >>> language_of_file("a/Main.java").name
    'java'
    """
    return _BY_SUFFIX.get(PurePath(path).suffix.lower())
