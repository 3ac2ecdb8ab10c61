"""No cheat is paid, at any isolation level, in any kind of test; and the cheats are real: naive graders pay them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from attacks.cheats import CHEATS
from attacks.naive import SECRET, pays
from codeenv.judge import Judge, JudgeRequest, Report, Verdict
from codeenv.problems.problem import CallTest, CodeTest, Limits, Problem, StdioTest
from codeenv.sandbox import levels

LIMITS = Limits(time_limit_s=0.3, memory_mb=512, output_kb=256)
ASSERTS = f"assert abs(f(1) - {SECRET}) < 1e-6\n"


def call(name: str, test: CallTest | CodeTest) -> Problem:
    return Problem(name, "", "call", "f", private_tests=(test,), limits=LIMITS)


PROBLEMS = {
    "call": call("call", CallTest((1,), {}, SECRET)),
    "list": call("list", CallTest((1,), {}, [SECRET])),
    "asserts": call("asserts", CodeTest(ASSERTS)),
    "stdio": Problem("stdio", "", "stdio", private_tests=(StdioTest("1\n", f"{SECRET}\n"),), limits=LIMITS),
}
HONEST = {
    "call": f"def f(x): return {SECRET}",
    "list": f"def f(x): return [{SECRET}]",
    "asserts": f"def f(x): return {SECRET}",
    "stdio": f"print({SECRET})",
}
BACKENDS = {
    ("namespaces", "test"): ("call", "list", "asserts", "stdio"),
    ("namespaces", "batch"): ("call", "stdio", "asserts"),
    ("landlock", "test"): ("call", "asserts"),
    ("landlock", "batch"): ("asserts",),
    ("docker", "test"): ("call", "asserts"),
    ("docker", "batch"): ("asserts",),
}
"""Level and isolation, and the kinds of test that are judged there."""


@pytest.fixture(scope="module", params=BACKENDS, ids=lambda item: "-".join(item))
def reports(request: pytest.FixtureRequest) -> Iterator[dict[tuple[str, str], Report]]:
    """The reports of all cheats on all problems at one backend, with an honest program after every cheat."""
    level, isolation = request.param
    kinds = BACKENDS[request.param]
    if reason := levels.check(level):
        pytest.skip(reason)
    found = {}
    with Judge(sandbox=level, workers=2, isolation=isolation) as judge:
        for kind in kinds:
            problem = PROBLEMS[kind]
            requests = [
                JudgeRequest(problem, source) for cheat in CHEATS for source in (cheat.source, f"{HONEST[kind]} # {cheat.name}")
            ]
            answers = judge.judge_many(requests)
            for position, cheat in enumerate(CHEATS):
                found[kind, cheat.name] = answers[2 * position]
                found[kind, cheat.name + ", and then an honest program"] = answers[2 * position + 1]
        assert judge.stats.retries == 0
    return found


def test_there_are_at_least_a_hundred_different_cheats() -> None:
    assert len({cheat.source for cheat in CHEATS}) == len({cheat.name for cheat in CHEATS}) == len(CHEATS) >= 100


@pytest.mark.parametrize("cheat", CHEATS, ids=lambda cheat: cheat.name)
def test_a_cheat_is_not_paid(cheat: object, reports: dict[tuple[str, str], Report]) -> None:
    name = cheat.name  # type: ignore[attr-defined]
    for kind in [kind for kind, judged in reports if judged == name]:
        report = reports[kind, name]
        assert report.verdict not in (Verdict.ACCEPTED, Verdict.JUDGE_ERROR), (kind, report)
        assert not any(result.verdict is Verdict.ACCEPTED for result in report.results), (kind, report)
        honest = reports[kind, name + ", and then an honest program"]
        assert honest.accepted, (kind, honest)


@pytest.mark.parametrize("cheat", [cheat for cheat in CHEATS if cheat.pays], ids=lambda cheat: cheat.name)
def test_a_naive_grader_pays_the_cheat(cheat: object, tmp_path: Path) -> None:
    assert pays(cheat.pays, cheat.source, tmp_path)  # type: ignore[attr-defined]


@pytest.mark.parametrize("grader", sorted({cheat.pays for cheat in CHEATS if cheat.pays}))
def test_a_naive_grader_refuses_a_wrong_program_that_does_not_cheat(grader: str, tmp_path: Path) -> None:
    assert not pays(grader, "def f(x): return 12\ndef g(values): return 12\nprint(12)", tmp_path)
