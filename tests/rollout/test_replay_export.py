"""Recorded runs are replayed, compared and exported."""

import json
import subprocess
import sys

import pytest
from sample_problems import ADD_ONE, ECHO

from codeenv.agents.demonstrations import load_demonstrations
from codeenv.errors import CodeenvError
from codeenv.evaluation.records import load_run
from codeenv.evaluation.report import write_report
from codeenv.problems import Problem
from codeenv.rollout import Response, RunError, read_episodes, rollout
from codeenv.rollout.determinism import first_difference
from codeenv.rollout.export import export_rows
from codeenv.rollout.replay import replay
from codeenv.submission import fence


@pytest.fixture
def run(judge, tmp_path):
    rollout([ADD_ONE, ECHO], "ignores-feedback", 12, out=tmp_path / "run", judge=judge, seed=3)
    return tmp_path / "run"


def rows_of(run):
    return [json.loads(line) for line in (run / "episodes.jsonl").read_text().splitlines()]


def test_a_replay_of_an_unchanged_run_has_no_differences(run, judge):
    result = replay(run, judge, [ADD_ONE, ECHO])
    programs = [(turn, tests) for row in rows_of(run) for turn in row["turns"] for tests in ("public", "private") if turn[tests]]
    assert (result.programs, result.differences) == (len(programs), [])


def test_a_replay_names_the_verdict_that_differs(run, judge):
    rows = rows_of(run)
    results = rows[0]["turns"][0]["public"]["results"]
    was = results[0]["verdict"]
    results[0]["verdict"] = "time_limit"
    (run / "episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (difference,) = replay(run, judge, [ADD_ONE, ECHO]).differences
    assert difference.recorded[0] == "time_limit"
    assert difference.now[0] == was
    assert str(difference).startswith(f"episode {rows[0]['episode']} ({rows[0]['problem_id']}), turn 1, public tests: time_limit")


@pytest.mark.parametrize(
    ("problems", "sentence"), [(None, "name them with --problems"), ([ADD_ONE], "'test/écho' of the run is not among")]
)
def test_a_replay_without_the_problems_is_refused(run, judge, problems, sentence):
    with pytest.raises(RunError, match=sentence):
        replay(run, judge, problems)


def test_the_replay_command_tells_by_its_status(run, tmp_path):
    rows = tmp_path / "problems.jsonl"
    rows.write_text("".join(json.dumps(problem.to_dict()) + "\n" for problem in (ADD_ONE, ECHO)))
    command = [sys.executable, "-m", "codeenv", "replay", str(run), "--problems", str(rows)]
    assert "0 differ" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    changed = Problem.from_dict(
        {**ADD_ONE.to_dict(), "public_tests": [{"args": [1], "expected": 7}, {"args": [5], "expected": 6}]}
    )
    rows.write_text("".join(json.dumps(problem.to_dict()) + "\n" for problem in (changed, ECHO)))
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert {item["problem_id"] for item in json.loads(done.stdout)["differences"]} == {"test/add-one"}


READERS = {
    "replay": lambda run, judge: replay(run, judge, [ADD_ONE, ECHO]),
    "resume": lambda run, judge: rollout(
        [ADD_ONE, ECHO], "ignores-feedback", 12, out=run, judge=judge, seed=3, resume=True
    ),
    "metrics": lambda run, judge: load_run(run),
    "report": lambda run, judge: write_report([run], run / "report.html"),
    "demonstrations": lambda run, judge: load_demonstrations(str(run), "1,2,3"),
    **{
        format: (lambda run, judge, format=format: list(export_rows(run, format, False)))
        for format in ("chat", "completion", "preference", "atif")
    },
}  # fmt: skip


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_an_episode_that_is_recorded_twice_is_refused_by_every_reader(run, judge, reader):
    rows = run / "episodes.jsonl"
    lines = rows.read_bytes().splitlines(keepends=True)
    rows.write_bytes(b"".join([*lines, lines[4]]))
    number = json.loads(lines[4])["episode"]
    with pytest.raises(RunError, match=f"lines 5 and 13 are both of episode {number}, which would count twice; remove one"):
        reader(run, judge)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda row: row.pop("turns"), "line 3 is no episode: it has no 'turns'"),
        (lambda row: row.update(episode="2"), "line 3 is no episode: 'episode' is '2'"),
        (lambda row: row["turns"][0].pop("public"), "line 3 is no episode: a turn has no 'public'"),
        (lambda row: row["turns"][0]["public"].pop("results"), "a turn has no verdicts of its public tests"),
        (lambda row: row.update(turns=[7]), "a turn has no 'source'"),
        (lambda row: row.update(turns=5), "line 3 is no episode: 'turns' is 5"),
    ],
)
def test_a_row_that_is_no_episode_is_named_by_its_line(run, change, sentence):
    rows = rows_of(run)
    change(rows[2])
    (run / "episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(RunError) as error:
        list(read_episodes(run))
    assert sentence in str(error.value)


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize("damage", ["nested", "folder"])
def test_a_file_that_cannot_be_read_is_one_sentence_in_every_reader(run, judge, reader, damage):
    rows = run / "episodes.jsonl"
    if damage == "nested":
        rows.write_bytes(b"[" * 100_000 + b"\n" + rows.read_bytes())
    else:
        rows.unlink()
        rows.mkdir()
    with pytest.raises(RunError, match=r"line 1 is not JSON" if damage == "nested" else "Is a directory"):
        reader(run, judge)


def test_a_run_holds_no_private_test_and_no_solution(judge, tmp_path):
    hidden = Problem.from_dict({**ADD_ONE.to_dict(), "private_tests": [{"args": [987654321], "expected": 987654322}]})
    rollout([hidden], lambda conversation: fence("def f(x):\n    return x + 1\n"), 1, out=tmp_path / "run", judge=judge)
    everything = "".join(path.read_text() for path in (tmp_path / "run").iterdir())
    assert "98765432" not in everything
    assert "incorrect_solutions" not in everything


def test_chat_rows_are_whole_conversations_of_solved_episodes(run):
    rows = list(export_rows(run, "chat", True))
    assert rows
    assert len(rows) == sum(row["solved"] for row in rows_of(run))
    for row in rows:
        assert [message["role"] for message in row["messages"]][::2] == ["user"] * (len(row["messages"]) // 2)
        assert row["messages"][-1]["role"] == "assistant"
    assert len(list(export_rows(run, "chat", False))) == 12


def test_completion_rows_put_the_last_response_alone_in_the_completion(run):
    for chat, row in zip(export_rows(run, "chat", True), export_rows(run, "completion", True), strict=True):
        assert row["prompt"] + row["completion"] == chat["messages"]
        assert len(row["completion"]) == 1


def test_preference_rows_pair_answers_to_the_same_message(run):
    rows = list(export_rows(run, "preference", True))
    assert rows
    solutions = {ADD_ONE.id: ADD_ONE.correct_solutions[0], ECHO.id: ECHO.correct_solutions[0]}
    for row in rows:
        assert len(row["prompt"]) == 1
        assert row["chosen"][0]["content"] == fence(solutions[row["problem_id"]])
        assert row["rejected"][0]["content"] != row["chosen"][0]["content"]


def test_atif_documents_are_valid_and_hold_the_feedback_as_observations(judge, tmp_path):
    atif = pytest.importorskip("atif", reason="the reference models of the format are not installed")

    def agent(conversation):
        body = "return x + 1" if len(conversation) > 1 else "return x"
        return Response(fence(f"def f(x):\n    {body}\n"), {"tokens": [1, 2], "logprobs": [-0.5, -0.25], "prompt_tokens": 7})

    rollout([ADD_ONE], agent, 1, out=tmp_path / "run", judge=judge)
    (row,) = export_rows(tmp_path / "run", "atif", False)
    document = atif.Trajectory.model_validate(row)
    assert [step.source for step in document.steps] == ["user", "agent", "agent"]
    assert "Test 1: wrong answer." in document.steps[1].observation.results[0].content
    assert document.steps[1].metrics.completion_token_ids == [1, 2]


def test_an_unknown_format_is_a_sentence(run):
    with pytest.raises(CodeenvError, match="no format 'xml'"):
        export_rows(run, "xml", True)


def test_exporting_to_a_file_says_how_many_rows(run, tmp_path):
    out = tmp_path / "rows.jsonl"
    command = [sys.executable, "-m", "codeenv", "export", str(run), "--all-episodes", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "12 rows written" in done.stderr
    assert len(out.read_text().splitlines()) == 12


def test_equal_runs_have_no_difference_whatever_the_concurrency(judge):
    first = rollout([ADD_ONE, ECHO], "ignores-feedback", 16, judge=judge, seed=1)
    second = rollout([ADD_ONE, ECHO], "ignores-feedback", 16, judge=judge, seed=1, concurrency=1)
    assert first_difference(first.rows, second.rows) is None


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ({0: {"x": [1, 2]}}, {0: {"x": [1, 3]}}, r"episode 0: x\[1\] is 2 and 3"),
        ({0: {"x": [1]}}, {0: {"x": [1, 3]}}, "x has 1 and 2 items"),
        ({0: {}}, {0: {}, 1: {}}, "episode 1 is in one run only"),
        ({0: {"x": {"y": "a"}}}, {0: {"x": {"y": 1}}}, "x.y is 'a' and 1"),
    ],
)
def test_a_difference_is_named_by_its_place(a, b, words):
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(first_difference(a, b))


def test_the_determinism_check_finds_an_agent_that_draws_without_a_seed(tmp_path):
    (tmp_path / "luck.py").write_text("import random\n\ndef agent(conversation):\n    return str(random.random())\n")
    (tmp_path / "problems.jsonl").write_text(json.dumps(ADD_ONE.to_dict()) + "\n")
    command = [sys.executable, "-m", "codeenv", "rollout", "--env", "problems.jsonl", "--check-determinism", "--episodes", "2"]
    done = subprocess.run([*command, "--agent", "luck:agent"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "The runs differ: episode 0: messages" in done.stderr
    done = subprocess.run([*command, "--agent", "never-right"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "equal apart from times" in done.stderr
