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
- `end_run()` is called when the run ends, sync or async, to let go of connections.
- A response may be a `Response`, whose `extras` go into the trajectory.

Plain (sync) agents are called from one thread, one call at a time, unless they say `thread_safe = True`; async agents are
called concurrently, on one event loop in a thread of its own.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, get_args, get_type_hints

from codeenv.errors import CodeenvError, MissingExtraError
from codeenv.rollout.conversation import Conversation
from codeenv.text import one_line

__all__ = ["AGENTS", "Act", "ActBatch", "Agent", "AgentError", "Response", "act_of", "check_response", "load_agent"]

Agent: TypeAlias = Any
"""See the module's docstring; Python has no type for "callable or object with `act`, sync or async"."""

Act: TypeAlias = Callable[[Conversation], "str | Response | Awaitable[str | Response]"]
ActBatch: TypeAlias = Callable[[Sequence[Conversation]], "Sequence[str | Response] | Awaitable[Sequence[str | Response]]"]

AGENTS = {
    "oracle": "codeenv.agents.scripted:Oracle",
    "never-right": "codeenv.agents.scripted:NeverRight",
    "random-wrong": "codeenv.agents.scripted:RandomWrong",
    "repairs-on-feedback": "codeenv.agents.scripted:RepairsOnFeedback",
    "ignores-feedback": "codeenv.agents.scripted:IgnoresFeedback",
    "chat": "codeenv.agents.chat:ChatAgent",
    "hf": "codeenv.agents.hf:HuggingFaceAgent",
    "human": "codeenv.agents.human:TerminalAgent",
    "repair": "codeenv.agents.repair:RepairAgent",
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


MAX_RESPONSE_CHARS = 1 << 20
"""Longest response; a longer one is an error of the agent, not a program."""


def check_response(agent: Agent, answer: Any) -> Response:
    """Return an agent's answer as a `Response`.

    Raises:
        AgentError: if it is not text, is longer than `MAX_RESPONSE_CHARS`, or its extras are not JSON.
    """
    extras: Mapping[str, Any] = {}
    if isinstance(answer, Response):
        answer, extras = answer.text, answer.extras
    if not isinstance(answer, str):
        raise AgentError(f"{_name(agent)} answered with {type(answer).__name__}; an agent must return the response's text (str)")
    if len(answer) > MAX_RESPONSE_CHARS:
        raise AgentError(f"{_name(agent)} answered with {len(answer):,} characters; at most {MAX_RESPONSE_CHARS:,} are allowed")
    if extras:
        try:
            json.dumps(extras, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise AgentError(f"{_name(agent)} returned extras that are not JSON: {one_line(str(error))}") from None
    return Response(answer, extras)


def load_agent(name: str, options: Mapping[str, str] | None = None) -> Agent:
    """Return an agent from its name in `AGENTS` or from `module:attribute`; a class is called with the options.

    Modules of the current folder are found, as with `python -m`.

    Args:
        name: of the agent.
        options: arguments of the agent's class, as text; they are converted to the types of its annotations.

    Raises:
        AgentError: if there is no such agent, or it cannot be built.
    """
    target = AGENTS.get(name, name)
    module_name, separator, attribute = target.partition(":")
    if not separator or not module_name or not attribute:
        raise AgentError(f"there is no agent {name!r}; use one of {', '.join(AGENTS)} or module:attribute")
    with contextlib.suppress(OSError):  # the current folder may be gone
        if (here := str(Path.cwd())) not in sys.path:
            sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise AgentError(f"agent {name!r}: there is no module {error.name!r} here or among the installed packages") from None
        if name in AGENTS and error.name:
            raise MissingExtraError(f"the agent {name!r}", error.name, "agents") from None
        raise AgentError(f"agent {name!r}: its module needs {error.name!r}, which is not installed") from None
    except CodeenvError:
        raise
    except (Exception, SystemExit) as error:
        raise AgentError(
            f"agent {name!r}: importing {module_name!r} failed: {one_line(f'{type(error).__name__}: {error}')}"
        ) from error
    if not hasattr(module, attribute):
        raise AgentError(f"agent {name!r}: module {module_name!r} has no {attribute!r}")
    agent = getattr(module, attribute)
    if inspect.isclass(agent):
        try:
            agent = agent(**_converted(name, agent, options or {}))
        except CodeenvError:
            raise
        except Exception as error:
            raise AgentError(f"agent {name!r}: {attribute}() failed: {one_line(f'{type(error).__name__}: {error}')}") from error
    elif options:
        raise AgentError(f"agent {name!r} is no class and takes no options; leave {next(iter(options))!r} out")
    if not callable(getattr(agent, "reset", None)):  # reset may return the agent of an episode
        act_of(agent)
    return agent


def _converted(name: str, kind: type, options: Mapping[str, str]) -> dict[str, Any]:
    """Return constructor arguments from texts."""
    parameters = inspect.signature(kind).parameters
    hints = get_type_hints(kind.__init__)  # type: ignore[misc]
    values: dict[str, Any] = {}
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    needed = [key for key, item in parameters.items() if item.default is inspect.Parameter.empty and item.kind in plain]
    if missing := [key for key in needed if key not in options]:
        raise AgentError(f"agent {name!r} needs the option {missing[0]!r}; give it as --agent-options {missing[0]}=VALUE")
    for key, text in options.items():
        if key not in parameters:
            known = ", ".join(parameters) or "none"
            raise AgentError(f"agent {name!r} has no option {key!r}; its options are: {known}")
        allowed = {hints.get(key, str), *get_args(hints.get(key, str))}
        try:
            if bool in allowed:
                values[key] = {"true": True, "1": True, "false": False, "0": False}[text.lower()]
            else:
                values[key] = int(text) if int in allowed and float not in allowed else float(text) if float in allowed else text
        except (ValueError, KeyError):
            raise AgentError(f"agent {name!r}: option {key} is {text!r}, which is not of its type {hints[key]}") from None
    return values


def _name(agent: Agent) -> str:
    return f"agent {getattr(agent, '__name__', type(agent).__name__)!r}"
