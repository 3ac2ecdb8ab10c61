"""The benchmark of feedback use: its known points, its numbers, its files."""

import json
import subprocess
import sys

import pytest
from test_arms import with_solutions

from codeenv.agents.scripted import IGNORES_RATE
from codeenv.errors import CodeenvError
from codeenv.evaluation.bench import compare_runs, run_bench
from codeenv.evaluation.bench_report import arms_table, bench_sentence, text_table
from codeenv.evaluation.records import load_run
from codeenv.evaluation.report import write_report
from codeenv.rollout import AgentError, RunError

PROBLEMS = [with_solutions(number) for number in (1, 20, 300, 4000, 50_000, 600_000)]


@pytest.fixture(scope="module")
def bench(judge, tmp_path_factory):
    out = tmp_path_factory.mktemp("bench")
    return out, run_bench(PROBLEMS, "repairs-on-feedback", out, arms=("random", "none", "independent"), rollouts=5, judge=judge)


def test_the_known_points_land_where_theory_says(bench):
    _, result = bench
    rates = {(point.agent, point.arm): point.rate for point in result.known}
    assert rates["oracle", "true"].value == rates["oracle", "random"].value == 1.0
    assert rates["repairs-on-feedback", "true"].value == 1.0
    assert rates["repairs-on-feedback", "random"].value == 0.0
    assert rates["ignores-feedback", "true"] == rates["ignores-feedback", "random"]
    assert all(point.lands for point in result.known)


def test_utilisation_is_one_for_an_agent_that_only_repairs_on_feedback(bench):
    _, result = bench
    assert result.utilisation.difference.value == 1.0
    assert result.utilisation.share.value == 1.0
    assert result.utilisation.p_value < 0.05
    assert result.utilisation.mcnemar.only_a == len(PROBLEMS)
    assert bench_sentence(result) == "It uses feedback: true feedback solves 100.0 percentage points more than random feedback."
    assert "with 6 problems it may be 50% off" in arms_table(result).note


def test_use_of_feedback_is_not_claimed_from_two_problems(judge, tmp_path):
    result = run_bench(
        PROBLEMS[:2], "repairs-on-feedback", tmp_path, arms=("random",), rollouts=2, judge=judge, known_points=False
    )
    assert result.utilisation.difference.low == 1.0
    assert result.utilisation.p_value == 0.5
    assert bench_sentence(result).startswith("Too few problems differ to tell:")


def test_an_agent_that_always_fails_ends_the_benchmark_with_its_first_failure(judge, tmp_path):
    def agent(conversation):
        raise ValueError("no idea")

    with pytest.raises(AgentError, match=r"no episode of true could be finished; the first failure: .* ValueError: no idea"):
        run_bench(PROBLEMS[:2], agent, tmp_path, arms=("random",), rollouts=1, judge=judge)


def test_utilisation_is_zero_for_an_agent_that_ignores_feedback(judge, tmp_path):
    result = run_bench(
        PROBLEMS, "ignores-feedback", tmp_path, arms=("random",), rollouts=40, judge=judge, known_points=False
    )  # fmt: skip
    assert result.utilisation.difference.value == 0.0
    assert result.utilisation.p_value == 1.0
    assert bench_sentence(result) == "No use of feedback is shown: the interval of true minus random holds 0."
    rate = result.summaries["true"].solve_rate
    assert rate.value == pytest.approx(1 - (1 - IGNORES_RATE) ** 3, abs=0.1)
    assert result.summaries["true"].budgets["10@100"].value > rate.value


def test_the_results_are_json_and_the_runs_can_be_read(bench):
    out, result = bench
    row = json.loads((out / "results.json").read_text())
    assert row["feedback_utilisation"]["difference"]["value"] == 1.0
    assert row["arms"]["none"]["solve_rate"]["value"] == 0.0
    assert load_run(out / "arms" / "random").header["arm"] == "random"
    assert "100.0%" in text_table(arms_table(result))


def test_the_page_of_a_benchmark_is_written(bench, tmp_path):
    _, result = bench
    page = write_report(result.runs, tmp_path / "report.html", tables=[arms_table(result)])
    assert "Feedback arms" in page.read_text()


def test_a_finished_benchmark_is_resumed_without_running_anything(bench, judge):
    out, result = bench
    before = (out / "arms" / "true" / "episodes.jsonl").read_bytes()
    again = run_bench(
        PROBLEMS, "repairs-on-feedback", out, arms=("random", "none", "independent"), rollouts=5, judge=judge, resume=True
    )
    assert again.to_dict() == result.to_dict()
    assert (out / "arms" / "true" / "episodes.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"arms": ("sideways",)}, "no arm 'sideways'"),
        ({"arms": ()}, "no arm is named; use some of true, none"),
        ({"arms": ("",)}, "no arm is named"),
        ({"arms": ("true", "random", "true")}, "the arm 'true' is given twice"),
        ({"rollouts": 0}, "rollouts is 0"),
    ],
)
def test_bad_settings_are_sentences(judge, tmp_path, arguments, names):
    with pytest.raises(CodeenvError, match=names):
        run_bench(PROBLEMS, "oracle", tmp_path, judge=judge, **arguments)


def test_a_benchmark_that_is_read_as_a_run_names_its_page_and_an_arm(bench):
    out, _ = bench
    with pytest.raises(RunError) as error:
        load_run(out)
    assert "holds a benchmark, whose page is" in str(error.value)
    assert f"such as {str(out / 'arms' / 'independent')!r}" in str(error.value)


def test_runs_without_shared_problems_cannot_be_compared(bench, judge, tmp_path):
    out, _ = bench
    run_bench(
        [with_solutions(7), with_solutions(8)], "oracle", tmp_path, arms=("true",), rollouts=1, judge=judge, known_points=False
    )
    with pytest.raises(CodeenvError, match="share no problem"):
        compare_runs(load_run(out / "arms" / "true"), load_run(tmp_path / "arms" / "true"))


def test_the_command_prints_tables_or_json(tmp_path):
    rows = tmp_path / "problems.jsonl"
    rows.write_text("".join(json.dumps(problem.to_dict()) + "\n" for problem in PROBLEMS[:3]))
    command = [
        sys.executable,
        "-m",
        "codeenv",
        "bench",
        "feedback",
        "--env",
        str(rows),
        "--rollouts",
        "1",
        "--arms",
        "true,random",
    ]
    done = subprocess.run([*command, "--out", str(tmp_path / "a")], capture_output=True, text=True, check=True)
    assert "Feedback utilisation, true minus random: +100.0%" in done.stdout
    assert "A rate of 0 or 1 has an interval of no width; with 3 problems it may be 100% off." in done.stdout
    assert done.stderr == ""
    done = subprocess.run([*command, "--out", str(tmp_path / "b"), "--json"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["arms"]["true"]["episodes"] == 3
    refused = subprocess.run([*command, "--out", str(tmp_path / "a")], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "is not empty; use --resume" in refused.stderr
