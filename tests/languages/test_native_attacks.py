"""Hostile programs in C++ and bombs for compilers end in their verdicts, and leave the host and their neighbours as they were."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from programs import sections

from codeenv.judge import Judge, Report
from codeenv.problems.problem import Limits, Problem, StdioTest
from codeenv.sandbox import levels
from codeenv.sandbox.foreign import CompileLimits, Foreign
from codeenv.sandbox.native_attacks import NATIVE_ATTACKS, native_attacks_that_succeed
from codeenv.sandbox.toolchains import missing, source_name
from codeenv.sandbox.units import Unit

PRELUDE = """#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
static void said(const char* what) { printf("ALLOWED %s\\n", what); fflush(stdout); }
static bool readable(const char* name) { int fd = open(name, O_RDONLY); if (fd >= 0) close(fd); return fd >= 0; }
"""
ATTACKS = {tuple(head.split(" | ")): body for head, body in sections("attacks.txt").items()}
BOMBS = {tuple(head.split(" ", 1)): body for head, body in sections("bombs.txt").items()}
LIMITS = Limits(time_limit_s=0.5, memory_mb=256, output_kb=256)
PROBLEM = Problem("hostile", "", "stdio", private_tests=(StdioTest("1\n", "right\n"),) * 2, limits=LIMITS, language="cpp")
HONEST = PRELUDE + 'int main() { int x; return scanf("%d", &x) == 1 && x == 1 && puts("right") < 0; }\n'
BOMB_LIMITS = CompileLimits(time_s=3, memory_mb=512, output_mb=16)


def state_of_host() -> dict[str, object]:
    return {
        "mounts": Path("/proc/self/mountinfo").read_text(),
        "shared memory": sorted(path.name for path in Path("/dev/shm").iterdir()),
        "clock": round(time.time() - time.monotonic(), 0),
        "folder": sorted(path.name for path in Path().iterdir()),
    }


@pytest.fixture(scope="module")
def judged() -> dict[tuple[str, ...], tuple[Report, Report]]:
    """The report of each attack, and of an honest program that ran right after it."""
    if reason := missing("cpp") or levels.check("namespaces"):
        pytest.skip(reason)
    os.environ["CODEENV_TEST_SECRET"] = "SECRET"
    before = state_of_host()
    with Judge(workers=1) as judge:
        found = {key: (judge.judge(PROBLEM, PRELUDE + body), judge.judge(PROBLEM, HONEST)) for key, body in ATTACKS.items()}
    del os.environ["CODEENV_TEST_SECRET"]
    assert state_of_host() == before
    return found


@pytest.mark.parametrize("key", ATTACKS, ids=lambda key: key[0])
def test_an_attack_fails(key: tuple[str, ...], judged: dict[tuple[str, ...], tuple[Report, Report]]) -> None:
    report, honest = judged[key]
    assert report.verdict.value in key[1].split(), report
    assert not any("ALLOWED" in result.output for result in report.results), report
    assert honest.accepted, honest


def test_a_program_that_an_attack_could_reach_is_still_the_one_that_was_compiled() -> None:
    if reason := missing("cpp") or levels.check("namespaces"):
        pytest.skip(reason)
    tampering = next(body for key, body in ATTACKS.items() if key[0] == "tamper with its own program")
    with Judge(workers=1) as judge:
        first = judge.judge(PROBLEM, PRELUDE + tampering)
        assert judge.judge(PROBLEM, PRELUDE + tampering).verdict is first.verdict
        assert judge.judge(PROBLEM, HONEST).accepted


@pytest.fixture(scope="module")
def compilers() -> Iterator[Foreign]:
    if reason := levels.check("namespaces"):
        pytest.skip(reason)
    foreign = Foreign("namespaces", 1, BOMB_LIMITS)
    yield foreign
    foreign.close()


@pytest.mark.parametrize("key", BOMBS, ids=" ".join)
def test_a_bomb_for_a_compiler_does_not_compile_and_leaves_the_compiler_working(key: tuple[str, str], compilers: Foreign) -> None:
    language, name = key
    if reason := missing(language):
        pytest.skip(reason)
    before = state_of_host()
    compiled = compilers.compile(language, {source_name(language, BOMBS[key]): BOMBS[key].encode()})
    assert not compiled.artifact
    assert 0 < len(compiled.error) < 5000
    assert "root:" not in compiled.error
    assert state_of_host() == before
    honest = f"int main(void) {{ return 0; }} // {name}"
    artifact = compilers.compile("c", {"main.c": honest.encode()}).artifact
    assert compilers.run("c", Unit("stdio", artifact, "", (b"",)))[0].code == 0


def test_no_attack_of_the_doctor_succeeds_and_each_would_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    if reason := missing("cpp") or levels.check("namespaces"):
        pytest.skip(reason)
    assert native_attacks_that_succeed() == []
    for name in NATIVE_ATTACKS:
        monkeypatch.setitem(NATIVE_ATTACKS, name, f"getpid() > 0 || ({NATIVE_ATTACKS[name]})")
    assert native_attacks_that_succeed() == list(NATIVE_ATTACKS)
