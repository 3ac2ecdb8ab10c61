"""How each side of a call test sees the other side's objects: proxies that ask over the connection.

A `Remote` is an object of the submission in the tests' process. It is never equal to plain data, and has no order against it
and no difference from it, whatever the submission claims. A `Callback` is a callable or an iterator of the tests in the
submission's process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["LAST", "Callback", "Remote"]

LAST: list[tuple[tuple[Any, ...], dict[str, Any], Any]] = []
"""The tester's last finished call, for the message of a failed assertion."""


class Remote:
    """An object of the submission, seen from the tests."""

    __slots__ = ("_identity", "_peer")

    def __init__(self, peer: Any, identity: int) -> None:
        object.__setattr__(self, "_peer", peer)
        object.__setattr__(self, "_identity", identity)

    def __getattr__(self, name: str) -> Any:
        # libraries take special names at their word: what `__array_interface__` says is an address in this process
        if (name.startswith("__") and name not in ("__name__", "__doc__")) or name == "_as_parameter_":
            raise AttributeError(f"the submission's object has no attribute {name!r} here")
        return _ask(self, "getattr", name)

    def __setattr__(self, name: str, value: Any) -> None:
        _ask(self, "setattr", name, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        value = object.__getattribute__(self, "_peer").call(self, args, kwargs)
        LAST[:] = [(args, kwargs, value)]
        return value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remote) and (self is other or _ask(self, "eq", other) is True)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(object.__getattribute__(self, "_identity"))

    def __bool__(self) -> bool:
        return _ask(self, "bool") is True

    def __len__(self) -> int:
        return int(_typed(self, "len", int))

    def __str__(self) -> str:
        return str(_typed(self, "str", str))

    def __repr__(self) -> str:
        return str(_typed(self, "repr", str))

    def __int__(self) -> int:
        return int(_typed(self, "int", int))

    def __index__(self) -> int:
        return int(_typed(self, "index", int))

    def __float__(self) -> float:
        return float(_typed(self, "float", float))

    def __contains__(self, item: Any) -> bool:
        return any(element == item for element in iter(_ask(self, "iter")))

    def __exit__(self, *_: Any) -> None:
        _ask(self, "exit")


def _operation(name: str) -> Callable[..., Any]:
    def method(self: Remote, *args: Any) -> Any:
        return _ask(self, name, *args)

    return method


for _name in ("iter", "next", "getitem", "setitem", "delitem", "enter"):
    setattr(Remote, f"__{_name}__", _operation(_name))


def _between(name: str) -> Callable[..., Any]:
    def method(self: Remote, other: Any) -> Any:  # against plain data a submitted object may claim anything, so it is not asked
        return _ask(self, name, other) if isinstance(other, Remote) else NotImplemented

    return method


for _name in ("lt", "le", "gt", "ge", "add", "sub", "mul", "truediv", "floordiv", "mod"):
    setattr(Remote, f"__{_name}__", _between(_name))


def _ask(remote: Any, operation: str, *args: Any) -> Any:
    return object.__getattribute__(remote, "_peer").ask(operation, remote, *args)


def _typed(remote: Remote, operation: str, kind: type) -> Any:
    value = _ask(remote, operation)
    if type(value) is not kind:
        raise TypeError(f"{operation} of the submission's object is not {kind.__name__!r}")
    return value


class Callback:
    """A callable or an iterator of the tests, seen from the submission."""

    __slots__ = ("_identity", "_peer")

    def __init__(self, peer: Any, identity: int) -> None:
        self._peer = peer
        self._identity = identity

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._peer.call(self, args, kwargs)

    def __iter__(self) -> Callback:
        return self

    def __next__(self) -> Any:
        return self._peer.ask("next", self)
