"""The class of a value from its bounded text: kind and size bucket."""

from __future__ import annotations

import re

__all__ = ["value_class"]

_MORE = re.compile(r"<(\d+) (?:more|items|chars|bytes)>")
_INTEGER = re.compile(r"-?\d+\Z")
_FLOAT = re.compile(r"-?(?:\d+\.\d*(?:e[+-]?\d+)?|\d+e[+-]?\d+|inf|nan)\Z")
_MAPS = ("Counter(", "defaultdict(", "OrderedDict(")
_SEQUENCES = ("[", "(", "deque(", "range(")


def value_class(text: str) -> str:
    """Return the class of a value's text: its kind and, where there is one, the bucket of its size.

    Kinds are None, bool, int- int0 int+, float, str, seq, map, set, obj. The size of an integer is its number of decimal digits
    (`int+:3`), of a text or container the number of binary digits of its length (`seq:2` for 2 or 3 items).

    >>> [value_class(text) for text in ("None", "True", "-12", "0", "1.5", "'abc'")]
    ['None', 'bool:1', 'int-:2', 'int0', 'float', 'str:2']
    >>> [value_class(text) for text in ("[1, [2, 3]]", "{'a': 1}", "{1}", "Node(x=1)")]
    ['seq:2', 'map:1', 'set:1', 'obj']
    >>> value_class("[0, 1, 2, 3, 4, 5, <93 more>, 99]"), value_class("<int 400 bits>")
    ('seq:7', 'int+:121')
    """
    if text == "None":
        return "None"
    if text in ("True", "False"):
        return f"bool:{int(text == 'True')}"
    if _INTEGER.match(text):
        return "int0" if text == "0" else f"int-:{len(text) - 1}" if text[0] == "-" else f"int+:{len(text)}"
    if bits := re.match(r"<int (-?)(\d+) bits>\Z", text):
        return f"int{'-' if bits[1] else '+'}:{int(int(bits[2]) * 0.30103) + 1}"
    if _FLOAT.match(text):
        return "float"
    if text[:1] in ("'", '"') or text[:2] in ("b'", 'b"'):
        return f"str:{_text_length(text).bit_length()}"
    if text.startswith("frozenset(") or text in ("set()",):
        return f"set:{_items(text[text.find('{') :] if '{' in text else '').bit_length()}"
    if text.startswith(_MAPS):
        return f"map:{_items(text[text.find('{') :]).bit_length()}"
    if text.startswith("{"):
        is_map = text == "{}" or ":" in _outside_of_texts(text).partition(",")[0]
        return f"{'map' if is_map else 'set'}:{_items(text).bit_length()}"
    if text.startswith("range("):
        return "seq"
    if text.startswith(_SEQUENCES):
        return f"seq:{_items(text[text.find('[') :] if text.startswith('deque') else text).bit_length()}"
    return "obj"


def _text_length(text: str) -> int:
    more = _MORE.search(text)
    if more is not None:
        return 52 + int(more[1])
    return len(re.sub(r"\\(x..|u....|U........|.)", "?", text.lstrip("b"))) - 2


def _outside_of_texts(text: str) -> str:
    """Return the text of a container without what stands in quotes."""
    return re.sub(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", "''", text)


def _items(text: str) -> int:
    """Return the number of items of a container from its text."""
    plain = _outside_of_texts(text)
    count = more = depth = 0
    piece = ""
    for character in plain:
        depth += character in "([{"
        depth -= character in ")]}"
        ends = (depth == 1 and character == ",") or depth == 0
        if depth >= 1 and not ends:
            piece += character if depth > 1 or character not in "([{" else ""
        if ends:
            found = _MORE.fullmatch(piece.strip())
            if found is not None:
                more += int(found[1])
            elif piece.strip():
                count += 1
            piece = ""
        if depth == 0:
            break
    return count + more
