"""Items of ours: one traced run of an attempt on a public test gives the output, the variables by scope, and the exception.

Differences from the released code: variables inside functions count, a crash becomes an exception item, call tests work, runs are
repeated and must agree, and items that a constant or a copy of the input answers are dropped.
"""

from __future__ import annotations

import ast
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from codeenv.errors import CodeenvError
from codeenv.judge import Judge
from codeenv.judge.verdict import TestResult, Verdict
from codeenv.prediction.attempt import Attempt, Built, program_key, random_from_list, random_to_list, recording_request
from codeenv.prediction.item import Kind, PredictionItem
from codeenv.prediction.second_run import disturbed
from codeenv.prediction.values import final_values, input_fields, plain_of, same
from codeenv.problems import CallTest, StdioTest
from codeenv.trace import Trace, TraceError

__all__ = ["ScopedBuilder", "ScopedConfig", "TrivialFilter"]


_UNPREDICTABLE = frozenset({"random", "secrets", "uuid", "time", "datetime", "threading", "multiprocessing", "asyncio", "os"})


@dataclass(frozen=True, slots=True)
class ScopedConfig:
    """How items are made.

    Attributes:
        names: most variables asked in an item.
        source: which attempts become items: `failed`, `passed` or `all`.
        per_problem: most items of one problem in a call of `build`.
        per_program: most items of one program.
        runs: traced runs of each attempt, which must agree.
        max_value_chars: longest text of an asked value; of the output four times that.
        drop_trivial: drop items that a constant guess or a copy of an input answers.
        crashes: make exception items.
        seed: of the tie-breaks.
    """

    names: int = 3
    source: str = "failed"
    per_problem: int = 1
    per_program: int = 2
    runs: int = 2
    max_value_chars: int = 64
    drop_trivial: bool = True
    crashes: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.source not in ("failed", "passed", "all"):
            raise CodeenvError(f"the source of alignment items is {self.source!r}; use 'failed', 'passed' or 'all'")
        for name in ("names", "per_problem", "per_program", "runs", "max_value_chars"):
            if getattr(self, name) < (0 if name == "names" else 1):
                raise CodeenvError(f"{name} is {getattr(self, name)!r}; use a larger whole number")


class TrivialFilter:
    """Knows the commonest value of each type among the items so far.

    Args:
        least: observations of a type before its commonest value counts as a guess.
    """

    def __init__(self, least: int = 20) -> None:
        self.least = least
        self.seen: dict[str, Counter[str]] = {}

    def add(self, item: PredictionItem) -> None:
        """Count the item's true values."""
        for value in _asked(item):
            self.seen.setdefault(type(value).__name__, Counter())[repr(value)] += 1

    def is_trivial(self, item: PredictionItem) -> bool:
        """Return whether the commonest value of each type, or values copied from the input, answer the whole item."""
        if item.kind == "exception":
            return False
        asked = _asked(item)
        fields = input_fields(item.test)
        copied = all(any(same(value, given) for given in fields) for value in asked)
        return copied or all(self._commonest(value) for value in asked)

    def _commonest(self, value: Any) -> bool:
        counts = self.seen.get(type(value).__name__)
        return bool(counts and counts.total() >= self.least and counts.most_common(1)[0][0] == repr(value))


def _asked(item: PredictionItem) -> list[Any]:
    return [item.output, *(item.values[name] for name in item.names)]


class ScopedBuilder:
    """Makes items in mode `ours`.

    Args:
        judge: runs the programs.
        config: the settings.
    """

    def __init__(self, judge: Judge, config: ScopedConfig | None = None) -> None:
        self.judge = judge
        self.config = config or ScopedConfig()
        self.trivial = TrivialFilter()
        self._random = random.Random(self.config.seed)

    def build(self, attempts: Sequence[Attempt]) -> Built:
        """Return at most `per_problem` items of each problem."""
        built = Built()
        chosen = self._choose(attempts, built)
        requests = []
        for attempt, test in chosen:
            for number in range(self.config.runs):  # a judge runs equal programs once: each run is of another text
                source = disturbed(attempt.source)[0] + "\npass" * (number - 1) if number else attempt.source
                requests.append(recording_request(attempt.problem, test, source, attempt.problem.limits, trace="full"))
        reports = self.judge.judge_many(requests)
        for number, (attempt, test) in enumerate(chosen):
            runs = reports[number * self.config.runs : (number + 1) * self.config.runs]
            results = [report.results[0] for report in runs if report.results]
            if len(results) < len(runs):  # it does not compile
                built.dropped["run_failed"] += 1
                continue
            item = self._item(attempt, test, results, built)
            if item is None:
                continue
            if self.config.drop_trivial and self.trivial.is_trivial(item):
                built.dropped["trivial"] += 1
            else:
                built.items.append(item)
            self.trivial.add(item)
        return built

    def to_dict(self) -> dict[str, Any]:
        """Return the commonest values so far and the state of the choices."""
        seen = {kind: dict(counts) for kind, counts in self.trivial.seen.items()}
        return {"seen": seen, "random": random_to_list(self._random)}

    def load_dict(self, state: dict[str, Any]) -> None:
        """Take what `to_dict` returned."""
        self.trivial.seen = {kind: Counter(counts) for kind, counts in state["seen"].items()}
        random_from_list(self._random, state["random"])

    def _choose(self, attempts: Sequence[Attempt], built: Built) -> list[tuple[Attempt, StdioTest | CallTest]]:
        by_problem: Counter[str] = Counter()
        by_program: Counter[str] = Counter()
        keys: set[tuple[str, str]] = set()
        chosen: list[tuple[Attempt, StdioTest | CallTest]] = []
        for attempt in self._random.sample(list(attempts), len(attempts)):
            tests = attempt.problem.public_tests
            test = tests[attempt.test] if attempt.test < len(tests) else None
            program = program_key(attempt.source)
            if attempt.passed == (self.config.source == "failed") and self.config.source != "all":
                built.dropped["passed" if attempt.passed else "failed"] += 1
            elif not isinstance(test, (StdioTest, CallTest)):
                built.dropped["no_input"] += 1
            elif _draws_or_looks_at_clocks(attempt.source):
                built.dropped["not_deterministic"] += 1
            elif (program, repr(test)) in keys:
                built.dropped["duplicate"] += 1
            elif by_problem[attempt.problem.id] >= self.config.per_problem or by_program[program] >= self.config.per_program:
                built.dropped["enough"] += 1
            else:
                keys.add((program, repr(test)))
                by_problem[attempt.problem.id] += 1
                by_program[program] += 1
                chosen.append((attempt, test))
        return chosen

    def _item(
        self, attempt: Attempt, test: StdioTest | CallTest, results: Sequence[TestResult], built: Built
    ) -> PredictionItem | None:
        first = results[0]
        name = f"{attempt.problem.id}/{program_key(attempt.source)}/{attempt.test}"
        if any(result.verdict is not first.verdict for result in results):
            built.dropped["not_deterministic"] += 1
            return None
        if first.verdict is Verdict.RUNTIME_ERROR:
            after = disturbed(attempt.source)[1]
            errors = [_end(result, after if number else None) for number, result in enumerate(results)]
            error = errors[0]
            if not self.config.crashes or error is None or error[1] < 1:
                built.dropped["run_failed"] += 1
                return None
            if any(other != error for other in errors):
                built.dropped["not_deterministic"] += 1
                return None
            return PredictionItem(
                name, "exception", attempt.problem, attempt.source, test, exception=error, passed=attempt.passed
            )
        if first.verdict is not Verdict.WRONG_ANSWER:  # nothing is right for a run that is only recorded
            built.dropped["run_failed"] += 1
            return None
        if any(result.output != first.output for result in results):
            built.dropped["not_deterministic"] += 1
            return None
        if len(first.output) > 4 * self.config.max_value_chars:
            built.dropped["long_output"] += 1
            return None
        try:
            output = first.output.strip() if isinstance(test, StdioTest) else plain_of(first.output)
        except ValueError:
            built.dropped["no_plain_output"] += 1
            return None
        if output == "" and isinstance(test, StdioTest):
            built.dropped["empty_output"] += 1
            return None
        values = self._values(attempt.source, test, results)
        kind: Kind = "state" if values else "output"
        return PredictionItem(
            name, kind, attempt.problem, attempt.source, test, output, tuple(values), values, passed=attempt.passed
        )

    def _values(self, source: str, test: StdioTest | CallTest, results: Sequence[TestResult]) -> dict[str, Any]:
        """Return the variables to ask, in program order: the most often bound of those that may be asked."""
        if self.config.names == 0:
            return {}
        traces = [_trace(result) for result in results]
        if any(trace is None or trace.footer.dropped for trace in traces):
            return {}
        found = [final_values(trace, self.config.max_value_chars) for trace in traces if trace]
        left_out = _bound_once_to_literal(source) | _shared(source)
        fields = input_fields(test)
        asked: list[tuple[int, float, str, Any]] = []
        for name, (count, value) in found[0].items():
            agreed = all(name in other and same(other[name][1], value) for other in found[1:])
            if agreed and name.rpartition(".")[2] not in left_out and not any(same(value, given) for given in fields):
                asked.append((-count, self._random.random(), name, value))
        kept = {name: value for _, _, name, value in sorted(asked, key=lambda row: row[:2])[: self.config.names]}
        return {name: kept[name] for name in found[0] if name in kept}


def _trace(result: TestResult) -> Trace | None:
    if not result.trace:
        return None
    try:
        return Trace.from_jsonl(result.trace)
    except TraceError:
        return None


def _end(result: TestResult, after: int | None) -> tuple[str, int] | None:
    """Return the type and the line of the exception that ended a run, in lines of the program as it was submitted.

    Args:
        result: of the run.
        after: the line behind which a line was put in, `None` if none was.
    """
    trace = _trace(result)
    if trace is None or trace.footer.exception is None:
        return None
    line = trace.footer.exception.line
    return trace.footer.exception.type, line - 1 if after is not None and line > after else line


def _draws_or_looks_at_clocks(source: str) -> bool:
    """Return whether a program imports or calls what no one can predict: equal runs do not show it, as the sandbox seeds them."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            first = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
            if node.func.id == "hash" and not isinstance(first, (int, float)):
                return True  # that of a text or object is another in each process
            if node.func.id == "__import__" and isinstance(first, str):
                names.add(first.partition(".")[0])
    return not names.isdisjoint(_UNPREDICTABLE)


def _bound_once_to_literal(source: str) -> set[str]:
    """Return the names that the program binds exactly once, to a literal: their value can be read off."""
    bound: Counter[str] = Counter()
    literal: set[str] = set()
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound[node.id] += 1
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            literal.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return {name for name in literal if bound[name] == 1}


def _shared(source: str) -> set[str]:
    """Return the names that a program declares `nonlocal`: a record shows what their owner binds, not what others do."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    return {name for node in ast.walk(tree) if isinstance(node, ast.Nonlocal) for name in node.names}
