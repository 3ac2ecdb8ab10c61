"""Test code against a submission in another process: each sees the other only through messages of plain data.

The tester runs trusted code (`check(candidate)`, assert lines, `unittest` classes) and holds a proxy for the entry point.
What is not plain data stays where it is and crosses as a reference: submitted objects become `Remote` proxies in the tester,
on which any operation runs in the submission's process; callables and iterators of the tests become proxies in the
submission, which may only call them or take the next item. A proxy is never equal to plain data and has no order against it,
so a value that claims to equal everything equals nothing.
"""

from __future__ import annotations

import builtins
import operator
import os
import struct
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from . import child, frames
from .proxies import LAST, Callback, Remote

SOCKET_FD = 4
_LENGTH = struct.Struct("<I")
_MESSAGE_LIMIT = 1 << 24
_SHORT = 1 << 12
"""Bytes to read at once: most messages are shorter."""

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
    "enter": lambda target: target.__enter__(),
    "exit": lambda target: target.__exit__(None, None, None),
    **{
        name: getattr(operator, name)
        for name in ("eq", "ne", "lt", "le", "gt", "ge", "add", "sub", "mul", "truediv", "floordiv", "mod")
    },
}


class Gone(Exception):
    """The other process ended, or sent something that is not a message."""


class Peer:
    """One end of the conversation. `open_to` says which operations the other end may ask for."""

    def __init__(self, fd: int, open_to: frozenset[str], proxy: Callable[[Peer, int], Any]) -> None:
        self.fd = fd
        self.open_to = open_to
        self.proxy = proxy
        self.exported: dict[int, Any] = {}
        self.identities: dict[int, int] = {}
        self.proxies: dict[int, Any] = {}
        self.decode = frames.decoder(self._object)
        self.unread = b""

    def ask(self, operation: str, target: Any, *args: Any, **kwargs: Any) -> Any:
        """Have the other end perform an operation; answer its own questions meanwhile."""
        sent = [target, list(args), kwargs]
        self._send(["ask", operation, *sent])
        while True:
            message = self._receive()
            if message[0] == "ask":
                self._answer(message)
            elif message[0] == "value":
                for position, value in message[2]:
                    _update((args[position] if type(position) is int else kwargs[position]), value)
                return message[1]
            elif message[0] == "raise":
                raise self._error(message, operation)
            else:
                raise Gone("an unknown message")

    def serve(self) -> None:
        """Answer questions until the other end goes away."""
        while True:
            message = self._receive()
            if message[0] != "ask":
                raise Gone("an answer that nobody asked for")
            self._answer(message)

    def _answer(self, message: list[Any]) -> None:
        _, operation, target, args, kwargs = message
        changeable = [*enumerate(args), *kwargs.items()]
        before = [(key, value, self._text(value)) for key, value in changeable if type(value) in (list, dict, set)]
        try:
            if operation not in self.open_to:
                raise PermissionError(f"operation {operation!r} is not allowed")
            if operation == "getattr" and str(args[0]).startswith("__") and args[0] not in ("__name__", "__doc__"):
                raise AttributeError(args[0])
            value = OPERATIONS[operation](target, *args, **kwargs)
            changed = [[key, value] for key, value, text in before if self._text(value) != text]
            reply = ["value", value, changed]
            text = self._text(reply)
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
            kind = getattr(builtins, name, None)
            if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, (StopAsyncIteration,)):
                try:
                    error: BaseException = kind(*args)
                except TypeError:
                    continue
                break
        else:
            error = RuntimeError(f"the submission raised {names[0] if names else 'an exception'}")
        if isinstance(error, StopIteration) and operation != "next":
            error = RuntimeError(f"the submission raised {names[0]}")
        error.from_submission = (letter, words)  # type: ignore[attr-defined]
        return error

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
        return frames.encode(value, _MESSAGE_LIMIT, self._export)

    def _send(self, message: list[Any]) -> None:
        self._write(self._text(message))

    def _write(self, text: str) -> None:
        data = text.encode("ascii")
        data = _LENGTH.pack(len(data)) + data
        try:
            while data:
                data = data[os.write(self.fd, data) :]
        except OSError:
            raise Gone("the submission's process ended") from None

    def _receive(self) -> list[Any]:
        if len(self.unread) < _LENGTH.size:
            self._read(_LENGTH.size)
        end = _LENGTH.size + _LENGTH.unpack_from(self.unread)[0]
        if end > _MESSAGE_LIMIT + _LENGTH.size:
            raise Gone("a message that is too long")
        if len(self.unread) < end:
            self._read(end)
        text, self.unread = self.unread[_LENGTH.size : end], self.unread[end:]
        try:
            message = self.decode(text.decode("ascii"))
        except (frames.NotPlain, UnicodeDecodeError):
            raise Gone("a message that is not plain data") from None
        if type(message) is not list or not message or not _well_formed(message):
            raise Gone("a malformed message")
        return message

    def _read(self, count: int) -> None:
        """Read until `count` bytes and maybe more are there."""
        parts = [self.unread]
        count -= len(self.unread)
        while count > 0:
            try:
                part = os.read(self.fd, min(max(count, _SHORT), 1 << 20))
            except OSError:
                part = b""
            if not part:
                raise Gone("the submission's process ended")
            parts.append(part)
            count -= len(part)
        self.unread = b"".join(parts)


def _well_formed(message: list[Any]) -> bool:
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


SOURCE = [""]
JOB: list[Any] = [None]


def run_candidate(job: child.Job) -> NoReturn:
    """Run the submission and answer the tester's questions about its entry point."""
    child.limit(job)
    code, text = child.load(job, True)
    job.last = max(job.last, SOCKET_FD)
    child.seal(job)
    namespace = child.fresh_module(job, "solution")
    SOURCE[0], JOB[0] = text, job
    peer = Peer(SOCKET_FD, frozenset(OPERATIONS), Callback)
    try:
        exec(code, namespace)
        target: Any = _Entry(namespace, job.entry)
    except BaseException as error:
        target = _Failed(error)
    peer.exported[0] = target
    try:
        peer.serve()
    except BaseException:
        os._exit(1)
    os._exit(0)


class _Entry:
    """What the tester asks first: the entry point, or a name of the submission."""

    def __init__(self, namespace: dict[str, Any], entry: str) -> None:
        self._namespace = namespace
        self._entry = entry

    def __call__(self, name: str) -> Any:
        return child.resolve(self._namespace, name or self._entry)


class _Failed:
    """Stands for a submission whose first lines raise."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __call__(self, name: str) -> Any:
        raise self._error


def run_tester(job: child.Job, index: int, extra: tuple[Any, ...]) -> NoReturn:
    """Run trusted test code against the submission in another process, and leave the outcome."""
    prelude, memory, output = extra
    job.memory, job.output, job.cpu_s = memory, output, job.cpu_s * 10
    child.limit(job)
    starter = child.read(job, prelude).decode("utf-8")
    text = child.read(job, job.tests[index]).decode("utf-8")
    job.last = SOCKET_FD
    child.seal(job)
    child.end(*tested(job, SOCKET_FD, starter, text, compiled))


def compiled(text: str, name: str) -> Any:
    """Compile trusted code."""
    return compile(text, name, "exec", 0, True)


def tested(job: child.Job, socket: int, starter: str, text: str, code_of: Callable[[str, str], Any]) -> tuple[str, str]:
    """Run trusted test code against a proxy and return the outcome: P passed, A assertion, E the submission's error, T another
    error, G the submission's process is gone; and what to say. `code_of` compiles text, with its name.
    """
    peer = Peer(socket, frozenset({"call", "next"}), Remote)
    namespace = child.fresh_module(job, "tests")
    try:
        entry = Remote(peer, 0)
        try:  # test code gets the helpers and imports of the statement's code, as far as that runs by itself
            exec(code_of(starter, "starter.py"), namespace)
        except Exception:
            pass
        candidate = entry("")
        root = job.entry.split(".")[0].replace("()", "")
        namespace["candidate"] = candidate
        namespace[root] = candidate if root == job.entry else entry(root)
        sys.modules["solution"] = _Solution(entry)  # type: ignore[assignment]
        LAST.clear()  # what was asked for so far were names
        exec(code_of(text, "tests.py"), namespace)
        _run_collected(namespace, candidate)
    except BaseException as error:
        return _failure(error, text)
    finally:
        peer.fd = -1  # what test code keeps of this submission cannot speak to the next one
        namespace.clear()  # its functions hold it, and it holds them
        LAST.clear()
    return "P", ""


class _Solution:
    """The module that `from solution import name` finds in test code."""

    def __init__(self, entry: Remote) -> None:
        self._entry = entry

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._entry(name)


def _run_collected(namespace: dict[str, Any], candidate: Any) -> None:
    check = namespace.get("check")
    if callable(check) and not isinstance(check, Remote):
        check(candidate)
        return
    unittest = sys.modules.get("unittest")
    if unittest is not None:
        for value in list(namespace.values()):
            if isinstance(value, type) and issubclass(value, unittest.TestCase):
                suite = unittest.defaultTestLoader.loadTestsFromTestCase(value)
                result = unittest.TestResult()
                result.failfast = True
                suite.run(result)
                for _, words in [*result.failures, *result.errors]:
                    raise AssertionError(words.strip().splitlines()[-1])
    for name, value in list(namespace.items()):
        if name.startswith("test_") and callable(value) and not isinstance(value, (Remote, type)):
            value()


def _failure(error: BaseException, text: str) -> tuple[str, str]:
    if isinstance(error, Gone):
        return "G", str(error)
    origin = getattr(error, "from_submission", None)
    where = ""
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == "tests.py":
            lines = text.split("\n")
            number = step.tb_lineno
            where = lines[number - 1].strip()[:500] if 0 < number <= len(lines) else ""
        step = step.tb_next
    if origin is not None:
        letter, words = origin
        return ("M" if letter == "M" else "E"), f"{words}\nwhile running: {where}" if where else words
    shown = [f"{type(error).__name__}: {error}".rstrip(": ")[:1000]]
    if where:
        shown.append(f"in: {where}")
    if LAST:
        args, kwargs, value = LAST[0]
        inside = ", ".join([*map(_short, args), *(f"{name}={_short(item)}" for name, item in kwargs.items())])
        shown.append(f"last call: candidate({inside}) returned {_short(value)}")
    return ("A" if isinstance(error, AssertionError) else "T"), "\n".join(shown)


def _short(value: Any) -> str:
    if isinstance(value, Remote):
        return "an object"
    text = repr(value)
    return text if len(text) <= 400 else text[:300] + " ... " + text[-80:]
