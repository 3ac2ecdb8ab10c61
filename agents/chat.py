"""An agent behind any OpenAI-compatible endpoint: OpenAI, vLLM, SGLang, llama.cpp, Ollama and their like.

The key is read from an environment variable and appears nowhere: not in the trajectory, not in an error, not in `repr`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import random
import re
import threading
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from weakref import WeakKeyDictionary

from codeenv.agents.demonstrations import load_demonstrations, with_demonstrations
from codeenv.errors import CodeenvError, MissingExtraError
from codeenv.rollout.agent import AgentError, Response
from codeenv.rollout.conversation import Conversation
from codeenv.rollout.deadline import Deadline, current_deadline
from codeenv.text import one_line

__all__ = ["ChatAgent"]

log = logging.getLogger("codeenv.chat")

MAX_BODY_BYTES = 16 << 20
"""A longer answer of the endpoint is not read to its end."""

LONG_WAIT_S = 15.0
"""A wait that a server asks for is told if it is longer, at most once in `TELL_EVERY_S`."""

TELL_EVERY_S = 60.0


class ChatAgent:
    """Answers with a chat model.

    A call that fails for a reason that may pass (429, 5xx, a time-out, a broken connection, an answer that is no valid JSON or
    has no text) is tried again with exponential back-off, or after the time that the server asks for. Any other refusal is an
    error at once, and so is a server that asks for a longer wait than the response may take. An agent may be used from several
    event loops and threads at the same time; each loop has its own connections.

    Args:
        model: name of the model, as the server calls it.
        base_url: address of the server, such as `http://localhost:8000/v1`; by default OPENAI_BASE_URL, else OpenAI's.
        api_key_env: environment variable that holds the key; servers without keys ignore it.
        temperature, top_p, max_tokens: sampling; RLEF evaluates 1@3 at temperature 0.2 and top-p 0.95.
        system: a system message before the conversation; none if empty.
        logprobs: whether to ask for log-probabilities of the tokens.
        timeout_s: longest wall time of one request.
        retries: how often a failed request is tried again.
        requests_per_minute: limit of the rate; 0.0 is none.
        max_requests: most requests at the same time, in one event loop; by default as many as there are episodes in flight.
        usd_per_mtok_in, usd_per_mtok_out: prices of a million tokens, to record the cost of each response.
        demonstrations: few-shot prompting: a run folder or JSONL file of solved dialogues to put before each problem, see
            `codeenv.agents.demonstrations`.
        shots: numbers of attempts of the demonstrations that are taken from a run folder.
    """

    def __init__(
        self,
        model: str = "",
        base_url: str | None = None,
        api_key_env: str = "OPENAI_API_KEY",
        temperature: float = 0.2,
        top_p: float = 0.95,
        max_tokens: int = 2048,
        system: str = "",
        logprobs: bool = False,
        timeout_s: float = 120.0,
        retries: int = 6,
        requests_per_minute: float = 0.0,
        max_requests: int | None = None,
        usd_per_mtok_in: float = 0.0,
        usd_per_mtok_out: float = 0.0,
        demonstrations: str = "",
        shots: str = "2,3",
    ) -> None:
        if not model:
            raise CodeenvError("the chat agent needs the name of a model; give it as --agent-options model=NAME")
        try:
            import openai  # noqa: F401  (here, for it takes a second that would count against the first response)
        except ImportError:
            raise MissingExtraError("the chat agent", "openai", "openai") from None
        for name, value, least in (("retries", retries, 0), ("max_requests", max_requests, 1), ("max_tokens", max_tokens, 1)):
            if value is not None and value < least:
                raise CodeenvError(f"{name} is {value!r}; use a whole number of at least {least}")
        self.model = model
        self._base_url = base_url or os.environ.get("OPENAI_BASE_URL") or None
        self._key_env = api_key_env
        self._sampling = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}
        self._system = system
        self._logprobs = logprobs
        self._timeout_s = timeout_s
        self._retries = retries
        self._max_requests = max_requests
        self._prices = (usd_per_mtok_in, usd_per_mtok_out)
        self._demonstrations = load_demonstrations(demonstrations, shots) if demonstrations else []
        self._pace = _Pace(requests_per_minute)
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, _Line] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._told = -TELL_EVERY_S

    def __repr__(self) -> str:
        return f"ChatAgent(model={self.model!r})"

    async def act(self, conversation: Conversation) -> Response:
        """Return the model's answer; tokens, cost and the reason it ended are in the extras."""
        shown = with_demonstrations(conversation, self._demonstrations)
        messages = [{"role": message["role"], "content": _sendable(message["content"])} for message in shown]
        if self._system:
            messages.insert(0, {"role": "system", "content": _sendable(self._system)})
        line = self._line()
        request: dict[str, Any] = {"model": self.model, "messages": messages, **self._sampling}
        if self._logprobs:
            request["logprobs"] = True
        completion, tries = await self._with_retries(line, request)
        return self._response(completion, tries)

    async def end_run(self) -> None:
        """Close the connections of this event loop; a later run opens new ones."""
        with self._lock:
            line = self._lines.pop(asyncio.get_running_loop(), None)
        if line is not None:
            await line.client.close()

    def _line(self) -> _Line:
        """Return the connections of the running event loop."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if loop not in self._lines:
                import openai

                client = openai.AsyncOpenAI(
                    api_key=os.environ.get(self._key_env) or "none",
                    base_url=self._base_url,
                    timeout=self._timeout_s,
                    max_retries=0,
                    # openai's own client closes itself in whichever loop runs by then
                    http_client=openai.DefaultAsyncHttpxClient(event_hooks={"response": [_read_body]}),
                )
                most = self._max_requests
                self._lines[loop] = _Line(client, contextlib.nullcontext() if most is None else asyncio.Semaphore(most))
            return self._lines[loop]

    async def _with_retries(self, line: _Line, request: dict[str, Any]) -> tuple[Any, int]:
        deadline, reason = current_deadline(), ""
        for attempt in range(self._retries + 1):
            self._note(deadline, attempt, reason)
            wait_s: float | None = None
            await self._pace.wait()
            try:
                async with line.slots:
                    self._note(deadline, attempt + 1, reason)
                    completion = await line.client.chat.completions.create(**request)
                if _text_of(completion):
                    return completion, attempt
                reason = _why_no_text(completion)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                reason = self._said(error.__cause__ if isinstance(error.__cause__, _TooLong) else error)
                if not _may_pass(error):
                    raise AgentError(f"model {self.model!r}: {reason}") from None
                wait_s = _asked_wait_s(error)
            self._note(deadline, attempt + 1, reason)
            if attempt < self._retries:
                await self._wait(attempt, wait_s, reason)
        raise AgentError(f"model {self.model!r} gave no answer in {_times(self._retries + 1)}; the last: {reason}")

    def _note(self, deadline: Deadline | None, sent: int, reason: str) -> None:
        """Leave word of what happened so far, in case the deadline comes before an answer."""
        if deadline is not None:
            last = f", the last error: {reason}" if reason else ""
            turn = "" if sent else " and waits for its turn (see max_requests, requests_per_minute)"
            deadline.waiting_for = f"model {self.model!r} was sent {_times(sent)}{turn}{last}"

    async def _wait(self, attempt: int, asked_s: float | None, reason: str) -> None:
        """Wait before the next request.

        Raises:
            AgentError: if the server asks for more time than the response may take.
        """
        deadline = current_deadline()
        if asked_s is None:
            await asyncio.sleep(min(30.0, 0.5 * 2**attempt) * random.uniform(0.5, 1.0))
            return
        left_s = self._timeout_s if deadline is None else deadline.left_s()
        if asked_s > max(left_s, 0.0):
            allowed = f"of {deadline.seconds:g} s {max(left_s, 0.0):.3g} s are left" if deadline else f"at most {left_s:g} s"
            raise AgentError(
                f"model {self.model!r}: the server asks to wait {asked_s:g} s, which is more than this response may take "
                f"({allowed}); {reason}"
            )
        now = time.monotonic()
        if asked_s > LONG_WAIT_S and now - self._told > TELL_EVERY_S:
            self._told = now
            log.warning("codeenv: model %r: the server asks to wait %g s, so it waits; %s", self.model, asked_s, reason)
        await asyncio.sleep(asked_s * random.uniform(1.0, 1.1))  # those that wait do not come back all at once

    def _said(self, error: Exception) -> str:
        """Return an error in one line, without the key."""
        text = f"{type(error).__name__}: {error}"
        key = os.environ.get(self._key_env)
        return one_line(text.replace(key, "***") if key else text)

    def _response(self, completion: Any, tries: int) -> Response:
        choice = completion.choices[0]
        extras: dict[str, Any] = {"model": completion.model or self.model, "finish_reason": choice.finish_reason}
        if completion.usage is not None:
            spent_in, spent_out = completion.usage.prompt_tokens, completion.usage.completion_tokens
            extras |= {"prompt_tokens": spent_in, "completion_tokens": spent_out}
            if any(self._prices):
                extras["cost_usd"] = round((spent_in * self._prices[0] + spent_out * self._prices[1]) / 1e6, 8)
        if tries:
            extras["retries"] = tries
        if choice.logprobs is not None and choice.logprobs.content:
            extras["pieces"] = [token.token for token in choice.logprobs.content]
            extras["logprobs"] = [token.logprob for token in choice.logprobs.content]
        elif self._logprobs:
            raise AgentError(
                f"model {self.model!r}: the endpoint gives no log-probabilities, so the run could not be trained from exactly; "
                "leave logprobs off to record it for evaluation alone"
            )
        return Response(choice.message.content, extras)


@dataclass(frozen=True, slots=True)
class _Line:
    """The connections of one event loop, and how many requests it may have under way."""

    client: Any
    slots: contextlib.AbstractAsyncContextManager[None]


class _Pace:
    """Lets requests start at a steady rate."""

    def __init__(self, per_minute: float) -> None:
        self._gap_s = 60.0 / per_minute if per_minute > 0 else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    async def wait(self) -> None:
        if self._gap_s:
            with self._lock:
                now = time.monotonic()
                start = max(now, self._next)
                self._next = start + self._gap_s
            await asyncio.sleep(start - now)


def _text_of(completion: Any) -> str:
    choices = getattr(completion, "choices", None)
    return getattr(getattr(choices[0], "message", None), "content", None) or "" if choices else ""


def _why_no_text(completion: Any) -> str:
    if not hasattr(completion, "choices"):  # a page instead of JSON, with status 200
        return "the answer is no chat completion; is base_url the address of the API, such as http://localhost:8000/v1?"
    finish = completion.choices[0].finish_reason if completion.choices else None
    return "the answer has no text" + (f" (finish reason {finish!r})" if finish not in ("stop", None) else "")


def _may_pass(error: Exception) -> bool:
    """Whether a request that failed like this may succeed later."""
    import openai

    if isinstance(error.__cause__, _TooLong):
        return False
    if isinstance(error, openai.APIStatusError):
        return error.status_code in (408, 409, 425, 429) or error.status_code >= 500
    # Everything below HTTP (connections, time-outs, half a body, a body that is not JSON) is the transport's fault.
    return not isinstance(error, (TypeError, AttributeError, openai.AuthenticationError))


class _TooLong(Exception):
    """An endpoint sends more than an answer can be."""


async def _read_body(response: Any) -> None:
    """Read the body of an httpx response, which httpx then takes as read; httpx alone would read one without an end."""
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise _TooLong(
                f"the endpoint's answer is longer than {MAX_BODY_BYTES >> 20} MiB; is base_url the address of the API, such as "
                "http://localhost:8000/v1?"
            )
    response._content = bytes(body)


def _sendable(text: str) -> str:
    """Return a text that UTF-8 can hold: lone surrogates, which a reply or a program's output may hold, are replaced."""
    return _SURROGATES.sub("\ufffd", text)


_SURROGATES = re.compile("[\ud800-\udfff]")


def _asked_wait_s(error: Exception) -> float | None:
    """Return the server's Retry-After in seconds, if it gave one: a number or a date."""
    response = getattr(error, "response", None)
    value = response.headers.get("retry-after") if response is not None else None
    if value is None:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(value)) if math.isfinite(float(value)) else None
    with contextlib.suppress(ValueError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return None


def _times(requests: int) -> str:
    return "1 request" if requests == 1 else f"{requests} requests"
