"""The two ends of a connection between trusted test code and a submission: questions and answers of plain data.

A message is its length and the text of a list: `["call", object, arguments]`, the question that is asked most;
`["ask", operation, object, arguments, named arguments]`; `["value", value, changed arguments]`; or `["raise", names of the
exception's classes, its arguments, letter, words]`. What is not plain data stays where it is and crosses as a reference.
"""

from __future__ import annotations

import _thread
import builtins
import operator
import os
import struct
import sys
from collections.abc import Callable
from typing import Any

from . import child, frames
from .proxies import Callback, Remote

__all__ = ["JOB", "OPERATIONS", "SOURCE", "Gone", "Peer"]

_LENGTH = struct.Struct("<I")
_MESSAGE_LIMIT = 1 << 24
_AROUND = 256
"""Characters of a message besides its value."""
_FRAMES = 16
"""Frames of Python between a call that crosses and the one that crosses back."""
_SHORT = 1 << 12
"""Bytes to read at once: most messages are shorter."""

SOURCE = [""]
JOB: list[Any] = [None]
"""In a submission's process: its text and its job, for the words of its exceptions."""

OPERATIONS: dict[str, Callable[..., Any]] = {
    "call": lambda target, *args, **kwargs: target(*args, **kwargs),
    "getattr": getattr,
    "setattr": setattr,
    "iter": iter,
    "next": next,
    "send": lambda target, value: target.send(value),
    "len": len,
    "getitem": operator.getitem,
    "setitem": operator.setitem,
    "delitem": operator.delitem,
    "str": str,
    "repr": repr,
    "bool": bool,
    "int": int,
    "float": float,
    "index": operator.index,
    "kinds": lambda target: _kinds(target),
    "enter": lambda target: target.__enter__(),
    "exit": lambda target: target.__exit__(None, None, None),
    **{
        name: getattr(operator, name)
        for name in ("eq", "ne", "lt", "le", "gt", "ge", "add", "sub", "mul", "truediv", "floordiv", "mod")
    },
}


def _kinds(target: Any) -> list[str]:
    """Return the names of an exception class and of those that it descends from, without `object`; none of anything else."""
    return [kind.__name__ for kind in target.__mro__[:-1]] if type(target) is type and issubclass(target, BaseException) else []


class Gone(BaseException):
    """The other process ended, or sent something that is not a message. No `except Exception` of test code takes it for an error
    that it expects of a submission.
    """


class Peer:
    """One end of the conversation. `open_to` says which operations the other end may ask for."""

    def __init__(self, fd: int, open_to: frozenset[str], proxy: Callable[[Peer, int], Any]) -> None:
        self.fd = fd
        self.open_to = open_to
        self.proxy = proxy
        self.exported: dict[int, Any] = {}
        self.identities: dict[int, int] = {}
        self.proxies: dict[int, Any] = {}
        self.decode = frames.decoder(self._object, float("inf") if "getattr" in open_to else frames.ANSWERS)
        self.unread = b""
        self.classes: dict[str, type[BaseException]] = {}  # for the submission's exceptions that test code has imported
        self.asked = 0
        self.gone: Gone | None = None
        self._lock = _thread.RLock()  # test code and submissions may have threads; one conversation at a time

    def call(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Have the other end call an object of its own."""
        if kwargs:
            return self.ask("call", target, *args, **kwargs)
        with self._lock:
            self.asked += 1
            self._write(f'["call",{object.__getattribute__(target, "_identity")},{self._text(list(args))}]')
            return self.answer("call", args, kwargs)

    def ask(self, operation: str, target: Any, *args: Any, **kwargs: Any) -> Any:
        """Have the other end perform an operation."""
        with self._lock:
            self.asked += 1
            self._write(self._text(["ask", operation, target, list(args), kwargs]))
            return self.answer(operation, args, kwargs)

    def answer(self, operation: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the answer to a question, and answer the other end's own questions meanwhile."""
        while True:
            message = self._receive()
            kind = message[0]
            if kind == "value":
                for position, value in message[2]:
                    _update((args[position] if type(position) is int else kwargs[position]), value)
                return message[1]
            if kind == "raise":
                raise self._error(message, operation)
            self._deeper(message)

    def _deeper(self, message: list[Any]) -> None:
        """Answer a question that is asked while one of ours waits, with room for the frames that the two of them take."""
        sys.setrecursionlimit(sys.getrecursionlimit() + _FRAMES)
        try:
            self._reply(message)
        finally:
            sys.setrecursionlimit(max(_FRAMES, sys.getrecursionlimit() - _FRAMES))

    def serve(self, target: Any) -> None:
        """Answer questions until the other end goes away. The first is not sent: whoever connects wants to call `target`, which
        is object 0, on an empty text.
        """
        self.exported[0] = target
        message = ["call", 0, [""]]
        while True:
            self._reply(message)
            message = self._receive()
            if message[0] not in ("call", "ask"):
                raise Gone("an answer that nobody asked for")

    def _reply(self, message: list[Any]) -> None:
        if message[0] == "call":
            operation, target, args, kwargs = "call", self.exported.get(message[1], self), message[2], {}
            if target is self:
                raise Gone("a question about an unknown object")
        else:
            _, operation, target, args, kwargs = message
        changeable = [pair for pair in enumerate(args) if type(pair[1]) in _CHANGEABLE]
        if kwargs:
            changeable += [pair for pair in kwargs.items() if type(pair[1]) in _CHANGEABLE]
        before = [(key, value, self._text(value)) for key, value in changeable]
        try:
            if operation not in self.open_to:
                raise PermissionError(f"operation {operation!r} is not allowed")
            if operation == "getattr" and str(args[0]).startswith("__") and args[0] not in ("__name__", "__doc__"):
                raise AttributeError(args[0])
            value = OPERATIONS[operation](target, *args, **kwargs)
            changed = [[key, value] for key, value, text in before if self._text(value) != text]
            text = f'["value",{self._text(value)},{self._text(changed) if changed else "[]"}]'
        except (Gone, frames.TooLarge):
            raise
        except BaseException as error:
            names = [kind.__name__ for kind in type(error).__mro__ if issubclass(kind, BaseException)]
            try:
                text = self._text(["raise", names, list(error.args), *child.outcome_of(error, SOURCE[0], JOB[0])])
            except frames.NotPlain:
                text = self._text(["raise", names, [type(error).__name__], "E", type(error).__name__])
        self._write(text)

    def _error(self, message: list[Any], operation: str) -> BaseException:
        """Return what the other end raised, as an exception of ours.

        A `StopIteration` that does not end an iterator of the other end would end one of ours, such as a `map` over calls, in
        silence; it becomes a `RuntimeError`, as in generators (PEP 479).
        """
        _, names, args, letter, words = message
        for name in names:
            kind = self.classes.get(name) or getattr(builtins, name, None)
            if isinstance(kind, type) and issubclass(kind, BaseException) and not issubclass(kind, _ENDS):
                try:
                    error: BaseException = kind(*args)
                except Exception:  # it is made of something else
                    continue
                break
        else:
            error = RuntimeError(f"the submission raised {names[0] if names else 'an exception'}")
        if isinstance(error, StopIteration) and operation != "next":
            error = RuntimeError(f"the submission raised {names[0]}")
        error.from_submission = (letter, words)  # type: ignore[attr-defined]
        return error

    def exception_class(self, remote: Any) -> Any:
        """Return a class of ours that stands for an exception class of the other end, so that `except` can name it; what is no
        such class is returned as it is.
        """
        names = self.ask("kinds", remote)
        if type(names) is not list or not all(type(name) is str for name in names):
            return remote
        base: type[BaseException] | None = None
        for name in reversed(names):
            kind = getattr(builtins, name, None)
            if isinstance(kind, type) and issubclass(kind, BaseException):
                base = base if issubclass(kind, (StopIteration, *_ENDS)) else kind
            elif base is not None:
                base = self.classes.setdefault(name, type(name, (base,), {"__module__": "solution"}))
        return remote if base is None or names[0] not in self.classes else self.classes[names[0]]

    def _export(self, value: Any) -> str:
        if isinstance(value, (Remote, Callback)) and object.__getattribute__(value, "_peer") is self:
            return f'{{"l":{object.__getattribute__(value, "_identity")}}}'
        if "next" in self.open_to and "getattr" not in self.open_to and not callable(value) and not hasattr(value, "__next__"):
            if hasattr(value, "__iter__"):
                value = iter(value)
            else:
                raise frames.NotPlain(
                    f"an argument of type {type(value).__name__!r} is neither plain data, callable nor iterable"
                )
        identity = self.identities.get(id(value))
        if identity is None:
            identity = self.identities[id(value)] = len(self.exported) + 1
            self.exported[identity] = value
        return f'{{"r":{identity}}}'

    def _object(self, kind: str, identity: int) -> Any:
        if kind == "l":
            if identity not in self.exported:
                raise frames.NotPlain("a reference to an unknown object")
            return self.exported[identity]
        if identity not in self.proxies:
            self.proxies[identity] = self.proxy(self, identity)
        return self.proxies[identity]

    def _text(self, value: Any) -> str:
        return frames.encode(value, _MESSAGE_LIMIT - _AROUND, self._export)

    def _write(self, text: str) -> None:
        if len(text) > _MESSAGE_LIMIT:
            raise frames.TooLarge(f"a message takes more than {_MESSAGE_LIMIT} characters")
        data = _LENGTH.pack(len(text)) + text.encode("ascii")
        try:
            while data:
                data = data[os.write(self.fd, data) :]
        except OSError:
            raise self._ended("the submission's process ended") from None

    def _receive(self) -> list[Any]:
        data = self.unread or self._more()
        while len(data) < _LENGTH.size:
            data += self._more()
        end = _LENGTH.size + _LENGTH.unpack_from(data)[0]
        if end > _MESSAGE_LIMIT + _LENGTH.size:
            raise self._ended("a message that is too long")
        if len(data) < end:
            parts, count = [data], len(data)
            while count < end:
                parts.append(self._more(end - count))
                count += len(parts[-1])
            data = b"".join(parts)
        self.unread = data[end:]
        try:
            message = self.decode(data[_LENGTH.size : end].decode("ascii"))
        except (frames.NotPlain, UnicodeDecodeError):
            raise self._ended("a message that is not plain data") from None
        if type(message) is not list or not message or not _well_formed(message):
            raise self._ended("a malformed message")
        return message

    def _ended(self, words: str) -> Gone:
        """Return the error that ends a conversation, and keep it: whatever test code does with it, the test has failed."""
        self.gone = self.gone or Gone(words)
        return self.gone

    def _more(self, wanted: int = 0) -> bytes:
        """Read some bytes; a short message mostly comes whole."""
        try:
            part = os.read(self.fd, _SHORT if wanted <= _SHORT else min(wanted, 1 << 20))
        except OSError:
            part = b""
        if not part:
            raise self._ended("the submission's process ended")
        return part


_ENDS = (StopAsyncIteration, GeneratorExit)
"""What ends an iterator of the tests in silence."""
_CHANGEABLE = frozenset((list, dict, set))


def _well_formed(message: list[Any]) -> bool:
    if message[0] == "call":
        return len(message) == 3 and type(message[1]) is int and type(message[2]) is list
    if message[0] == "ask":
        return (
            len(message) == 5
            and type(message[1]) is str
            and type(message[3]) is list
            and type(message[4]) is dict
            and all(type(name) is str for name in message[4])
        )
    if message[0] == "value":
        return (
            len(message) == 3 and type(message[2]) is list and all(type(item) is list and len(item) == 2 for item in message[2])
        )
    if message[0] == "raise":
        return (
            len(message) == 5
            and type(message[1]) is list
            and all(type(name) is str for name in message[1])
            and type(message[2]) is list
            and type(message[3]) is str
            and type(message[4]) is str
        )
    return False


def _update(target: Any, value: Any) -> None:
    """Carry a change that the other side made to an argument over to the original."""
    if type(target) is not type(value):
        return
    if type(target) is list:
        target[:] = value
    elif type(target) in (dict, set):
        target.clear()
        target.update(value)
