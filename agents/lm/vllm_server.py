"""A vLLM server that writes for the trainer: token ids and log-probabilities in and out, and weights handed over by a folder.

What is used of vLLM (0.33): `POST /v1/completions` with `prompt` as token ids, `return_token_ids` and `logprobs`; and with
VLLM_SERVER_DEV_MODE=1 `POST /collective_rpc` (`reload_weights` from a path) and `POST /reset_prefix_cache`.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from codeenv.agents.lm.generation import Sampling
from codeenv.errors import CodeenvError

__all__ = ["Response", "ServerConfig", "VllmServer"]

_TRIES = 4


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """A vLLM server that writes the responses, in the place of the trainer's own sampling.

    Attributes:
        url: where it listens, such as `http://localhost:8000`; empty writes in this process. A server that was started with
            --api-key reads it from VLLM_API_KEY, and so does the trainer.
        folder: where the policy is put for the server, a path that means the same on both machines; empty is `served` in the
            run's folder.
        parallel: most requests at a time.
        timeout_s: most seconds of one request.
        tolerance: most mean difference, in nats a token, between the server's log-probabilities and the trainer's after a
            hand-over.
    """

    url: str = ""
    folder: str = ""
    parallel: int = 256
    timeout_s: float = 600.0
    tolerance: float = 0.1

    def __post_init__(self) -> None:
        if self.url and not self.url.startswith(("http://", "https://")):
            raise CodeenvError(f"server.url is {self.url!r}; give it as http://HOST:PORT")
        if self.parallel < 1 or not (0 < self.timeout_s < math.inf and 0 < self.tolerance < math.inf):
            raise CodeenvError(
                f"server.parallel is {self.parallel}, timeout_s {self.timeout_s:g}, tolerance {self.tolerance:g}; "
                "all must be finite and above 0"
            )


@dataclass(frozen=True, slots=True)
class Response:
    """What the server wrote behind some tokens.

    Attributes:
        ids: token ids, with the one that ended it.
        logprobs: of each.
        finish: `stop` or `length`.
    """

    ids: list[int]
    logprobs: list[float]
    finish: str


class VllmServer:
    """The server's interface; several threads may use it.

    Raises:
        CodeenvError: the server is not there.
    """

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self._url = config.url.rstrip("/").removesuffix("/v1")
        key = os.environ.get("VLLM_API_KEY")
        limits = httpx.Limits(max_connections=config.parallel, max_keepalive_connections=config.parallel)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(timeout=config.timeout_s, limits=limits, headers=headers)
        rows = self._json("GET", "/v1/models").get("data") or [{}]
        self._model = str(rows[0].get("id", ""))
        if not self._model:
            raise CodeenvError(f"the server at {self._url} names no model in /v1/models; is it vLLM's OpenAI server?")

    def complete(self, ids: Sequence[int], sampling: Sampling, stop_ids: frozenset[int], most: int, seed: int) -> Response:
        """Return what the server writes behind the tokens of a conversation.

        Args:
            most: most tokens of the response.
            seed: of this response.

        Raises:
            CodeenvError: the server refuses, or gives no token ids or no log-probabilities.
        """
        row = {
            "model": self._model,
            "prompt": list(ids),
            "max_tokens": most,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": 0,  # the model's generation_config.json must not change the distribution
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "stop_token_ids": sorted(stop_ids),
            "ignore_eos": True,  # what ends a response is in stop_token_ids
            "logprobs": 0,
            "return_token_ids": True,
            "skip_special_tokens": False,
            "seed": seed,
        }
        choice = self._json("POST", "/v1/completions", row)["choices"][0]
        written, logprobs = choice.get("token_ids"), (choice.get("logprobs") or {}).get("token_logprobs")
        if written is None or logprobs is None or len(written) != len(logprobs) or None in logprobs:
            missing = "token ids" if written is None else "log-probabilities"
            raise CodeenvError(
                f"the server at {self._url} gives no {missing} with its completions, so its responses cannot be trained on; use "
                "vLLM 0.10.2 or newer, or write in this process (no server.url)"
            )
        return Response(list(written), list(logprobs), "stop" if choice["finish_reason"] == "stop" else "length")

    def load(self, folder: Path) -> None:
        """Let the server take the weights of a folder in Hugging Face form, and forget what it computed with older ones.

        Raises:
            CodeenvError: it cannot be told to, or cannot read them.
        """
        row = {"method": "reload_weights", "kwargs": {"weights_path": str(folder.resolve())}, "timeout": self.config.timeout_s}
        self._json("POST", "/collective_rpc", row)
        if not self._json("POST", "/reset_prefix_cache").get("success", True):
            raise CodeenvError(
                f"the server at {self._url} could not empty its prefix cache: others use it; it must write for this run alone"
            )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _json(self, method: str, path: str, row: dict[str, Any] | None = None) -> dict[str, Any]:
        for attempt in range(_TRIES):
            try:
                answer = self._client.request(method, self._url + path, json=row)
            except httpx.TransportError as error:
                if attempt == _TRIES - 1 or isinstance(error, httpx.ReadTimeout):
                    reason = str(error) or type(error).__name__
                    raise CodeenvError(f"the server at {self._url} does not answer {path}: {reason}") from None
            else:
                if answer.status_code != 503 or attempt == _TRIES - 1:
                    return self._checked(path, answer)
            time.sleep(0.2 * 4**attempt)
        raise AssertionError("unreachable")

    def _checked(self, path: str, answer: httpx.Response) -> dict[str, Any]:
        if answer.status_code == 404 and path in ("/collective_rpc", "/reset_prefix_cache"):
            raise CodeenvError(
                f"the server at {self._url} takes no weights (no {path}); start it with VLLM_SERVER_DEV_MODE=1 vllm serve ..."
            )
        if answer.status_code == 401:
            raise CodeenvError(f"the server at {self._url} asks for its key; put it into VLLM_API_KEY")
        if answer.status_code != 200:
            raise CodeenvError(f"the server at {self._url} answers {path} with {answer.status_code}: {_message(answer)}")
        try:
            found = answer.json() if answer.content else {}
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise CodeenvError(f"the server at {self._url} answers {path} with something that is no JSON object; is it vLLM?")
        return found


def _message(answer: httpx.Response) -> str:
    """Return the server's own words, shortened."""
    try:
        row = answer.json()
        text = row.get("error", row.get("detail", row))
        text = text.get("message", text) if isinstance(text, dict) else text
    except (ValueError, AttributeError):
        text = answer.text
    return " ".join(str(text).split())[:300]
