"""Inputs for programs, derived from known inputs: the same layout, other numbers, words, lengths and lines.

A known input is read as lines of tokens. What ties it together is found by counting: a number that is the length of the next
line's list, of a following word, or the number of lines that follow (or that follow until the next such number) is kept
true when lists, words and lines grow or shrink. Numbers stay between the smallest and the largest that stand at the same
place of a line in any known input, so that limits which the known inputs respect stay respected; words keep their letters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

__all__ = ["Shapes", "Token"]

_INTEGER = re.compile(r"[+-]?\d{1,18}\Z")
_DECIMAL = re.compile(r"[+-]?\d+\.\d+\Z")
_COUNTED = 200_000


@dataclass(slots=True)
class Token:
    """A token and what separates it from the one before."""

    text: str
    gap: str = " "

    @property
    def number(self) -> int | None:
        """Its value if it is an integer."""
        return int(self.text) if _INTEGER.match(self.text) else None


Line = list[Token]


def _read(text: str) -> list[Line]:
    lines = []
    for line in text.removesuffix("\n").split("\n"):
        parts = re.findall(r"([ \t\r]*)([^ \t\r]+)", line)
        lines.append([Token(word, gap) for gap, word in parts])
    return lines


def _write(lines: Sequence[Line]) -> str:
    return "\n".join("".join(token.gap + token.text for token in line) for line in lines) + "\n"


def _kind(line: Line) -> str:
    """Return what a line is like: `i` an integer, `d` a decimal, `w` a word, for each token; a run of one kind is one letter."""
    letters = ["i" if _INTEGER.match(t.text) else "d" if _DECIMAL.match(t.text) else "w" for t in line]
    return re.sub(r"(.)\1+", r"\1+", "".join(letters))


@dataclass(slots=True)
class _Range:
    low: int = 0
    high: int = 0
    seen: bool = False

    def add(self, value: int) -> None:
        self.low, self.high = (min(self.low, value), max(self.high, value)) if self.seen else (value, value)
        self.seen = True

    def pick(self, random: Random, near: int) -> int:
        choices = [self.low, self.high, random.randint(self.low, self.high), near + 1, near - 1]
        return min(max(random.choice(choices), self.low), self.high)


@dataclass
class Shapes:
    """What the known inputs of a problem have in common.

    Args:
        known: the inputs; those that are very long are left out.

    >>> shapes = Shapes(["3\\n1 2 9\\n", "2\\n5 5\\n"])
    >>> from random import Random
    >>> all(len(lines[1].split()) == int(lines[0]) for lines in (shapes.vary(Random(n)).split("\\n") for n in range(50)))
    True
    """

    known: Sequence[str]
    _ranges: dict[tuple[str, int], _Range] = field(default_factory=dict)
    _lengths: _Range = field(default_factory=_Range)
    _read_known: list[list[Line]] = field(default_factory=list)
    _first: frozenset[tuple[str, int]] = frozenset()

    def __post_init__(self) -> None:
        short = [text for text in self.known if len(text) <= _COUNTED and text.strip()]
        self._read_known = [_read(text) for text in short]
        for lines in self._read_known:
            for number, line in enumerate(lines):
                self._lengths.add(len(line))
                for place, token in enumerate(line):
                    if (value := token.number) is not None:
                        self._range(line, number, place).add(value)
        if self._read_known:  # what the first line counts, it counts in all known inputs
            claims = [
                {
                    (kind, place)
                    for place, token in enumerate(lines[0])
                    if token.number is not None
                    for kind in _counted(lines, 0, place, token.number)
                }
                for lines in self._read_known
            ]
            self._first = frozenset(set.intersection(*claims))

    def vary(self, random: Random) -> str:
        """Return an input like the known ones; an empty text if there are none."""
        if not self._read_known:
            return ""
        lines = [[Token(token.text, token.gap) for token in line] for line in random.choice(self._read_known)]
        ties = _ties(lines, self._first)
        changes = (self._change_numbers, self._change_numbers, self._resize_list, self._change_words)
        for _ in range(random.choice((1, 1, 2, 3))):
            random.choice(changes)(lines, ties, random)
        if ties.blocks and random.random() < 0.4:  # last, since it moves lines
            _repeat_lines(lines, ties, random)
        return _write(lines)

    def _range(self, line: Line, number: int, place: int) -> _Range:
        """Return the range of a place: lists share one, other places have one each; the first line is apart from the rest."""
        kind = _kind(line)
        key = (f"{min(number, 1)} {kind}", -1 if kind in ("i+", "i") and number else place)
        return self._ranges.setdefault(key, _Range())

    def _change_numbers(self, lines: list[Line], ties: _Ties, random: Random) -> None:
        free = [
            (line, number, place)
            for number, line in enumerate(lines)
            for place, token in enumerate(line)
            if token.number is not None and id(token) not in ties.tied
        ]
        for line, number, place in random.sample(free, min(len(free), random.choice((1, 2, 5, len(free) or 1)))):
            value = line[place].number
            if value is not None:
                line[place].text = str(self._range(line, number, place).pick(random, value))
        for line in lines:
            for token in line:
                if _DECIMAL.match(token.text) and random.random() < 0.5:
                    digits = len(token.text.partition(".")[2])
                    token.text = f"{float(token.text) * random.choice((0.5, 0.9, 1.1, 2)):.{digits}f}"

    def _resize_list(self, lines: list[Line], ties: _Ties, random: Random) -> None:
        """Give a list another length, and say so in the number that counts it."""
        if not ties.lists:
            return
        counter, line, start = random.choice(ties.lists)
        items = line[start:]
        pool = items or [
            token for known in self._read_known for other in known[1:] for token in other if token.number is not None
        ]
        if not pool:
            return
        length = random.randint(min(1, self._lengths.low), max(self._lengths.high, len(items)))
        texts = [token.text for token in items] + [random.choice(pool).text for _ in range(length - len(items))]
        if random.random() < 0.5:
            random.shuffle(texts)
        gaps = [token.gap for token in items] + [" "] * length
        made = [Token(text, gap) for text, gap in zip(texts[:length], gaps, strict=False)]
        if made and not start:
            made[0].gap = ""
        line[start:] = made
        counter.text = str(length)

    def _change_words(self, lines: list[Line], ties: _Ties, random: Random) -> None:
        """Change letters of a word; its length only where no number counts it."""
        words = [token for line in lines for token in line if token.number is None and not _DECIMAL.match(token.text)]
        if not words:
            return
        token = random.choice(words)
        if not any(letter.isalnum() for letter in token.text):  # a row of a picture
            marks = sorted({letter for word in words for letter in word.text if not letter.isalnum()})
            token.text = "".join(random.choice(marks) if random.random() < 0.3 else letter for letter in token.text)
            return
        letters = sorted({letter for word in words for letter in word.text if letter.isalnum()})
        text = [random.choice(letters) if letter.isalnum() and random.random() < 0.4 else letter for letter in token.text]
        if all(letter.isalnum() for letter in text):
            if id(token) not in ties.tied and random.random() < 0.5:
                length = random.randint(1, max(len(word.text) for word in words))
                text = (text * (length // len(text) + 1))[:length]
            if random.random() < 0.3:
                random.shuffle(text)
        token.text = "".join(text)


@dataclass(slots=True)
class _Ties:
    """What ties an input together.

    Attributes:
        lists: (number, line, start): the number counts the tokens of a line from a place on.
        blocks: (number, first line, count, height): it counts the blocks of so many lines that follow.
        tied: identities of the numbers that count, and of the words that are counted.
    """

    lists: list[tuple[Token, Line, int]] = field(default_factory=list)
    blocks: list[tuple[Token, int, int, int]] = field(default_factory=list)
    tied: set[int] = field(default_factory=set)


def _ties(lines: list[Line], first: frozenset[tuple[str, int]] | None = None) -> _Ties:
    """Find the ties of an input; in the first line only those in `first`, if it is given: (kind, place)."""
    ties = _Ties()
    inside: set[int] = set()  # tokens of counted lists, which count nothing themselves
    for number, line in enumerate(lines):
        rest = len(lines) - number - 1
        following = lines[number + 1] if rest else None
        for place, token in enumerate(line):
            count = token.number
            if count is None or id(token) in inside:
                continue
            kinds = _counted(lines, number, place, count)
            if number == 0 and first is not None:
                kinds = [kind for kind in kinds if (kind, place) in first]
            for kind in kinds[:1]:
                ties.tied.add(id(token))
                if kind == "blocks":
                    ties.blocks.append((token, number + 1, count, rest // count))
                elif kind == "alike":
                    ties.blocks.append((token, number + 1, count, 1))
                elif kind == "word" and following:
                    ties.tied.add(id(following[0]))
                else:
                    target, start = (line, 1) if kind == "own" or following is None else (following, 0)
                    ties.lists.append((token, target, start))
                    inside.update(id(item) for item in target[start:])
    return ties


def _counted(lines: list[Line], number: int, place: int, count: int) -> list[str]:
    """Return what a number may count, the likeliest first: its line, all that follow, the next line, a word, some lines."""
    line, rest = lines[number], len(lines) - number - 1
    following = lines[number + 1] if rest else None
    found = []
    if place == 0 and len(line) > 1 and count == len(line) - 1:
        found.append("own")
    if 1 <= count <= rest and rest % count == 0 and (number == 0 or count == rest) and rest > 1:
        found.append("blocks")
    if following is not None and count == len(following) and all(token.number is not None for token in following):
        found.append("next")
    if following is not None and len(following) == 1 and following[0].number is None and count == len(following[0].text):
        found.append("word")
    if 1 < count <= rest and len({_kind(other) for other in lines[number + 1 : number + 1 + count]}) == 1:
        found.append("alike")
    return found


def _repeat_lines(lines: list[Line], ties: _Ties, random: Random) -> None:
    """Repeat, drop or reorder blocks of lines, and say so in the number that counts them."""
    counter, start, count, height = random.choice(ties.blocks)
    blocks = [lines[start + height * index : start + height * (index + 1)] for index in range(count)]
    change = random.randrange(3)
    if change == 0 and count > 1:
        blocks.pop(random.randrange(count))
    elif change == 1:
        source = random.choice(blocks)
        blocks.insert(random.randrange(count + 1), [[Token(token.text, token.gap) for token in line] for line in source])
    else:
        random.shuffle(blocks)
    lines[start : start + height * count] = [line for block in blocks for line in block]
    counter.text = str(len(blocks))
