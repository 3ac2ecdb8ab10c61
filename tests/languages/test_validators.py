"""Validators and interactors of contest packages judge, in their own language, behind the same walls."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from codeenv.judge import Judge, Verdict
from codeenv.problems import Problem, ProblemError, StdioTest
from codeenv.problems.problem import Checker, Limits
from codeenv.sandbox import levels
from codeenv.sandbox.toolchains import missing

LIMITS = Limits(time_limit_s=1.0, memory_mb=256, output_kb=64)
HEADER = """#include <fstream>
#include <iostream>
#include <string>
"""
VALIDATOR = """#include "judge.h"
int main(int count, char** words) {
    std::ifstream in(words[1]), answer(words[2]);
    long given, wanted, got;
    in >> given; answer >> wanted;
    if (count > 4 && std::string(words[4]) == "crash") abort();
    if (count > 4 && std::string(words[4]) == "spin") for (volatile long i = 0;; i++) {}
    std::ofstream(std::string(words[3]) + "judgemessage.txt") << "secret " << wanted;
    if (!(std::cin >> got)) { std::ofstream(std::string(words[3]) + "teammessage.txt") << "no number"; return 43; }
    return got % given == wanted % given ? 42 : 43;
}
"""
PRINT = {"python": "print({})", "cpp": '#include <cstdio>\nint main() {{ puts("{}"); }}'}
INTERACTOR = {
    "cpp": """#include <fstream>
#include <iostream>
int main(int, char** words) {
    long secret, guess; std::ifstream(words[1]) >> secret;
    for (int turn = 0; turn < 40; turn++) {
        if (!(std::cin >> guess)) return 43;
        std::cout << (guess == secret ? "yes" : guess < secret ? "more" : "less") << std::endl;
        if (guess == secret) return 42;
    }
    return 43;
}
""",
    "python": """import sys
secret = int(open(sys.argv[1]).read())
for turn in range(40):
    line = sys.stdin.readline()
    if not line.strip().isdigit():
        sys.exit(43)
    guess = int(line)
    print("yes" if guess == secret else "more" if guess < secret else "less", flush=True)
    if guess == secret:
        sys.exit(42)
sys.exit(43)
""",
}
PLAYERS = {
    "guesses": (
        "low, high = 0, 1000\nwhile True:\n    middle = (low + high) // 2\n    print(middle, flush=True)\n    said = input()\n"
        "    if said == 'yes': break\n    if said == 'more': low = middle + 1\n    else: high = middle - 1\n",
        "accepted",
    ),
    "guesses one number for ever": ("while True:\n    print(1, flush=True)\n    input()\n", "wrong_answer"),
    "ends at once": ("pass", "wrong_answer"),
    "crashes": ("print(5, flush=True)\ninput()\n1 / 0", "runtime_error"),
    "waits for ever": ("input()", "time_limit"),
    "works for ever": ("while True: pass", "time_limit"),
    "looks for the secret": (
        "import os\nfor folder, _, names in os.walk('/tmp'):\n    for name in names:\n        if name != 'solution.py':\n"
        "            print(open(os.path.join(folder, name)).read(), flush=True)\nprint(os.listdir('/tmp'), flush=True)\n",
        "wrong_answer",
    ),
    "writes to the judge's folder": ("open('/tmp/feedback/nextpass.in', 'w').write('x')", "runtime_error"),
}
IN_CPP = """#include <iostream>
#include <string>
int main() { long low = 0, high = 1000; std::string said; while (said != "yes") { long middle = (low + high) / 2;
std::cout << middle << std::endl; std::cin >> said; if (said == "more") low = middle + 1; else high = middle - 1; } }
"""
TWO_PASSES = """import sys
folder = sys.argv[3]
value, wanted = int(sys.stdin.read()), int(open(sys.argv[2]).read())
try:
    open(folder + "state.txt").read()
except OSError:
    open(folder + "state.txt", "w").write("first")
    open(folder + "nextpass.in", "w").write(str(value))
    sys.exit(42)
sys.exit(42 if value == wanted else 43)
"""


@pytest.fixture(scope="module")
def local() -> Iterator[Judge]:
    if reason := missing("cpp") or levels.check("namespaces"):
        pytest.skip(reason)
    with Judge(workers=1) as judge:
        yield judge


def problem(checker: Checker, language: str = "python", given: str = "10\n", answer: str = "3\n") -> Problem:
    return Problem(
        "judged", "", "stdio", private_tests=(StdioTest(given, answer),), limits=LIMITS, checker=checker, language=language
    )


def validator(*flags: str, source: str = VALIDATOR) -> Checker:
    return Checker(kind="validator", program=source, language="cpp", files=(("judge.h", HEADER),), flags=flags)


@pytest.mark.parametrize("language", PRINT)
@pytest.mark.parametrize(
    ("printed", "checker", "verdict", "words"),
    [
        ("13", validator(), "accepted", ""),
        ("14", validator(), "wrong_answer", ""),
        ("", validator(), "wrong_answer", "no number"),
        ("13", validator("crash"), "judge_error", "ended with signal SIGABRT, not 42 or 43"),
        ("13", validator(source="int main() { return 0; }"), "judge_error", "ended with exit status 0, not 42 or 43"),
        ("13", validator(source="int main() {"), "judge_error", "validator does not compile: main.cpp"),
    ],
)
def test_a_validator_in_cpp_decides(
    language: str, printed: str, checker: Checker, verdict: str, words: str, local: Judge
) -> None:
    report = local.judge(problem(checker, language), PRINT[language].format(printed))
    assert report.verdict.value == verdict, report
    assert words in report.results[0].error
    assert "secret" not in report.results[0].error


def test_a_submission_that_crashes_is_not_shown_to_the_validator(local: Judge) -> None:
    report = local.judge(problem(validator("crash")), "print(13)\n1 / 0")
    assert report.verdict is Verdict.RUNTIME_ERROR


@pytest.mark.parametrize("judge_language", INTERACTOR)
@pytest.mark.parametrize("name", PLAYERS)
def test_an_interactor_talks_with_the_submission_and_judges_it(name: str, judge_language: str, local: Judge) -> None:
    source, verdict = PLAYERS[name]
    checker = Checker(kind="interactor", program=INTERACTOR[judge_language], language=judge_language)
    report = local.judge(problem(checker, given="357\n"), source)
    assert report.verdict.value == verdict, report


def test_a_submission_that_goes_on_talking_after_it_was_accepted_is_accepted(local: Judge) -> None:
    checker = Checker(kind="interactor", program=INTERACTOR["cpp"], language="cpp")
    more = IN_CPP.replace("} }\n", "} for (int i = 0; i < 100000; i++) std::cout << i << std::endl; }\n")
    assert local.judge(problem(checker, "cpp", "357\n"), more).accepted


def test_an_interactor_may_close_its_side_and_read_to_the_end(local: Judge) -> None:
    source = (
        "import os, sys\nprint(3, flush=True)\nprint(4, flush=True)\nos.close(1)\nsys.stdout = None\n"
        "sys.exit(42 if sys.stdin.read().split() == ['7'] else 43)\n"
    )
    checker = Checker(kind="interactor", program=source)
    total = "import sys\nprint(sum(map(int, sys.stdin)))"
    assert local.judge(problem(checker), total).accepted
    assert local.judge(problem(checker), total + "\nprint(8)").verdict is Verdict.WRONG_ANSWER


def test_an_interactor_in_python_whose_partner_is_gone_rejects(local: Judge) -> None:
    source = "import sys, time\nsys.stdin.readline()\nfor i in range(100000): print(i)\nsys.exit(42)\n"
    report = local.judge(problem(Checker(kind="interactor", program=source)), "pass")
    assert report.verdict is Verdict.WRONG_ANSWER
    assert report.results[0].error == "the submission ended before the conversation did"


def test_a_validator_may_change_its_feedback_folder_and_nothing_else(local: Judge) -> None:
    source = """#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sys/socket.h>
#include <unistd.h>
int main(int, char** words) {
    std::string folder = words[3];
    std::ofstream(folder + "a") << 1;
    std::filesystem::rename(folder + "a", folder + "b");
    std::filesystem::remove(folder + "b");
    std::filesystem::create_directory(folder + "c");
    if (fork() >= 0 || socket(AF_INET, SOCK_STREAM, 0) >= 0) return 43;
    if (std::fopen("/etc/passwd", "r") || std::fopen("/new", "w")) return 43;
    return std::filesystem::exists(folder + "b") ? 43 : 42;
}
"""
    checker = Checker(kind="validator", program=source, language="cpp")
    assert local.judge(problem(checker), "print(1)").accepted


def test_both_sides_of_a_conversation_may_be_compiled(local: Judge) -> None:
    checker = Checker(kind="interactor", program=INTERACTOR["cpp"], language="cpp")
    assert local.judge(problem(checker, "cpp", "357\n"), IN_CPP).accepted
    slow = IN_CPP.replace("low = middle + 1", "low = low + 1")
    assert local.judge(problem(checker, "cpp", "357\n"), slow).verdict is Verdict.WRONG_ANSWER


def test_an_interactor_that_fails_is_our_failure(local: Judge) -> None:
    checker = Checker(kind="interactor", program="int main() { return 1; }", language="cpp")
    report = local.judge(problem(checker), "input()")
    assert report.verdict in (Verdict.JUDGE_ERROR, Verdict.RUNTIME_ERROR)  # whichever ends first
    assert local.judge(problem(checker), "pass").verdict is Verdict.JUDGE_ERROR


def test_a_validator_may_ask_for_another_pass(local: Judge) -> None:
    checker = Checker(kind="validator", program=TWO_PASSES, passes=2)
    twice = problem(checker, given="5\n", answer="20\n")
    assert local.judge(twice, "print(2 * int(input()))").accepted
    assert local.judge(twice, "print(3 * int(input()))").verdict is Verdict.WRONG_ANSWER
    assert local.judge(twice, "print(int(input()) // (int(input) - 10))").verdict is Verdict.RUNTIME_ERROR


def test_a_checker_with_a_validator_is_a_row_like_any_other() -> None:
    whole = problem(validator("float_tolerance", "1e-6"))
    assert Problem.from_dict(whole.to_dict()) == whole
    assert "files" not in problem(Checker()).to_dict()["checker"]
    with pytest.raises(ProblemError, match="need a source in 'program'"):
        Checker(kind="interactor")
    with pytest.raises(ProblemError, match="checker passes is 0"):
        Checker(passes=0)
