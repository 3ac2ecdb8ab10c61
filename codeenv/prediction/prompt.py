"""The texts that ask for predictions. Style `plain` is ours, `official` follows the structure of the released CodeRL+ prompt,
`compact` is for policies with a tiny vocabulary."""

from __future__ import annotations

import json
from typing import Any, Literal, TypeAlias, get_args

from codeenv.errors import CodeenvError
from codeenv.prediction.item import PredictionItem
from codeenv.problems import CallTest, StdioTest
from codeenv.submission import fence, parameters_of
from codeenv.text import shorten

__all__ = ["PROMPT_STYLES", "PromptStyle", "answer_text", "prompt_of"]

PromptStyle: TypeAlias = Literal["plain", "official", "compact"]
PROMPT_STYLES: tuple[str, ...] = get_args(PromptStyle)

_INPUT_CHARS = 4_000
_EXAMPLES = {
    "state": {"final_output": 7, "variables": {"f.total": 7, "f.seen": [3, 4]}},
    "exception": {"exception": "IndexError", "line": 4},
    "output": {"final_output": [1, 2]},
    "input": {"args": [3, "ab"], "kwargs": {}},
    "stdin": {"input": "3\n1 2 3\n"},
    "repair": {"lines": ["    total += x"]},
}


def prompt_of(item: PredictionItem, style: PromptStyle = "plain") -> str:
    """Return the first message that asks for the item's answer. The truth is not in it."""
    if style not in PROMPT_STYLES:
        raise CodeenvError(f"the prompt style is {style!r}; use one of {', '.join(PROMPT_STYLES)}")
    if style == "compact":
        return _compact(item)
    if style == "official":
        return _official(item)
    return _plain(item)


def answer_text(item: PredictionItem) -> str:
    """Return the right answer as the JSON text that the prompts ask for; for kinds whose answer is run, the known one.

    Variables come first, in program order of the item, so that a policy may use them on the way to the output.
    """
    answer: dict[str, Any]
    if item.kind == "exception":
        answer = {"exception": item.exception[0], "line": item.exception[1]} if item.exception else {}
    elif item.kind == "repair":
        answer = {"lines": list(item.masked)}
    elif item.kind == "input" and isinstance(item.test, CallTest):
        answer = {"args": list(item.test.args)} | ({"kwargs": dict(item.test.kwargs)} if item.test.kwargs else {})
    elif item.kind == "input":
        answer = {"input": item.input_text}
    elif item.kind == "state":
        answer = {
            "variables": {name: _jsonable(item.values[name]) for name in item.names},
            "final_output": _jsonable(item.output),
        }
    else:
        answer = {"final_output": _jsonable(item.output)}
    return json.dumps(answer)


def _jsonable(value: Any) -> Any:
    """Return the JSON form in which a truth is asked for: lists for tuples and sets, text keys."""
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return [_jsonable(item) for item in sorted(value, key=repr)]
    if isinstance(value, dict):
        return {key if isinstance(key, str) else repr(key): _jsonable(item) for key, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return repr(value)


def _shown_input(item: PredictionItem) -> str:
    shown = shorten(item.input_text, _INPUT_CHARS)
    if isinstance(item.test, StdioTest):
        return f"Standard input:\n```\n{shown.rstrip(chr(10))}\n```"
    return f"Call:\n```\n{shown}\n```"


def _shown_output(item: PredictionItem) -> str:
    text = str(item.output) if isinstance(item.test, StdioTest) else repr(item.output)
    what = "prints" if isinstance(item.test, StdioTest) else "returns"
    return f"It {what}:\n```\n{shorten(text, _INPUT_CHARS).rstrip(chr(10))}\n```"


def _plain(item: PredictionItem) -> str:
    result = "prints" if isinstance(item.test, StdioTest) else "returns"
    example = _EXAMPLES.get(
        "stdin" if item.kind == "input" and isinstance(item.test, StdioTest) else item.kind, _EXAMPLES["output"]
    )
    parts: list[str] = []
    if item.kind == "test_output":
        parts += ["Here is a programming problem.", item.problem.statement, _shown_input(item)]
        ask = f"What does a right program give for this input? Answer with the value that it {result}."
    else:
        parts.append(f"Here is a Python program, which may be wrong.\n\n{fence(item.code)}")
        if item.kind == "input":
            parts.append(_shown_output(item))
            ask = "Give any input for which it does that."
        elif item.kind == "repair":
            parts += [_shown_input(item), _shown_output(item)]
            marks = ", ".join(f"MASKED_LINE_{number}" for number in range(1, len(item.masked) + 1))
            ask = f"Replace {marks} by lines of Python, with their indentation, so that the program does that."
        elif item.kind == "exception":
            parts.append(_shown_input(item))
            ask = "The run ends with an exception that is not caught. Which type has it, and which line of the program raises it?"
        else:
            parts.append(_shown_input(item))
            ask = f"Run the program in your head. What is the value that it {result}"
            listed = "\n".join(f"- {name}" for name in item.names)
            ask += f", and what are the final values of these variables?\n{listed}" if item.names else "?"
            if any("." in name for name in item.names):
                ask += "\n(`f.x` is the variable x of the function f, at the end of its last call.)"
    parts.append(ask)
    parts.append(
        "You may think step by step first. End with one JSON object like this one, with lists for tuples and sets:\n"
        + json.dumps(example)
    )
    return "\n\n".join(parts)


def _official(item: PredictionItem) -> str:
    """The structure of the released prompt in our words: code, input, two questions, reasoning first, strict JSON on the
    last line.

    The example is valid JSON, which the released one is not.
    """
    if item.kind != "state":
        raise CodeenvError(f"the released prompt asks for kind 'state' alone, this item is {item.kind!r}; use style 'plain'")
    names = ", ".join(item.names) if item.names else "(none)"
    return (
        "You are given Python code and an input. Predict what running the code on the input gives.\n\n"
        f"Code:\n{fence(item.code)}\n\nInput:\n```\n{item.input_text.rstrip()}\n```\n\n"
        "Tasks:\n1. final_output: the text that the code prints.\n"
        f"2. variables: the final values of these local variables at the moment of output: {names}\n\n"
        "First reason step by step, without writing any JSON. Then write, as the last line alone, "
        "one strict JSON object with the keys final_output and variables, for example:\n"
        '{"final_output": "7", "variables": {"total": 7}}'
    )


def _compact(item: PredictionItem) -> str:
    shown = named_arguments(item)
    if item.kind == "test_output":
        return f"{item.problem.statement}\non {shown}"
    if item.kind == "repair":
        return f"fill\n{item.code}\non {shown} gives {item.output}"
    if item.kind == "input":
        return f"find\n{item.code}\ngives {item.output}"
    return f"run\n{item.code}\non {shown}"


def named_arguments(item: PredictionItem) -> str:
    """Return the arguments of a call with the names of the program's parameters where they are known; else the input.

    >>> from codeenv.problems import Problem
    >>> problem = Problem("p", "", "call", "f", public_tests=(CallTest((3, 1), {}, 0),))
    >>> named_arguments(PredictionItem("i", "output", problem, "def f(a, b): return b", problem.public_tests[0], 1))
    'a=3,b=1'
    """
    if isinstance(item.test, StdioTest):
        return item.input_text.rstrip("\n")
    code = item.code
    for number, line in enumerate(item.masked, start=1):  # put back so that it parses; only its parameters are read
        code = code.replace(f"MASKED_LINE_{number}", line, 1)
    names = parameters_of(code, item.problem.entry_point)
    values = [repr(value) for value in item.test.args]
    shown = [f"{name}={value}" for name, value in zip(names, values, strict=False)] + values[len(names) :]
    return ",".join([*shown, *(f"{name}={value!r}" for name, value in item.test.kwargs.items())])
