"""The numbers of a run, checked by hand on a few written-down episodes."""

import json

import pytest
from made_runs import load_made, make_episode, make_problem

from codeenv.evaluation.records import load_run
from codeenv.evaluation.summary import budget_curve, summarise
from codeenv.rollout.trajectory import RunError


@pytest.fixture
def run(tmp_path):
    easy, hard = make_problem(1, "easy", 0.1), make_problem(2, "hard", 0.9)
    return load_made(
        tmp_path,
        [
            make_episode(easy, ["aa"]),
            make_episode(easy, ["ww", "aa"]),
            make_episode(hard, ["rr", "ww", "aa"]),
            make_episode(hard, ["aa"], private="aw"),
        ],
    )


def test_solve_rates_count_episodes_within_so_many_turns(run):
    summary = summarise(run)
    assert [estimate.value for estimate in summary.solved_at] == [0.25, 0.5, 0.75]
    assert summary.solve_rate.value == 0.75
    assert summary.public_rate.value == 1.0
    assert summary.reward.value == pytest.approx(0.5)


def test_repairs_are_counted_by_the_verdict_before(run):
    summary = summarise(run)
    assert {name: estimate.value for name, estimate in summary.repair.items()} == {"wrong_answer": 1.0, "runtime_error": 0.0}


def test_one_at_three_is_the_solve_rate_and_uncovered_budgets_are_left_out(run):
    budgets = summarise(run).budgets
    assert budgets["1@3"].value == pytest.approx(0.75)
    assert set(budgets) == {"1@3", "pass@1"}


def test_solve_rates_are_given_by_difficulty_and_source(run):
    groups = summarise(run).groups
    assert {name: estimate.value for name, estimate in groups["source"].items()} == {"easy": 1.0, "hard": 0.5}
    assert set(groups["difficulty"]) == {"0.0-0.2", "0.8-1.0"}


def test_the_budget_curve_spends_whole_rollouts(run):
    curve = budget_curve(run)
    assert [k for k, _ in curve] == [3, 6]
    assert curve[0][1] == pytest.approx(0.75)


def test_a_summary_is_json(run):
    row = json.loads(json.dumps(summarise(run).to_dict()))
    assert row["solved_at"][0]["value"] == 0.25
    assert row["flow"][0]["runtime_error > wrong_answer"] == 1


def test_an_empty_run_is_refused_with_a_sentence(tmp_path):
    with pytest.raises(RunError, match="holds no finished episode"):
        load_made(tmp_path, [])


def test_a_row_that_is_no_episode_is_named_by_its_line(tmp_path):
    load_made(tmp_path, [make_episode(make_problem(1), ["aa"])])
    with (tmp_path / "run" / "episodes.jsonl").open("a") as rows:
        rows.write('{"schema": 1, "episode": 5}\n')
    with pytest.raises(RunError, match="line 2 is no episode"):
        load_run(tmp_path / "run")
