"""The table of cheats, read from `cheats.txt` beside this file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_HELPER = "helper: "


@dataclass(frozen=True)
class Cheat:
    """A program that solves nothing, and the naive grader (of `naive.GRADERS`) that pays it, or an empty text."""

    name: str
    pays: str
    source: str


def _read() -> list[Cheat]:
    sections = Path(__file__).with_name("cheats.txt").read_text(encoding="utf-8").split("==== ")[1:]
    helpers: dict[str, str] = {}
    cheats = []
    for section in sections:
        name, body = section.split("\n", 1)
        if name.startswith(_HELPER):
            helpers[name.removeprefix(_HELPER)] = body.strip("\n")
            continue
        pays, source = body.split("\n", 1)
        for helper, text in helpers.items():
            source = source.replace(f"#: {helper}\n", text + "\n")
        cheats.append(Cheat(name, pays.removeprefix("pays: ").removeprefix("-"), source.strip("\n") + "\n"))
    return cheats


CHEATS = _read()
