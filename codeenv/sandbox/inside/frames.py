"""Plain data as text: what crosses from a process that runs submitted code to one that does not.

The text is JSON. `null`, booleans, numbers, texts and lists are themselves (`NaN` and `Infinity` included); everything else
is an object with one key: `t` tuple, `s` set, `z` frozenset, `d` dictionary as pairs, `b` bytes, `c` complex, `i` a large
integer in hexadecimal, `u` the characters of a text in which two lone surrogates would be read as one character, and `r` or
`l` an object on the sender's or the receiver's side (only where the caller allows it). Reading it runs no code of the sender.
"""

from __future__ import annotations

from _json import encode_basestring_ascii as _text
from _json import make_scanner  # what `json.decoder` reads with
from collections.abc import Callable
from itertools import accumulate
from typing import Any

MAX_DEPTH = 100
"""Deepest nesting of containers that is written or read."""

ANSWERS = 64 << 20
"""Most that test code reads of one submission's answers (see `decoder`): more takes seconds of a process that is not limited."""

_SMALL = 10**18


class NotPlain(Exception):
    """A value is not plain data, too deep, too large, or a text is not the form of plain data."""


class TooLarge(NotPlain):
    """The text of a value would exceed the limit."""


def encode(value: Any, limit: int = 1 << 24, export: Callable[[Any], str] | None = None) -> str:
    """Return the text of a plain value.

    Args:
        value: plain data; each part must be of exactly a built-in type.
        limit: most characters of text.
        export: gives the text of a part that is not plain data; without it such a part is refused.

    Raises:
        NotPlain: naming the type of the part that is not plain data, or the depth.
        TooLarge: the text would exceed `limit`.

    >>> encode([1, (True, None), {"a": 2.5}])
    '[1,{"t":[true,null]},{"d":[["a",2.5]]}]'
    """
    if type(value) is int and -_SMALL < value < _SMALL:
        return repr(value)
    try:
        text = _SHALLOW[type(value)](value)
    except Exception:  # deep, large, or not plain: a type may even refuse to be looked up
        pass
    else:
        if len(text) <= limit:
            return text
    parts: list[str] = []
    _Encoder(parts.append, limit, export).write(value, 0)
    text = "".join(parts)
    if len(text) > limit:
        raise TooLarge(f"the value takes more than {limit} characters")
    return text


class _Encoder:
    def __init__(self, put: Callable[[str], None], limit: int, export: Callable[[Any], str] | None) -> None:
        self.put = put
        self.left = limit
        self.export = export

    def write(self, value: Any, depth: int) -> None:
        kind = type(value)
        if kind is int:
            self._take(repr(value) if -_SMALL < value < _SMALL else f'{{"i":"{value:x}"}}')
        elif kind is str:
            if len(value) > self.left:
                raise TooLarge(f"a text of {len(value)} characters is too large")
            self._take(_string(value))
        elif kind is bool:
            self._take("true" if value else "false")
        elif value is None:
            self._take("null")
        elif kind is float:
            self._take(_float(value))
        elif kind is list:
            self._items("[", value, "]", depth)
        elif kind is tuple:
            self._items('{"t":[', value, "]}", depth)
        elif kind is dict:
            self._items('{"d":[', list(value.items()), "]}", depth, True)
        elif kind is set:
            self._items('{"s":[', list(value), "]}", depth)
        elif kind is frozenset:
            self._items('{"z":[', list(value), "]}", depth)
        elif kind is bytes:
            self._take('{"b":' + _text(value.decode("latin-1")) + "}")
        elif kind is complex:
            self._take(f'{{"c":[{_float(value.real)},{_float(value.imag)}]}}')
        elif self.export is not None:
            self._take(self.export(value))
        else:
            raise NotPlain(f"a value of type {kind.__name__!r} is not plain data")

    def _take(self, text: str) -> None:
        self.left -= len(text)
        if self.left < 0:
            raise TooLarge("the value is too large")
        self.put(text)

    def _items(self, opening: str, items: Any, closing: str, depth: int, pairs: bool = False) -> None:
        if depth >= MAX_DEPTH:
            raise NotPlain(f"the value is nested deeper than {MAX_DEPTH} levels")
        self._take(opening)
        flat = None if pairs else self._flat(items)
        if flat is not None:
            self._take(flat + closing)
            return
        first = True
        for item in items:
            if not first:
                self._take(",")
            first = False
            if pairs:
                self._items("[", item, "]", depth + 1)
            else:
                self.write(item, depth + 1)
        self._take(closing)

    def _flat(self, items: Any) -> str | None:
        """Return the text of items that are all scalars, in one go; `None` for others."""
        if len(items) < _LONG:
            return None
        if 2 * len(items) - 1 > self.left:
            raise TooLarge(f"{len(items)} items are too many")
        try:
            kinds = set(map(type, items))
            if kinds == _INTEGERS and min(items) > -_SMALL and max(items) < _SMALL:
                return repr(list(items))[1:-1]
            if kinds == _FLOATS and "n" not in (text := repr(list(items))[1:-1]):
                return text
            if kinds == _TEXTS:
                return ",".join(map(_string, items)) if sum(map(len, items)) <= self.left else None
            return ",".join([_SCALARS[type(item)](item) for item in items]) if kinds <= _SCALARS.keys() else None
        except Exception:  # a type that refuses to be looked up
            return None


_NAMED = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _float(value: float) -> str:
    text = repr(value)
    return _NAMED.get(text, text)


def _string(value: str) -> str:
    if value.isascii() or value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass") == value:
        return _text(value)
    return '{"u":[' + ",".join(map(_text, value)) + "]}"


def _short(value: str) -> str:
    if len(value) > _SHORT:
        raise TooLarge
    return _string(value)


def _integer(value: int) -> str:
    return repr(value) if -_SMALL < value < _SMALL else f'{{"i":"{value:x}"}}'


def _written(writers: dict[type, Callable[[Any], str]], few: int) -> dict[type, Callable[[Any], str]]:
    """Return writers for what `writers` write, and for lists, tuples and dictionaries of at most `few` of those."""

    def items(value: Any) -> str:
        if len(value) > few:
            raise TooLarge
        return ",".join([writers[type(item)](item) for item in value])

    def a_list(value: Any) -> str:
        if value and len(value) <= few and set(map(type, value)) == _INTEGERS and min(value) > -_SMALL and max(value) < _SMALL:
            return repr(value)
        return f"[{items(value)}]"

    def a_tuple(value: Any) -> str:
        return f'{{"t":[{items(value)}]}}'

    def a_dictionary(value: Any) -> str:
        if len(value) > few:
            raise TooLarge
        return (
            '{"d":['
            + ",".join([f"[{writers[type(key)](key)},{writers[type(item)](item)}]" for key, item in value.items()])
            + "]}"
        )

    return {**writers, list: a_list, tuple: a_tuple, dict: a_dictionary}


_INTEGERS, _FLOATS, _TEXTS = {int}, {float}, {str}
_MANY, _FEW, _SHORT, _LONG = 256, 16, 1000, 8
_SCALARS: dict[type, Callable[[Any], str]] = {
    int: _integer,
    str: _short,
    bool: lambda value: "true" if value else "false",
    type(None): lambda value: "null",
    float: _float,
}
_SHALLOW = _written(_written(_written(_SCALARS, _MANY), _FEW), _FEW)
"""Writers of what most values are, by type: a scalar, and few containers in each other; the general way takes three times as
long.
"""


def _no_objects(kind: str, identity: int) -> Any:
    raise NotPlain("an object reference is not plain data")


class _Reading:
    """How the scanner reads: as JSON with `NaN` and infinities."""

    strict = True
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": -float("inf")}.__getitem__

    def __init__(self, object_hook: Callable[[dict[str, Any]], Any]) -> None:
        self.object_hook = object_hook


def decoder(objects: Callable[[str, int], Any] = _no_objects, most: float = float("inf")) -> Callable[[str], Any]:
    """Return a reader of texts.

    Args:
        objects: gives the object for a reference of kind `r` or `l`.
        most: the work that all texts together may be: a character is 1, an object with a tag `_TAGGED`.
    """
    left = most

    def hook(tagged: dict[str, Any]) -> Any:
        if len(tagged) != 1:
            raise NotPlain("an object with more than one key")
        ((tag, body),) = tagged.items()
        if tag == "i":
            return int(body, 16)
        if tag == "b":
            return body.encode("latin-1")
        if tag in ("r", "l") and type(body) is int:
            return objects(tag, body)
        if type(body) is not list:
            raise NotPlain(f"malformed {tag!r}")
        if tag == "t":
            return tuple(body)
        if tag == "d":
            return dict(body)
        if tag == "s":
            return set(body)
        if tag == "z":
            return frozenset(body)
        if tag == "u":
            return "".join(body)
        if tag == "c" and len(body) == 2:
            return complex(float(body[0]), float(body[1]))
        raise NotPlain(f"unknown tag {tag!r}")

    scan: Callable[[str, int], Any] = make_scanner(_Reading(hook))  # type: ignore[arg-type]  # it asks for the attributes alone

    def decode(text: str) -> Any:
        nonlocal left
        left -= len(text) + _TAGGED * text.count("{")
        if left < 0:
            raise NotPlain("the texts are longer than what is read in sum")
        try:
            value, end = scan(text, 0)
        except NotPlain:
            raise
        except (ValueError, TypeError, AttributeError, StopIteration, RecursionError, MemoryError) as error:
            raise NotPlain(f"not the text of plain data: {type(error).__name__}") from None
        if end != len(text):
            raise NotPlain("not the text of plain data: there is more after it")
        if text.count("[") > MAX_DEPTH and _too_deep(text):
            raise NotPlain(f"the value is nested deeper than {MAX_DEPTH} levels")
        return value

    return decode


_TAGGED = 20
"""An object with a tag takes as long to read as so many characters more."""
_STEPS = bytes(1 if byte == ord("[") else 255 for byte in range(256))
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]")


def _too_deep(text: str) -> bool:
    """Whether brackets nest deeper than an honest encoder writes (two a level), outside texts."""
    outside = "".join(text.replace("\\\\", "").replace('\\"', "").split('"')[::2])
    brackets = outside.encode("ascii", "replace").translate(None, _NO_BRACKETS).replace(b"[]", b"")
    return max(accumulate(memoryview(brackets.translate(_STEPS)).cast("b")), default=0) >= 2 * MAX_DEPTH + 2


decode = decoder()
"""Read the text of a plain value; raises `NotPlain`."""
