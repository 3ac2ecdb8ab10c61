"""Small programs, each of which breaks some tracer, by name; most stand in `probe_programs.txt` beside this file."""

from __future__ import annotations

from pathlib import Path

ODD = {
    "syntax errors": "def f(:\n    pass\n",
    "a return outside of a function": "x = 1\nreturn x\n",
    "a null byte": "x = 1\x00\n",
    "an empty program": "",
    "only a comment": "# nothing\n",
    "only a docstring": '"""text"""',
}
"""Those that a text with sections cannot hold as they are."""


def _read() -> dict[str, str]:
    sections = Path(__file__).with_name("probe_programs.txt").read_text(encoding="utf-8").split("==== ")[1:]
    return {name: "\n" + program.removesuffix("\n") for name, program in (section.split("\n", 1) for section in sections)}


PROBES = {**_read(), **ODD}
