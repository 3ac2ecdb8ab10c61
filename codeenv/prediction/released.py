"""Items as the released CodeRL+ code makes them (arXiv 2510.18471, code of January 2026), with public tests in place of its
only list.

A suffix is put behind the program that writes the module's simple variables as JSON; there is no tracing. What follows from it:
work inside functions leaves no variable, a run that ends in `sys.exit` never reaches the suffix, a program whose last statement
is a function behind the main guard takes the suffix into that function, and a variable that JSON cannot hold drops the item.
The filters run in the released order: complexity, passed, failed run, empty output, duplicate, prompt length.
"""

from __future__ import annotations

import ast
import json
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from codeenv.errors import CodeenvError
from codeenv.judge import Judge
from codeenv.judge.verdict import Verdict
from codeenv.prediction.attempt import Attempt, Built, recording_request
from codeenv.prediction.item import PredictionItem
from codeenv.prediction.prompt import prompt_of
from codeenv.problems import CallTest, StdioTest

__all__ = ["ReleasedBuilder", "complexity", "module_values", "with_suffix"]

MAX_COMPLEXITY = 100
MAX_NAMES = 3
TIME_LIMIT_S = 5.0
_MARKER = "--- final values of the module ---"

_SUFFIX = f"""
import json as _json, sys as _sys
_found = {{}}
for _name, _value in list(locals().items()):
    if not _name.startswith("_") and type(_value) in (int, float, str, bool, list, dict, tuple, set, type(None)):
        _found[_name] = list(_value) if type(_value) is set else _value
_text = _json.dumps(_found)
_sys.stdout.flush()
_sys.__stdout__.write("\\n{_MARKER}\\n" + _text + "\\n")
"""


def with_suffix(source: str) -> str:
    """Return the program with the suffix that writes its variables: at the end, or indented if it has a main guard."""
    guarded = '__name__ == "__main__"' in source or "__name__ == '__main__'" in source
    return source.rstrip("\n") + "\n" + (textwrap.indent(_SUFFIX, "    ") if guarded else _SUFFIX)


def module_values(output: str) -> tuple[str, dict[str, Any]]:
    """Split the output of a program with the suffix into what it printed and its variables ({} if the suffix did not run)."""
    printed, found, text = output.rpartition(f"\n{_MARKER}\n")
    if not found:
        return output, {}
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return printed, {}
    return printed, values if isinstance(values, dict) else {}


def complexity(source: str) -> int:
    """Return the released code's cyclomatic complexity: 1 + branches and loops + operands of and/or beyond the first; 999
    if unparsable.

    >>> complexity("if a and b:\\n    pass"), complexity("if")
    (3, 999)
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return 999
    total = 1
    for node in ast.walk(tree):
        if isinstance(node, (ast.If, ast.While, ast.For, ast.ExceptHandler)):
            total += 1
        elif isinstance(node, ast.BoolOp):
            total += len(node.values) - 1
    return total


class ReleasedBuilder:
    """Makes items in mode `official`.

    Args:
        judge: runs the programs.
        prompt_tokens: counts the tokens of a chat-formatted prompt; `None` skips the length filter.
        max_prompt_tokens: longest prompt that is kept.
    """

    def __init__(self, judge: Judge, prompt_tokens: Callable[[str], int] | None = None, max_prompt_tokens: int = 1024) -> None:
        self.judge = judge
        self.prompt_tokens = prompt_tokens
        self.max_prompt_tokens = max_prompt_tokens

    def build(self, attempts: Sequence[Attempt]) -> Built:
        """Return the items of the failed attempts that run cleanly and print something.

        Raises:
            CodeenvError: if all attempts are functions: these items are about what programs print.
        """
        if attempts and all(attempt.problem.mode == "call" for attempt in attempts):
            raise CodeenvError(
                f"mode 'official' asks what a program prints, and {attempts[0].problem.id!r} is a function, as all are; "
                "use mode 'ours', or problems that read and print"
            )
        built = Built()
        runs: list[tuple[Attempt, StdioTest | CallTest]] = []
        for attempt in attempts:
            test = attempt.problem.public_tests[0] if attempt.problem.public_tests else None
            if complexity(attempt.source) > MAX_COMPLEXITY:
                built.dropped["complexity"] += 1
            elif attempt.reward > 0 or attempt.passed:
                built.dropped["passed"] += 1
            elif not isinstance(test, (StdioTest, CallTest)):
                built.dropped["no_input"] += 1
            else:
                runs.append((attempt, test))
        requests = []
        for attempt, test in runs:
            limits = replace(attempt.problem.limits, time_limit_s=TIME_LIMIT_S)
            requests.append(recording_request(attempt.problem, test, with_suffix(attempt.source), limits))
        seen: set[tuple[str, str]] = set()
        for (attempt, test), report in zip(runs, self.judge.judge_many(requests), strict=True):
            result = report.results[0] if report.results else None
            if result is None or result.verdict is not Verdict.WRONG_ANSWER:
                built.dropped["run_failed"] += 1
                continue
            printed, values = module_values(result.output) if isinstance(test, StdioTest) else ("", {})
            item = self._item(attempt, test, printed.strip(), values)
            if not item.output:
                built.dropped["empty_output"] += 1
            elif (item.input_text, item.output) in seen:
                built.dropped["duplicate"] += 1
            elif self.prompt_tokens and self.prompt_tokens(prompt_of(item, "official")) > self.max_prompt_tokens:
                built.dropped["long_prompt"] += 1
            else:
                seen.add((item.input_text, item.output))
                built.items.append(item)
        return built

    def to_dict(self) -> dict[str, Any]:
        """Return nothing: it remembers nothing."""
        return {}

    def load_dict(self, state: dict[str, Any]) -> None:
        """Take nothing."""

    @staticmethod
    def _item(attempt: Attempt, test: StdioTest | CallTest, printed: str, values: dict[str, Any]) -> PredictionItem:
        names = tuple(values)[-MAX_NAMES:]
        return PredictionItem(
            id=f"{attempt.problem.id}/official/0",
            kind="state",
            problem=attempt.problem,
            code=attempt.source,
            test=test,
            output=printed,
            names=names,
            values={name: values[name] for name in names},
            passed=attempt.passed,
        )
