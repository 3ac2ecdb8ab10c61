"""What the agent is told: the first message, and the message after each failed turn.

All of it is a pure function of the problem and the public report. The texts are our own; their content follows RLEF
(arXiv 2410.02089, section 2.1 and appendix): every failing public test with its input and one of four kinds of detail
(wrong output, exception,
time limit, memory limit), then a request to try again and a reminder of the format. RLEF gives no length limits; ours are
in `FeedbackLimits`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from codeenv.errors import CodeenvError
from codeenv.judge.verdict import Report, TestResult, Verdict
from codeenv.problems import CallTest, CodeTest, Problem, StdioTest
from codeenv.problems.languages import LANGUAGES
from codeenv.submission import parameters_of
from codeenv.text import shorten

__all__ = [
    "FEEDBACKS",
    "PROMPTS",
    "Feedback",
    "FeedbackContext",
    "FeedbackLimits",
    "describe_failure",
    "get_feedback",
    "get_prompt",
]

_REMINDER = "Put the whole program in one block that starts with ```{language} and ends with ```."
RETRY = "Fix the program and answer with the whole corrected program."


@dataclass(frozen=True, slots=True)
class FeedbackLimits:
    """Limits of feedback: characters of one value or traceback, characters of the whole message, number of failures shown."""

    detail_chars: int = 512
    total_chars: int = 4096
    failures: int = 20


@dataclass(frozen=True, slots=True)
class FeedbackContext:
    """What a feedback function may look at.

    Attributes:
        problem: the problem; a feedback function must not show its private tests.
        source: the submitted program, `None` if the response held none.
        report: the public part of the judge's report on it.
        turn: 0-based number of the turn that the report is about.
        earlier: the public reports of the turns before, first turn first.
    """

    problem: Problem
    source: str | None
    report: Report
    turn: int
    earlier: tuple[Report, ...] = ()


Feedback: TypeAlias = Callable[[FeedbackContext], str]
Prompt: TypeAlias = Callable[[Problem], str]

_LIMITS = FeedbackLimits()


def reminder(problem: Problem) -> str:
    """Return the sentence that names the format of an answer."""
    return _REMINDER.format(language=problem.language)


def rlef_prompt(problem: Problem) -> str:
    """Return the first message: the task, the statement as it is, and the answer's format."""
    if problem.mode == "stdio":
        title = LANGUAGES[problem.language].title
        task = f"Solve this programming problem with a {title} program that reads standard input and writes standard output."
    else:
        task = f"Solve this programming problem in Python. The tests use `{problem.entry_point}`."
    return f"{task}\n\n{problem.statement.strip()}\n\n{reminder(problem)}"


def plain_prompt(problem: Problem) -> str:
    """Return the statement and nothing else."""
    return problem.statement


PROMPTS: dict[str, Prompt] = {"rlef": rlef_prompt, "plain": plain_prompt}
"""The first messages that have a name."""


def rlef(context: FeedbackContext, limits: FeedbackLimits = _LIMITS) -> str:
    """Return RLEF's feedback: every failing public test, then the request to try again and the format."""
    report = context.report
    if report.verdict is Verdict.NO_CODE:
        return f"Your answer holds no program that can be run.\n\n{RETRY} {reminder(context.problem)}"
    if report.verdict is Verdict.COMPILE_ERROR and not report.results:
        tail = 0.5 if context.problem.language == "python" else 0.0  # other compilers say the most in their first lines
        words = shorten(report.error.strip(), limits.detail_chars, keep_tail=tail)
        return f"Your program does not compile:\n\n{words}\n\n{RETRY} {reminder(context.problem)}"
    failed = report.failed
    parts = ["Your program fails these tests:"]
    parts += [describe_failure(context.problem, result, limits) for result in failed[: limits.failures]]
    if len(failed) > limits.failures:
        parts.append(f"... and {len(failed) - limits.failures} more failing tests.")
    body = shorten("\n\n".join(parts), limits.total_chars, keep_tail=0.0)
    return f"{body}\n\n{RETRY} {reminder(context.problem)}"


def first_failure(context: FeedbackContext) -> str:
    """Return `rlef` feedback about the first failing public test alone."""
    failed = context.report.failed
    if len(failed) < 2:
        return rlef(context)
    report = Report(context.report.problem_id, context.report.verdict, failed[:1], context.report.error, context.report.isolation)
    return rlef(replace(context, report=report))


def error_class(context: FeedbackContext) -> str:
    """Return only the kind of the first failure."""
    return f"Your program fails: {_SENTENCES[context.report.verdict]}\n\n{RETRY} {reminder(context.problem)}"


def binary(context: FeedbackContext) -> str:
    """Return only that the program is not right."""
    return f"Your program is not right.\n\n{RETRY} {reminder(context.problem)}"


def none(context: FeedbackContext) -> str:
    """Return a request for another attempt that says nothing about the last one (RLEF's no-feedback ablation)."""
    return f"Give another solution to the problem. {reminder(context.problem)}"


def compact(context: FeedbackContext) -> str:
    """Return one line about the first failing public test, for policies with a tiny vocabulary.

    The forms are `wrong: f([3,1]) gave ('cm',7) not ('kg',9) diff +2`, `wrong: f([3,1]) raised (TypeError) not ('kg',9)`
    and `invalid code`.
    `diff` is the wanted number minus the number given, where the last items of both values are whole numbers.
    """
    report = context.report
    if report.verdict in (Verdict.NO_CODE, Verdict.COMPILE_ERROR) or not report.failed:
        return "invalid code"
    result = report.failed[0]
    test = context.problem.public_tests[result.index]
    if not isinstance(test, CallTest):
        raise CodeenvError(f"feedback 'compact' needs call tests; problem {context.problem.id!r} has another kind")
    call = f"{context.problem.entry_point}({','.join(map(_tight, test.args))})"
    wanted = _tight(test.expected)
    if result.verdict is not Verdict.WRONG_ANSWER:
        name = result.error.strip().rsplit("\n", 1)[-1].split(":", 1)[0] or result.verdict.value
        return f"wrong: {call} raised ({name}) not {wanted}"
    return f"wrong: {call} gave {result.output.replace(' ', '')} not {wanted}{_difference(test.expected, result.output)}"


def values(context: FeedbackContext) -> str:
    """Return one line about the first failing public test that names the arguments and leaves the arithmetic to the reader.

    The forms are `wrong on p=3,q=1,r=4 gave 4 not 1` and `invalid code` (a crash too), for policies with a tiny vocabulary.
    """
    report = context.report
    if report.verdict in (Verdict.NO_CODE, Verdict.COMPILE_ERROR) or not report.failed:
        return "invalid code"
    result = report.failed[0]
    test = context.problem.public_tests[result.index]
    if result.verdict is not Verdict.WRONG_ANSWER:
        return "invalid code"
    if isinstance(test, CodeTest):
        return "wrong"
    if isinstance(test, StdioTest):
        texts = (" ".join(text.split()) for text in (test.input, result.output, test.output))
        given, got, wanted = (shorten(text, 200) for text in texts)
        return f"wrong on {given} gave {got} not {wanted}"
    names = parameters_of(context.source or "", context.problem.entry_point)
    shown = [f"{name}={_tight(value)}" for name, value in zip(names, test.args, strict=False)]
    shown += map(_tight, test.args[len(names) :])
    return f"wrong on {','.join(shown)} gave {result.output.replace(' ', '')} not {_tight(test.expected)}"


FEEDBACKS: dict[str, Feedback] = {
    "rlef": rlef,
    "first_failure": first_failure,
    "error_class": error_class,
    "binary": binary,
    "none": none,
    "compact": compact,
    "values": values,
}
"""The feedback functions that have a name."""


def get_feedback(feedback: str | Feedback) -> Feedback:
    """Return a feedback function by name, or the function itself."""
    if callable(feedback):
        return feedback
    if feedback not in FEEDBACKS:
        raise CodeenvError(f"there is no feedback named {feedback!r}; use one of {', '.join(FEEDBACKS)} or a function")
    return FEEDBACKS[feedback]


def get_prompt(prompt: str | Prompt) -> Prompt:
    """Return a first-message function by name, or the function itself."""
    if callable(prompt):
        return prompt
    if prompt not in PROMPTS:
        raise CodeenvError(f"there is no prompt named {prompt!r}; use one of {', '.join(PROMPTS)} or a function")
    return PROMPTS[prompt]


_SENTENCES = {
    Verdict.WRONG_ANSWER: "wrong answer.",
    Verdict.RUNTIME_ERROR: "it raises an exception or crashes.",
    Verdict.TIME_LIMIT: "it takes too long.",
    Verdict.MEMORY_LIMIT: "it uses too much memory.",
    Verdict.OUTPUT_LIMIT: "it prints too much.",
    Verdict.COMPILE_ERROR: "it does not compile.",
    Verdict.NO_CODE: "there is no program in the answer.",
    Verdict.SECURITY_VIOLATION: "it does something that is not allowed.",
    Verdict.ACCEPTED: "a test fails.",
    Verdict.JUDGE_ERROR: "it could not be judged.",
}


def describe_failure(problem: Problem, result: TestResult, limits: FeedbackLimits = _LIMITS) -> str:
    """Return the paragraph about one failing public test: its input, then what was wanted and what happened."""

    def bounded(text: str) -> str:
        return shorten(text, limits.detail_chars)

    test = problem.tests("all")[result.index]
    lines = [f"Test {result.index + 1}: {_SENTENCES[result.verdict]}"]
    if isinstance(test, StdioTest):
        lines += ["Input:", bounded(test.input.rstrip("\n"))]
    elif isinstance(test, CallTest):
        keywords = [f"{name}={value!r}" for name, value in test.kwargs.items()]
        lines += ["Call:", bounded(f"{problem.entry_point}({', '.join([*map(repr, test.args), *keywords])})")]
    if result.verdict is Verdict.WRONG_ANSWER and not isinstance(test, CodeTest):
        expected = test.output.rstrip("\n") if isinstance(test, StdioTest) else repr(test.expected)
        lines += ["Expected:", bounded(expected), "Got:", bounded(result.output.rstrip("\n"))]
    elif result.error:
        lines += ["Details:" if isinstance(test, CodeTest) else "Error:", bounded(result.error.strip())]
    elif result.verdict is Verdict.TIME_LIMIT:
        lines.append(f"The limit is {problem.limits.time_limit_s:g} seconds.")
    elif result.verdict is Verdict.MEMORY_LIMIT:
        lines.append(f"The limit is {problem.limits.memory_mb} MiB.")
    return "\n".join(lines)


def _tight(value: object) -> str:
    return repr(value).replace(" ", "")


def _difference(expected: object, output: str) -> str:
    wanted = expected[-1] if isinstance(expected, (tuple, list)) and expected else expected
    given = output.strip().rstrip(")]").rsplit(",", 1)[-1].lstrip("([ ").strip()
    if type(wanted) is not int or not given.lstrip("-").isdigit():
        return ""
    return f" diff {wanted - int(given):+d}"
