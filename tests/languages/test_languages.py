"""Submissions in other languages get the verdicts that Python submissions get, from the command line to the environment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from programs import CASES, PROGRAMS

from codeenv.batch import EpisodeBatch
from codeenv.cli import main
from codeenv.episode import EnvConfig
from codeenv.errors import CodeenvError
from codeenv.judge import Judge, JudgeRequest, Report, Verdict
from codeenv.problems import Problem, ProblemError, StdioTest
from codeenv.problems.languages import LANGUAGES
from codeenv.problems.problem import Checker, Limits
from codeenv.sandbox import levels
from codeenv.sandbox.foreign import Foreign
from codeenv.sandbox.toolchains import missing, toolchain
from codeenv.submission import extract_code, fence

LIMITS = Limits(time_limit_s=1.0, memory_mb=256, output_kb=64)
TESTS = (StdioTest("1 2 3\n", "6\n"), StdioTest("40 2\n", "42\n"))


def problem(language: str, **changes: object) -> Problem:
    settings = {"public_tests": TESTS[:1], "private_tests": TESTS[1:], "limits": LIMITS, **changes}
    return Problem("sum", "Print the sum.", "stdio", language=language, **settings)  # type: ignore[arg-type]


def needed(language: str) -> None:
    if reason := missing(language) or levels.check("namespaces"):
        pytest.skip(reason)


@pytest.fixture(scope="module")
def local() -> Iterator[Judge]:
    with Judge(workers=2) as judge:
        yield judge


@pytest.fixture(scope="module")
def reports(local: Judge) -> dict[tuple[str, str], Report]:
    """The report of every program of the languages that are installed."""
    cases = [case for case in CASES if not missing(case[0])]
    if reason := levels.check("namespaces"):
        pytest.skip(reason)
    requests = [JudgeRequest(problem(language), PROGRAMS[language][fate]) for language, fate in cases]
    return dict(zip(cases, local.judge_many(requests), strict=True))


@pytest.mark.parametrize(("language", "fate"), CASES)
def test_a_program_gets_the_verdict_of_its_fate(language: str, fate: str, reports: dict[tuple[str, str], Report]) -> None:
    needed(language)
    report = reports[language, fate]
    assert report.verdict.value == fate, report
    assert report.isolation == "namespaces"
    if fate == "compile_error":
        assert not report.results
        assert any(word in report.error for word in ("main.", "Main.java", "solution.js")), report.error
        assert "/tmp" not in report.error


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("c", "killed by signal SIGABRT"),
        ("cpp", "std::out_of_range"),
        ("go", "index out of range"),
        ("java", "NullPointerException"),
        ("javascript", "TypeError"),
        ("rust", "index out of bounds"),
    ],
)
def test_a_crash_shows_what_the_runtime_said(language: str, words: str, reports: dict[tuple[str, str], Report]) -> None:
    needed(language)
    assert words in reports[language, "runtime_error"].results[0].error


def test_every_test_is_a_process_of_its_own(local: Judge) -> None:
    needed("cpp")
    source = "#include <iostream>\nint n; int main() { long s = 0, x; while (std::cin >> x) s += x; std::cout << s + n++; }"
    report = local.judge(problem("cpp", private_tests=TESTS * 3), source)
    assert report.accepted
    assert all(0 < result.memory_mb < 64 for result in report.results)


def test_a_program_is_compiled_once() -> None:
    needed("cpp")
    files = {"main.cpp": (PROGRAMS["cpp"]["accepted"] + "// once").encode()}
    foreign, another = Foreign("namespaces", 1), Foreign("namespaces", 1)
    try:
        first = foreign.compile("cpp", files)
        assert first.artifact
        assert another.compile("cpp", files) is first
        assert another.compile("cpp", {**files, "more.cpp": b"int twice;"}) is not first
    finally:
        foreign.close()
        another.close()


def test_a_java_program_may_be_in_a_package_and_have_helpers(local: Judge) -> None:
    needed("java")
    body = PROGRAMS["java"]["accepted"].replace("import java.util.*;", "package contest.day1;\nimport java.util.*;")
    helper = "class AHelper { static void main(int x) {} enum Kind { ONE } }\n"
    assert local.judge(problem("java"), body + helper).accepted


def test_checker_programs_see_the_output_of_other_languages(local: Judge) -> None:
    needed("c")
    checker = Checker(
        kind="program", program="def check(given, output, expected):\n    return int(output) == int(expected) + 1\n"
    )
    more = PROGRAMS["c"]["accepted"].replace("long s = 0", "long s = 1")
    assert local.judge(problem("c", checker=checker), more).accepted
    assert local.judge(problem("c", checker=checker), PROGRAMS["c"]["accepted"]).verdict is Verdict.WRONG_ANSWER


def test_languages_are_judged_together_in_the_order_of_the_requests(local: Judge) -> None:
    needed("c")
    wanted = [
        ("c", "accepted"),
        ("python", "print(sum(map(int, input().split())))"),
        ("c", "wrong_answer"),
        ("python", "print(7)"),
    ]
    requests = [JudgeRequest(problem(language), PROGRAMS.get(language, {}).get(text, text)) for language, text in wanted]
    assert [report.accepted for report in local.judge_many(requests)] == [True, True, False, False]


def test_feedback_of_an_episode_names_the_first_lines_of_the_compiler(local: Judge) -> None:
    needed("cpp")
    batch = EpisodeBatch([problem("cpp")], local, EnvConfig())
    assert "```cpp" in batch.observations[0]["problem"]
    assert "C++ program" in batch.observations[0]["problem"]
    source = "int main() {\n    return nothing;\n}\n" + "// long\n" * 200 + "int f() { return others; }\n"
    step = batch.step({0: f"```c++\n{source}```"})[0]
    assert step.reward == pytest.approx(-0.2)  # as a Python program that does not compile
    assert step.observation["feedback"].startswith("Your program does not compile:\n\nmain.cpp: In function 'int main()':\n")
    assert "main.cpp:2:12: error: 'nothing' was not declared in this scope" in step.observation["feedback"]
    step = batch.step({0: fence(PROGRAMS["cpp"]["accepted"], "cpp")})[0]
    assert step.terminated
    assert step.reward == 1.0


@pytest.mark.parametrize(
    ("language", "response", "wanted"),
    [
        ("cpp", "```python\nprint(1)\n```\n```C++\nint x;\n```\n```text\nout\n```", "int x;\n"),
        ("cpp", "```cpp\nint x;\n```\n```cc\nint y;\n```", "int y;\n"),
        ("rust", "```rs\nfn main() {}\n```\n```\nout\n```", "fn main() {}\n"),
        ("javascript", "```js\n1\n```", "1\n"),
        ("java", "```\nclass A {}\n```", "class A {}\n"),
        ("go", "```golang\npackage main\n```", "package main\n"),
        ("python", "```cpp\nint x;\n```\n```py\n1\n```\n```cpp\nint y;\n```", "1\n"),
    ],
)
def test_the_fence_of_the_problems_language_holds_the_program(language: str, response: str, wanted: str) -> None:
    assert extract_code(response, language=language) == wanted


def test_a_row_says_its_language_in_any_of_its_names() -> None:
    row = problem("C++").to_dict()
    assert row["language"] == "cpp"
    assert Problem.from_dict(row) == problem("cpp")
    assert "language" not in problem("python").to_dict()
    with pytest.raises(ProblemError, match="language is 'cobol'; use one of python, c, cpp"):
        problem("cobol")
    with pytest.raises(ProblemError, match="call tests are for Python only"):
        Problem.from_dict({"id": "a", "statement": "", "mode": "call", "entry_point": "f", "language": "go",
                           "private_tests": [{"args": [], "expected": 1}]})  # fmt: skip


def test_the_command_line_takes_the_language_from_the_suffix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needed("c")
    (tmp_path / "problem.json").write_text(json.dumps(problem("python").to_dict()))
    (tmp_path / "sum.c").write_text(PROGRAMS["c"]["accepted"])
    assert main(["judge", str(tmp_path / "problem.json"), str(tmp_path / "sum.c")]) == 0
    assert "accepted (2 of 2 tests passed, namespaces)" in capsys.readouterr().out


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "python"])
def test_a_missing_compiler_is_a_sentence_that_says_what_to_install(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from codeenv.sandbox import toolchains

    monkeypatch.setenv("PATH", "/nowhere")
    find = toolchains._FIND[language]
    find.cache_clear()  # type: ignore[attr-defined]
    try:
        assert "which is not installed; use apt-get install " in missing(language)
    finally:
        find.cache_clear()  # type: ignore[attr-defined]


def test_a_level_that_cannot_run_a_language_says_so() -> None:
    with Judge(sandbox="rlimits", trusted=True, workers=1) as judge, pytest.raises(CodeenvError, match="'namespaces' only"):
        judge.judge(problem("c"), PROGRAMS["c"]["accepted"])


def test_toolchains_say_their_version() -> None:
    for language in LANGUAGES:
        if language != "python" and not missing(language):
            assert toolchain(language).version
