"""Compilers that hang, fail, or only stand for others: a sentence with the right advice, and nothing left running."""

import os
import re
import tempfile
import time
from pathlib import Path

import pytest

from codeenv.judge import Judge
from codeenv.problems import Problem, StdioTest
from codeenv.sandbox import levels, toolchains
from codeenv.sandbox.toolchains import missing


@pytest.fixture
def elsewhere():
    """A folder outside /tmp."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def compiler(elsewhere, monkeypatch):
    """Make a script the machine's C compiler, or another one."""
    monkeypatch.setattr(toolchains, "_ANSWER_S", 1.0)

    def put(script, name="gcc", folder=elsewhere):
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        forget()

    yield put
    forget()


def forget():
    for language in ("c", "javascript"):
        toolchains._FIND[language].cache_clear()


def ended(word):
    """Whether the processes with a word on their command line end: one that was killed may need a moment for it."""
    return any(not running(word) or time.sleep(0.05) for _ in range(200))


def running(word):
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and word.encode() in (folder / "cmdline").read_bytes():
                found.append(folder.name)
        except OSError:
            continue
    return found


def test_a_compiler_that_hangs_is_a_sentence_and_what_it_started_is_ended(compiler):
    compiler("sleep 98761.25 & sleep 98761.25")
    said = missing("c")
    assert "gcc --version of C took more than 1 s; " in said
    assert "is a script: put the folder of the program that it starts before" in said
    assert ended("98761.25")


@pytest.mark.parametrize(
    ("script", "sentence"),
    [("exit 3", "gcc --version of C ended with 3; "), ("echo gcc 1; sleep 98762.5 >/dev/null 2>&1 &", "")],
    ids=["fails", "answers and goes on"],
)
def test_a_compiler_is_asked_once_and_alone(compiler, script, sentence):
    compiler(script)
    assert sentence in missing("c")
    assert ended("98762.5")


def test_node_must_be_node_itself(compiler):
    compiler("exec /usr/bin/node", name="node")
    assert re.fullmatch(r"JavaScript needs node itself; /var/tmp/\S+/node is a script: put the folder .*", missing("javascript"))


def test_a_compiler_in_tmp_is_told_that_the_sandbox_has_its_own(compiler, tmp_path):
    compiler("exec /usr/bin/gcc", folder=tmp_path)
    assert re.fullmatch(r"/tmp/\S+/gcc lies in /tmp, of which a sandbox has its own; put another 'gcc' .*", missing("c"))


def test_a_script_that_the_sandbox_cannot_follow_is_told_apart_from_a_broken_compiler(compiler, elsewhere):
    if reason := levels.check("namespaces"):
        pytest.skip(reason)
    compiler(f'exec {elsewhere}/hidden "$@"')
    hidden = elsewhere / "hidden"
    hidden.write_text('#!/bin/sh\nexec /usr/bin/gcc "$@"\n')
    hidden.chmod(0o755)
    problem = Problem("t/c", "", "stdio", language="c", private_tests=(StdioTest("", "1"),))
    with Judge(workers=1) as judge, pytest.raises(Exception, match="is a script: put the folder of the program that it starts"):
        judge.judge(problem, "int main(void) { return 0; }")
