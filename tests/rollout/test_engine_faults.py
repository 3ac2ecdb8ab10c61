"""What goes wrong in a run: agents that misbehave, runs that are killed, disks that are full. No episode is lost or repeated."""

import asyncio
import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from sample_problems import ADD_ONE

from codeenv.evaluation.records import load_run
from codeenv.rollout import AgentError, Response, RunError, RunFolder, read_episodes, rollout
from codeenv.rollout.agent import MAX_RESPONSE_CHARS
from codeenv.rollout.export import export_rows
from codeenv.submission import fence

RIGHT = fence("def f(x):\n    return x + 1\n")


def misbehaves_once(bad):
    """Return an agent whose episode 1 does something bad and whose other episodes are right."""

    class Agent:
        def reset(self, problem, seed):
            return bad if seed == 1 else (lambda conversation: RIGHT)

    return Agent()


def raises(conversation):
    raise ValueError("no idea")


def exits(conversation):
    sys.exit(3)


def raises_stop(conversation):
    raise StopIteration


async def exits_async(conversation):
    sys.exit(4)


async def raises_cancelled(conversation):
    raise asyncio.CancelledError


def raises_generator_exit(conversation):
    raise GeneratorExit


class OwnBase(BaseException):
    pass


async def raises_own_base(conversation):
    raise OwnBase("of my own")


FAULTS = {
    "raises GeneratorExit": (raises_generator_exit, "raised GeneratorExit"),
    "raises a BaseException async": (raises_own_base, "raised OwnBase: of my own"),
    "raises CancelledError": (raises_cancelled, "raised CancelledError"),
    "raises": (raises, "raised ValueError: no idea"),
    "exits": (exits, r"called sys.exit\(3\)"),
    "exits async": (exits_async, r"called sys.exit\(4\)"),
    "raises StopIteration": (raises_stop, "raised StopIteration"),
    "bytes": (lambda conversation: b"def f", "answered with bytes"),
    "nothing": (lambda conversation: None, "answered with NoneType"),
    "ten megabytes": (lambda conversation: "x" * 10_000_000, f"10,000,000 characters; at most {MAX_RESPONSE_CHARS:,}"),
    "extras that are no JSON": (lambda conversation: Response(RIGHT, {"tensor": object()}), "extras that are not JSON"),
    "extras with nan": (lambda conversation: Response(RIGHT, {"logprobs": [float("nan")]}), "extras that are not JSON"),
}


@pytest.mark.parametrize(("bad", "sentence"), FAULTS.values(), ids=FAULTS)
def test_a_misbehaving_agent_costs_its_episode_alone_and_resuming_tries_it_again(bad, sentence, judge, tmp_path):
    result = rollout([ADD_ONE], misbehaves_once(bad), 4, out=tmp_path / "run", judge=judge)
    assert (result.episodes, result.solved, len(result.failures)) == (3, 3, 1)
    assert result.failures[0].startswith("episode 1 (test/add-one)")
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(result.failures[0])
    row = json.loads((tmp_path / "run" / "failures.jsonl").read_text())
    assert row["error"] in result.failures[0]
    again = rollout([ADD_ONE], misbehaves_once(lambda conversation: RIGHT), 4, out=tmp_path / "run", judge=judge, resume=True)
    assert (again.episodes, again.failures) == (4, [])
    assert sorted(row["episode"] for row in read_episodes(tmp_path / "run")) == [0, 1, 2, 3]


def test_an_agent_that_blocks_forever_costs_its_episode_and_does_not_keep_the_process(judge):
    release = threading.Event()
    result = rollout(
        [ADD_ONE], misbehaves_once(lambda conversation: release.wait() and RIGHT), 4, judge=judge, agent_timeout_s=0.3
    )
    release.set()
    assert (result.episodes, len(result.failures)) == (3, 1)
    assert "no answer within 0.3 s" in result.failures[0]


async def blocks_its_loop(conversation):
    time.sleep(100)


async def refuses_to_be_cancelled(conversation):
    for _ in range(100):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(1)


@pytest.mark.parametrize("bad", [blocks_its_loop, refuses_to_be_cancelled])
def test_an_async_agent_that_never_yields_or_never_ends_costs_its_episode_alone(bad, judge):
    async def right(conversation):
        return RIGHT

    class Agent:
        def reset(self, problem, seed):
            return bad if seed == 1 else right

    result = rollout([ADD_ONE], Agent(), 6, judge=judge, concurrency=2, agent_timeout_s=0.4)
    assert (result.episodes, len(result.failures)) == (5, 1)
    assert "no answer within 0.4 s" in result.failures[0]


def test_the_calls_of_an_async_agent_are_under_way_together(judge):
    everyone = asyncio.Barrier(20)

    async def waits_for_the_others(conversation):
        await everyone.wait()
        return RIGHT

    result = rollout([ADD_ONE], waits_for_the_others, 20, judge=judge, concurrency=20, agent_timeout_s=20)
    assert (result.episodes, result.failures) == (20, [])


BLOCKED = {
    "sync": "import threading\n\ndef agent(conversation):\n    threading.Event().wait()\n",
    "async": "import time\n\nasync def agent(conversation):\n    time.sleep(1000)\n",
}


@pytest.mark.parametrize("source", BLOCKED.values(), ids=BLOCKED)
def test_a_process_with_a_blocked_agent_ends(source, tmp_path):
    (tmp_path / "blocked.py").write_text(source)
    (tmp_path / "problems.jsonl").write_text(json.dumps(ADD_ONE.to_dict()) + "\n")
    command = [sys.executable, "-m", "codeenv", "rollout", "--env", "problems.jsonl", "--agent", "blocked:agent"]
    done = subprocess.run([*command, "--agent-timeout-s", "0.2"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert "no answer within 0.2 s" in done.stderr


def test_waiting_for_other_episodes_does_not_count_against_the_deadline(judge):
    calls = []

    def slow(conversation):
        calls.append(time.sleep(0.1))
        return RIGHT

    result = rollout([ADD_ONE], slow, 12, judge=judge, agent_timeout_s=0.8)
    assert (result.episodes, result.failures, len(calls)) == (12, [], 12)


def test_a_run_whose_first_episodes_all_fail_stops_with_the_reason(judge):
    with pytest.raises(AgentError, match=r"the first 8 episodes all failed; the last: .*no idea"):
        rollout([ADD_ONE], raises, 1000, judge=judge, concurrency=1)


def test_the_agent_is_told_when_the_run_ends(judge):
    class Agent:
        ended = 0

        def act(self, conversation):
            return RIGHT

        async def end_run(self):
            self.ended += 1

    agent = Agent()
    rollout([ADD_ONE], agent, 3, judge=judge)
    assert agent.ended == 1


def test_an_agent_that_fails_at_the_end_of_the_run_is_one_sentence(judge):
    class Agent:
        def act(self, conversation):
            return RIGHT

        def end_run(self):
            raise OSError("the connection\nis gone")

    with pytest.raises(AgentError, match=r"the agent's end_run raised OSError: the connection is gone$"):
        rollout([ADD_ONE], Agent(), 1, judge=judge)


def test_an_end_of_run_that_blocks_is_told_from_the_episodes(judge, tmp_path):
    release = threading.Event()

    class Agent:
        def act(self, conversation):
            return RIGHT

        def end_run(self):
            release.wait()

    with pytest.raises(AgentError, match=r"the episodes are finished, but the agent's end_run failed: .* no answer within 1 s"):
        rollout([ADD_ONE], Agent(), 2, out=tmp_path / "run", judge=judge, agent_timeout_s=1.0)
    release.set()
    assert len(list(read_episodes(tmp_path / "run"))) == 2


@pytest.mark.parametrize("when", [0, 3])
@pytest.mark.parametrize("how", [shutil.rmtree, lambda run: run.rename(run.with_name("moved"))], ids=["deleted", "moved"])
def test_a_run_whose_folder_is_gone_is_an_error(how, when, judge, tmp_path):
    class Agent:
        def reset(self, problem, seed):
            if seed == when:
                how(tmp_path / "run")
            return lambda conversation: RIGHT

    with pytest.raises(RunError, match=r"run\.json' was deleted or moved while the run was written"):
        rollout([ADD_ONE], Agent(), 4, out=tmp_path / "run", judge=judge, concurrency=1)


@pytest.mark.parametrize("left", [None, b'{"schema": 1, "id": "test/a'], ids=["missing", "cut short"])
def test_problems_that_a_run_lacks_are_told_and_written_again_when_it_is_resumed(left, judge, tmp_path, caplog):
    run, cards = tmp_path / "run", tmp_path / "run" / "problems.jsonl"
    rollout([ADD_ONE], lambda conversation: RIGHT, 2, out=run, judge=judge)
    before = cards.read_bytes()
    cards.unlink()
    if left is not None:
        cards.write_bytes(left)
    load_run(run)
    assert "lacks 1 of the run's problems" in caplog.text
    rollout([ADD_ONE], lambda conversation: RIGHT, 2, out=run, judge=judge, resume=True)
    assert cards.read_bytes() == before


def test_what_an_agent_raises_is_shown_as_one_short_line_without_control_characters(judge):
    def raises_a_page(conversation):
        raise ValueError("\x1b[31mred\n" + "x" * 100_000)

    (failure,) = rollout([ADD_ONE], raises_a_page, 1, judge=judge).failures
    assert failure.isprintable()
    assert r"ValueError: \x1b[31mred xxx" in failure
    assert len(failure) < 400 + len(f"episode 0 (test/add-one): the agent raised  ({__file__}, line 1000)")


@pytest.mark.parametrize("answers", [["one too few"], "not a list of two", None])
def test_a_batch_of_the_wrong_size_is_an_error_of_the_agent(answers, judge):
    class Agent:
        def act_batch(self, conversations):
            return answers

    result = rollout([ADD_ONE], Agent(), 2, judge=judge, concurrency=2)
    assert all("act_batch returned" in failure for failure in result.failures)
    assert len(result.failures) == 2


KILLED = """
    import os, sys, time
    from pathlib import Path
    from codeenv.submission import fence

    def agent(conversation):
        with Path("calls").open("a") as file:
            file.write("x")
        while Path("calls").stat().st_size >= 40 and not Path("go").exists():
            time.sleep(0.01)
        return fence("def f(x):\\n    return x + 1\\n")
"""


def start_run(folder, *extra):
    (folder / "slow.py").write_text(textwrap.dedent(KILLED))
    (folder / "problems.jsonl").write_text(json.dumps(ADD_ONE.to_dict()) + "\n")
    command = [sys.executable, "-m", "codeenv", "rollout", "--env", "problems.jsonl", "--agent", "slow:agent", "--episodes", "60"]
    return subprocess.Popen(
        [*command, "--out", "run", "--json", *extra], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_run_that_is_killed_is_resumed_without_losing_or_repeating_an_episode(tmp_path):
    first = start_run(tmp_path)
    rows = tmp_path / "run" / "episodes.jsonl"
    while not rows.exists() or rows.read_bytes().count(b"\n") < 10:
        assert first.poll() is None, first.stderr.read()
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.wait()
    (tmp_path / "go").touch()
    with rows.open("ab") as file:
        file.write(b'{"schema": 1, "episode": 59, "cut sh')
    finished = {row["episode"] for row in read_episodes(tmp_path / "run")}
    assert 10 <= len(finished) < 60
    second = start_run(tmp_path, "--resume")
    out, error = second.communicate(timeout=60)
    assert second.returncode == 0, error
    assert json.loads(out)["episodes"] == 60
    assert sorted(row["episode"] for row in read_episodes(tmp_path / "run")) == list(range(60))
    assert len((tmp_path / "calls").read_text()) < 60 + 60, "finished episodes were run again"


def test_two_processes_cannot_write_one_run(tmp_path):
    with RunFolder(tmp_path / "run", {"env": "held by this process"}):
        second = start_run(tmp_path, "--resume")
        _, error = second.communicate(timeout=60)
    assert second.returncode == 2
    assert "another process is writing the run 'run'" in error
    assert list(read_episodes(tmp_path / "run")) == []


def test_a_full_disk_stops_the_run_with_a_sentence_and_what_was_written_can_be_resumed(judge, tmp_path):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
    try:
        with pytest.raises(RunError, match=r"cannot write to .* episodes are safe"):
            rollout([ADD_ONE], lambda conversation: RIGHT, 200, out=tmp_path / "run", judge=judge)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    finished = [row["episode"] for row in read_episodes(tmp_path / "run")]
    assert finished
    assert os.path.getsize(tmp_path / "run" / "episodes.jsonl") <= 20_000  # noqa: PTH202
    result = rollout([ADD_ONE], lambda conversation: RIGHT, 200, out=tmp_path / "run", judge=judge, resume=True)
    assert result.episodes == 200
    assert len(list(read_episodes(tmp_path / "run"))) == 200


def test_another_schema_version_is_refused_by_name(judge, tmp_path):
    rollout([ADD_ONE], lambda conversation: RIGHT, 2, out=tmp_path / "run", judge=judge)
    header = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps({**header, "schema": 7}))
    with pytest.raises(RunError, match="has schema 7; this version reads schema 1"):
        rollout([ADD_ONE], lambda conversation: RIGHT, 2, out=tmp_path / "run", judge=judge, resume=True)
    for read in (load_run, lambda run: export_rows(run, "chat", True), lambda run: export_rows(run, "preference", True)):
        with pytest.raises(RunError, match="has schema 7; this version reads schema 1"):
            read(tmp_path / "run")


def test_a_run_with_other_settings_is_not_resumed(judge, tmp_path):
    rollout([ADD_ONE], lambda conversation: RIGHT, 2, out=tmp_path / "run", judge=judge)
    with pytest.raises(RunError, match="has seed = 0, this one 1"):
        rollout([ADD_ONE], lambda conversation: RIGHT, 2, out=tmp_path / "run", judge=judge, resume=True, seed=1)


def test_a_judge_that_is_gone_is_no_verdict(tmp_path):
    from codeenv.judge import Judge

    judge = Judge(sandbox="local", workers=1)
    judge.close()
    result_or_error = None
    try:
        result_or_error = rollout([ADD_ONE], lambda conversation: RIGHT, 2, out=tmp_path / "run", judge=judge)
    except Exception as error:
        result_or_error = error
    assert list(read_episodes(tmp_path / "run")) == []
    assert isinstance(result_or_error, Exception) or result_or_error.failures
