"""What an agent is: anything callable on a conversation, or an object with `act` or `act_batch`, sync or async.

    class MyAgent:
        def act(self, conversation):                  # [{"role": "user" | "assistant", "content": text}, ...]
            return "```python\\nprint(input())\\n```"   # the text of the response

Optional parts:

- `reset(problem, seed)` is called at the start of each episode. It may return an agent for that episode alone, which then
may keep state.
  It is handed the whole problem with its solutions; an agent whose results are to mean anything looks at neither those nor
  the tests.
- `act_batch(conversations)` returns one response per conversation; conversations of different episodes that wait are given
together.
- `extras(conversation)` is not part of the protocol: a response may be a `Response`, whose `extras` go into the trajectory.

Plain (sync) agents are called from one thread, one call at a time, unless they say `thread_safe = True`; async agents are
called concurrently.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from codeenv.errors import CodeenvError
from codeenv.rollout.conversation import Conversation

__all__ = ["AGENTS", "Act", "ActBatch", "Agent", "AgentError", "Response", "act_of", "check_response", "load_agent"]

Agent: TypeAlias = Any
"""See the module's docstring; Python has no type for "callable or object with `act`, sync or async"."""

Act: TypeAlias = Callable[[Conversation], "str | Response | Awaitable[str | Response]"]
ActBatch: TypeAlias = Callable[[Sequence[Conversation]], "Sequence[str | Response] | Awaitable[Sequence[str | Response]]"]

AGENTS = {
    "oracle": "codeenv.agents.scripted:Oracle",
    "never-right": "codeenv.agents.scripted:NeverRight",
    "repairs-on-feedback": "codeenv.agents.scripted:RepairsOnFeedback",
    "ignores-feedback": "codeenv.agents.scripted:IgnoresFeedback",
}
"""Agents that have a name on the command line."""


class AgentError(CodeenvError):
    """An agent is unknown, cannot be built, raised, or answered with something that is not text."""


@dataclass(frozen=True, slots=True)
class Response:
    """A response with facts for the trajectory, such as token ids, log-probabilities or costs.

    Attributes:
        text: the response.
        extras: JSON-ready facts, stored with the turn.
    """

    text: str
    extras: Mapping[str, Any] = field(default_factory=dict)


def act_of(agent: Agent) -> Act | None:
    """Return the function that answers one conversation, `None` if the agent only has `act_batch`."""
    act = getattr(agent, "act", None)
    if callable(act):
        return act  # type: ignore[no-any-return]
    if callable(getattr(agent, "act_batch", None)):
        return None
    if callable(agent) and not inspect.isclass(agent):
        return agent  # type: ignore[no-any-return]
    raise AgentError(
        f"{_name(agent)} is no agent: it has neither act nor act_batch and cannot be called; give it act(conversation)"
    )


def check_response(agent: Agent, answer: Any) -> Response:
    """Return an agent's answer as a `Response`.

    Raises:
        AgentError: if it is not text.
    """
    if isinstance(answer, Response):
        answer, extras = answer.text, answer.extras
    else:
        extras = {}
    if not isinstance(answer, str):
        raise AgentError(f"{_name(agent)} answered with {type(answer).__name__}; an agent must return the response's text (str)")
    return Response(answer, extras)


def load_agent(name: str) -> Agent:
    """Return an agent from its name in `AGENTS` or from `module:attribute`; a class is called without arguments.

    Modules of the current folder are found, as with `python -m`.

    Raises:
        AgentError: if there is no such agent, or it cannot be built.
    """
    target = AGENTS.get(name, name)
    module_name, separator, attribute = target.partition(":")
    if not separator or not module_name or not attribute:
        raise AgentError(f"there is no agent {name!r}; use one of {', '.join(AGENTS)} or module:attribute")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise AgentError(f"agent {name!r}: there is no module {error.name!r} here or among the installed packages") from None
        raise AgentError(f"agent {name!r}: its module needs {error.name!r}, which is not installed") from None
    except Exception as error:
        raise AgentError(f"agent {name!r}: importing {module_name!r} failed: {type(error).__name__}: {error}") from error
    if not hasattr(module, attribute):
        raise AgentError(f"agent {name!r}: module {module_name!r} has no {attribute!r}")
    agent = getattr(module, attribute)
    if inspect.isclass(agent):
        try:
            agent = agent()
        except Exception as error:
            raise AgentError(f"agent {name!r}: {attribute}() failed: {type(error).__name__}: {error}") from error
    if not callable(getattr(agent, "reset", None)):  # reset may return the agent of an episode
        act_of(agent)
    return agent


def _name(agent: Agent) -> str:
    return f"agent {getattr(agent, '__name__', type(agent).__name__)!r}"
