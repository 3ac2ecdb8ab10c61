"""Programs by language and fate, for a problem that asks for the sum of the numbers on standard input."""

from __future__ import annotations

from pathlib import Path


def sections(name: str) -> dict[str, str]:
    """Return the sections of a text file beside this one, by the words after `====`."""
    parts = Path(__file__).with_name(name).read_text().split("==== ")[1:]
    return {head: body for head, _, body in (part.partition("\n") for part in parts)}


PROGRAMS: dict[str, dict[str, str]] = {}
for _head, _source in sections("programs.txt").items():
    _language, _fate = _head.split()
    PROGRAMS.setdefault(_language, {})[_fate] = _source

CASES = [(language, fate) for language, programs in PROGRAMS.items() for fate in programs]
