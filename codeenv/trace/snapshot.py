"""The bounded text of a value, taken without running any code of the program under trace.

Only exact built-in types are looked into, through slots of those types; a subclass is shown through the slots of its base
and an instance through the dictionary or slots that the interpreter keeps for it. So no `__repr__`, `__eq__`, `__hash__`,
`__len__`, property or metaclass of the program runs. The work is bounded by the caps, and the text holds no addresses and
does not depend on the hash seed.

This module runs in the child beside the program: it needs the standard library only.
"""

from __future__ import annotations

import sys
from collections import Counter, OrderedDict, defaultdict, deque
from itertools import islice
from types import BuiltinFunctionType, FunctionType, GetSetDescriptorType, MemberDescriptorType, ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

__all__ = ["CAPS", "class_name", "snap"]

CAPS = (2, 8, 118)
"""Nesting depth, items of a container, and characters of the whole text."""

_DEPTH, _ITEMS, _CHARS = CAPS
_HEAD = _ITEMS - 2  # items shown at the head of a list that is longer than _ITEMS; one more is shown at its end
_SORTED_SET = 200  # a larger set is shown as its size: sorting it would not be bounded work
_STRING = 60  # longer texts are shown as head and tail
_INT_BITS = 128

_type_name = type.__dict__["__name__"].__get__
_type_mro = type.__dict__["__mro__"].__get__
_type_dict = type.__dict__["__dict__"].__get__
_type_flags = type.__dict__["__flags__"].__get__
_HEAP_TYPE = 1 << 9
_exception_args = BaseException.__dict__["args"].__get__


def snap(value: Any, chars: int = _CHARS) -> str:
    """Return the text of `value`, at most `chars` characters.

    >>> snap([1, 2, 3]), snap("a" * 100), snap(list(range(100)))
    ('[1, 2, 3]', "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' <48 chars> 'aaaaaaaaaaaa'", '[0, 1, 2, 3, 4, 5, <93 more>, 99]')
    """
    kind = type(value)
    if kind is int:
        if -0x8000000000000000 < value < 0x8000000000000000:
            return f"{value}"
        return _int(value)
    if kind is str and len(value) <= _STRING:
        return repr(value)[:chars]
    text = _text(value, _DEPTH, chars)
    return text if len(text) <= chars else text[: chars - 3] + "..."


def class_name(kind: type) -> str:
    """Return the name of a class, whatever its metaclass does."""
    name: str = _type_name(kind)
    return name[:40]


def _int(value: int) -> str:
    bits = int.bit_length(value)
    if bits <= _INT_BITS:
        return f"{value}"
    return f"<int {'-' if value < 0 else ''}{bits} bits>"


def _str(value: str) -> str:
    if len(value) <= _STRING:
        return repr(value)
    return f"{value[:40]!r} <{len(value) - 52} chars> {value[-12:]!r}"


def _bytes(value: bytes | bytearray) -> str:
    if len(value) <= _STRING // 2:
        return repr(value)
    return f"{value[:16]!r} <{len(value) - 20} bytes> {value[-4:]!r}"


def _range(value: range) -> str:
    if value.step == 1:
        return f"range({_int(value.start)}, {_int(value.stop)})"
    return f"range({_int(value.start)}, {_int(value.stop)}, {_int(value.step)})"


def _text(value: Any, depth: int, room: int) -> str:
    key = id(type(value))
    atom = _ATOMS.get(key)
    if atom is not None:
        return atom(value)
    container = _CONTAINERS.get(key)
    if container is not None:
        return container(value, depth, room)
    return _other(value, depth, room)


def _joined(values: Iterable[Any], total: int, shown: int, depth: int, room: int) -> tuple[list[str], int]:
    """Return the texts of at most `shown` of `total` values that fit into `room`, and how many were left out."""
    texts: list[str] = []
    for value in values:
        if len(texts) >= shown or room <= 0:
            break
        if type(value) is int and -0x8000000000000000 < value < 0x8000000000000000:  # the frequent case, without a call
            text = f"{value}"
        else:
            text = _text(value, depth - 1, room)
        room -= len(text) + 2
        texts.append(text)
    return texts, total - len(texts)


def _sequence(opening: str, closing: str, size: int, head: Iterable[Any], last: Callable[[], Any], depth: int, room: int) -> str:
    if size == 0:
        return opening + closing
    if depth == 0:
        return f"{opening}<{size} items>{closing}"
    shown = size if size <= _ITEMS else _HEAD
    texts, left = _joined(head, size, shown, depth, room - 12)
    if left > 0:
        if left == size - _HEAD and size > _ITEMS:
            texts.append(f"<{left - 1} more>")
            texts.append(_text(last(), depth - 1, 24))
        else:
            texts.append(f"<{left} more>")
    return opening + ", ".join(texts) + closing


def _list(value: list[Any], depth: int, room: int) -> str:
    return _sequence("[", "]", list.__len__(value), list.__iter__(value), lambda: list.__getitem__(value, -1), depth, room)


def _tuple(value: tuple[Any, ...], depth: int, room: int) -> str:
    size = tuple.__len__(value)
    closing = ",)" if size == 1 else ")"
    return _sequence("(", closing, size, tuple.__iter__(value), lambda: tuple.__getitem__(value, -1), depth, room)


def _deque(value: deque[Any], depth: int, room: int) -> str:
    last: Callable[[], Any] = lambda: deque.__getitem__(value, -1)  # noqa: E731
    return "deque(" + _sequence("[", "]", deque.__len__(value), deque.__iter__(value), last, depth, room - 7) + ")"


def _dict(value: dict[Any, Any], depth: int, room: int) -> str:
    return _pairs(dict.__len__(value), iter(dict.items(value)), depth, room)


def _pairs(size: int, pairs: Iterable[tuple[Any, Any]], depth: int, room: int) -> str:
    if size == 0:
        return "{}"
    if depth == 0:
        return f"{{<{size} items>}}"
    texts: list[str] = []
    room -= 12
    for key, item in pairs:
        if len(texts) >= _ITEMS or room <= 0:
            break
        text = f"{_text(key, depth - 1, room)}: {_text(item, depth - 1, room)}"
        room -= len(text) + 2
        texts.append(text)
    if size > len(texts):
        texts.append(f"<{size - len(texts)} more>")
    return "{" + ", ".join(texts) + "}"


def _ordered_dict(value: OrderedDict[Any, Any], depth: int, room: int) -> str:
    pairs: Iterable[tuple[Any, Any]] = dict.items(value)
    if dict.__len__(value) <= _SORTED_SET:
        keys = list(OrderedDict.__iter__(value))
        if all(id(type(key)) in _ATOMS for key in keys):  # a look-up hashes the key: only where that is the built-in's hash
            pairs = [(key, dict.__getitem__(value, key)) for key in keys]
    return "OrderedDict(" + _pairs(dict.__len__(value), pairs, depth, room - 13) + ")"


def _named_dict(value: dict[Any, Any], depth: int, room: int) -> str:
    name = class_name(type(value))
    return f"{name}({_pairs(dict.__len__(value), dict.items(value), depth, room - len(name) - 2)})"


def _set(value: set[Any] | frozenset[Any], depth: int, room: int) -> str:
    base: Any = set if issubclass(type(value), set) else frozenset  # isinstance would ask value.__class__
    size: int = base.__len__(value)
    opening, closing = ("{", "}") if base is set else ("frozenset({", "})")
    if size == 0:
        return "set()" if base is set else "frozenset()"
    if depth == 0 or size > _SORTED_SET:
        return f"{opening}<{size} items>{closing}"
    items = list(base.__iter__(value))
    first = type(items[0])
    if (first is int or first is str or first is float) and all(type(item) is first for item in items):
        items.sort()
        return _sequence(opening, closing, size, items, lambda: items[-1], depth, room)
    if size > 32:
        return f"{opening}<{size} items>{closing}"
    texts = sorted(_text(item, depth - 1, 40) for item in items)
    shown: list[str] = []
    for text in texts[:_ITEMS]:
        if shown and len(text) + 2 > room - 24:
            break
        room -= len(text) + 2
        shown.append(text)
    if size > len(shown):
        shown.append(f"<{size - len(shown)} more>")
    return opening + ", ".join(shown) + closing


def _other(value: Any, depth: int, room: int) -> str:
    """Return the text of a value of a type that is not a plain built-in one."""
    kind = type(value)
    if id(kind) in _LAYOUTS:
        name = class_name(kind)
        return _instance(value, name, depth, room - len(name) - 2)
    if _is_exact_array(kind):
        return (
            f"array(shape={_text(value.shape, 1, 30)}, dtype={value.dtype.name}, first={_text(value.flat[:4].tolist(), 1, 50)})"
        )
    name = class_name(kind)
    mro = _type_mro(kind)
    bases = set(map(id, mro))
    if id(type) in bases:
        return f"<class {class_name(value)}>"
    if id(BaseException) in bases:
        args = _exception_args(value)
        return name + (_tuple(args, depth, room - len(name)) if depth else "(...)").replace(",)", ")")
    if not _type_flags(kind) & _HEAP_TYPE:
        return f"<{name}>"
    inside = room - len(name) - 2
    for base, render in _BASES:
        if id(base) in bases:
            text = render(value, depth, inside)
            return name + text if base is tuple else f"{name}({text})"
    for base in (bool, int, float, complex, str, bytes):
        if id(base) in bases:
            return f"{name}({_base_text(base, value)})"
    return _instance(value, name, depth, inside)


def _base_text(base: Any, value: Any) -> str:
    """Return the text of an instance of a subclass of a scalar type, as that scalar."""
    if base is int:
        return _int(int.__add__(value, 0))
    if base is float:
        return repr(float.__add__(value, 0.0))
    if base is str:
        return _str(str.__getitem__(value, slice(None)))
    if base is bytes:
        return _bytes(bytes.__getitem__(value, slice(None)))
    return "..."


_UNSTABLE = frozenset(["threading", "asyncio.events", "asyncio.tasks", "asyncio.base_events", "asyncio.unix_events"])
"""Modules whose instances hold addresses and numbers that the system gives."""


def _instance(value: Any, name: str, depth: int, room: int) -> str:
    if _type_dict(type(value)).get("__module__") in _UNSTABLE:
        return f"{name}(...)"
    fields = _instance_fields(value, type(value))
    if not fields:
        return f"{name}()"
    if fields[0][0] == "_value_":  # an enum member; the order of its other fields differs between versions
        member = next((item for field, item in fields if field == "_name_"), None)
        return f"{name}.{member}" if type(member) is str else name
    if depth == 0:
        return f"{name}(...)"
    texts: list[str] = []
    for field, item in fields[:_ITEMS]:
        if texts and room <= 12:
            break
        text = f"{field}={_text(item, depth - 1, room - 12)}"
        room -= len(text) + 2
        texts.append(text)
    if len(fields) > len(texts):
        texts.append(f"<{len(fields) - len(texts)} more>")
    return f"{name}({', '.join(texts)})"


def _instance_fields(value: Any, kind: type) -> list[tuple[str, Any]]:
    """Return (name, value) of the instance's own attributes, read through the interpreter's descriptors alone."""
    layout = _LAYOUTS.get(id(kind))
    if layout is None or layout[0] is not kind:
        layout = _layout(kind)
        if len(_LAYOUTS) < 64:
            _LAYOUTS[id(kind)] = layout
    fields: list[tuple[str, Any]] = []
    for name, member in layout[1]:
        try:
            fields.append((name, member.__get__(value)))
        except AttributeError:  # a slot that is not set
            continue
    if layout[2] is not None:
        inside = layout[2].__get__(value)
        if type(inside) is dict:
            fields += [(key[:40], item) for key, item in islice(inside.items(), 32) if type(key) is str and key[:2] != "__"]
    return fields


def _layout(kind: type) -> tuple[type, list[tuple[str, Any]], Any]:
    """Return a class with the members of its slots and the descriptor of its instances' dictionary."""
    members: list[tuple[str, Any]] = []
    held = None
    for base in _type_mro(kind):
        names = _type_dict(base)
        slots = names.get("__slots__")
        if type(slots) is tuple or type(slots) is list:
            for slot in slots[:32]:
                member = names.get(slot) if type(slot) is str else None
                if type(member) is MemberDescriptorType:
                    members.append((slot[:40], member))
        if held is None and "__dict__" in names:
            held = names["__dict__"]
    return kind, members, held if type(held) is GetSetDescriptorType else None


_LAYOUTS: dict[int, tuple[type, list[tuple[str, Any]], Any]] = {}  # the class is kept, so that its id stays its own


def _is_exact_array(kind: type) -> bool:
    if _type_flags(kind) & _HEAP_TYPE or class_name(kind) != "ndarray":
        return False
    numpy = sys.modules.get("numpy")
    return type(numpy) is ModuleType and numpy.__dict__.get("ndarray") is kind


def _function(value: Any) -> str:
    name = value.__name__
    return f"<function {name[:40]}>" if type(name) is str else "<function>"


_ATOMS: dict[int, Callable[[Any], str]] = {
    id(kind): render
    for kind, render in (
        (int, _int),
        (str, _str),
        (bool, repr),
        (type(None), repr),
        (float, repr),
        (complex, repr),
        (bytes, _bytes),
        (bytearray, _bytes),
        (range, _range),
        (type(...), repr),
        (FunctionType, _function),
        (BuiltinFunctionType, _function),
    )
}
_CONTAINERS: dict[int, Callable[[Any, int, int], str]] = {
    id(kind): render
    for kind, render in (
        (list, _list),
        (tuple, _tuple),
        (dict, _dict),
        (set, _set),
        (frozenset, _set),
        (deque, _deque),
        (OrderedDict, _ordered_dict),
        (defaultdict, _named_dict),
        (Counter, _named_dict),
    )
}
_BASES: tuple[tuple[type, Callable[[Any, int, int], str]], ...] = (
    (list, _list),
    (tuple, _tuple),
    (dict, _dict),
    (set, _set),
    (frozenset, _set),
    (deque, _deque),
)
