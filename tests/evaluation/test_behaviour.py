"""What agents do between turns, read from episodes whose verdicts are written down."""

import pytest
from made_runs import load_made, make_episode, make_problem, program

from codeenv.evaluation.behaviour import edit_distance, error_flow, facts_of, shape_of


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        (["ww", "aa"], [("wrong_answer", "accepted", 2, 0, True)]),
        (["aw", "wa", "aa"], [("wrong_answer", "wrong_answer", 1, 1, True), ("wrong_answer", "accepted", 1, 0, True)]),
        (["rr", "wr", "ww"], [("runtime_error", "wrong_answer", 0, 0, False), ("wrong_answer", "wrong_answer", 0, 0, False)]),
        (["c", "aa"], [("compile_error", "accepted", 0, 0, None)]),
        (["ww", "n", "aa"], [("wrong_answer", "no_code", 0, 0, None), ("no_code", "accepted", 0, 0, None)]),
        (["aa"], []),
    ],
)
def test_a_step_tells_verdicts_repairs_and_regressions(tmp_path, turns, expected):
    run = load_made(tmp_path, [make_episode(make_problem(1), turns)])
    facts = facts_of(run.episodes, run.problems)
    assert [(f.before, f.after, f.newly_passed, f.newly_broken, f.value_right) for f in facts] == expected


def test_the_next_program_may_return_the_right_type_and_the_wrong_value(tmp_path):
    run = load_made(tmp_path, [make_episode(make_problem(1), ["rr", "ww", "rr"])])
    first, second = facts_of(run.episodes, run.problems)
    assert (first.type_right, first.value_right) == (True, False)
    assert (second.type_right, second.value_right) == (False, False)


def test_the_same_program_again_is_counted_and_has_distance_zero(tmp_path):
    source = program(1)
    episode = make_episode(make_problem(1), ["ww", "ww", "ww"], sources=[source, source, source + "# changed\n"])
    run = load_made(tmp_path, [episode])
    again, changed = facts_of(run.episodes, run.problems)
    assert again.identical
    assert again.edit == 0.0
    assert not changed.identical
    assert 0.0 < changed.edit < 1.0


def test_edit_distances_are_computed_for_a_spread_of_steps_only(tmp_path):
    run = load_made(tmp_path, [make_episode(make_problem(1), ["ww", "ww", "ww"]) for _ in range(10)])
    assert sum(fact.edit is not None for fact in facts_of(run.episodes, run.problems, edits=5)) == 5


@pytest.mark.parametrize(
    ("a", "b", "low", "high"), [("x = 1\n", "x = 1\n", 0, 0), ("", "x = 1", 1, 1), ("abcdefgh", "12345678", 1, 1)]
)
def test_the_edit_distance_runs_from_equal_to_nothing_in_common(a, b, low, high):
    assert low <= edit_distance(a, b) <= high


def test_the_edit_distance_is_one_minus_chrf_with_six_grams_and_beta_two():
    # "abcde" against reference "abcdx": matching 1- to 5-grams 4/5, 3/4, 2/3, 1/2, 0/1; there are no 6-grams.
    f_scores = [4 / 5, 3 / 4, 2 / 3, 1 / 2, 0.0]
    assert 1 - edit_distance("abcdx", "abcde") == pytest.approx(sum(f_scores) / 5, abs=1e-6)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ((1, "x"), (2, "y"), True),
        ((1, "x"), ("y", 2), False),
        ([1, 2], [3], True),
        ([1], ["a"], False),
        (True, 1, False),
        ({1: 2}, {3: 4}, True),
    ],
)
def test_the_shape_of_a_value_is_its_type_and_those_of_its_items(a, b, same):
    assert (shape_of(a) == shape_of(b)) is same


def test_the_error_flow_keeps_every_episode_in_every_turn(tmp_path):
    problem = make_problem(1)
    run = load_made(tmp_path, [make_episode(problem, turns) for turns in (["ww", "aa"], ["aa"], ["rr", "ww", "ww"])])
    flow = error_flow(run.episodes, 3)
    assert flow[0] == {("wrong_answer", "accepted"): 1, ("accepted", "accepted"): 1, ("runtime_error", "wrong_answer"): 1}
    assert [sum(step.values()) for step in flow] == [3, 3]
