"""The training stream: every problem once an epoch, mixed by weight, resumable at any position, with curricula."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeenv.problems import CallTest, Problem, ProblemError, ProblemSet
from codeenv.problems.stream import ProblemStream


def problem_set(name: str, count: int) -> ProblemSet:
    rows = [
        Problem(f"{name}/{number}", "", "call", "f", public_tests=(CallTest((), {}, 1),), difficulty=number / count)
        for number in range(count)
    ]
    return ProblemSet(rows, name=name)


def test_an_epoch_holds_every_problem_once_in_an_order_of_its_own() -> None:
    stream = ProblemStream(problem_set("a", 20), seed=1)
    first = [problem.id for problem in stream.batch(20)]
    assert stream.epoch() == 1
    second = [problem.id for problem in stream.batch(20)]
    assert sorted(first) == sorted(second) == sorted(problem_set("a", 20).ids())
    assert first != second


def test_the_seed_decides_the_order() -> None:
    orders = [[problem.id for problem in ProblemStream(problem_set("a", 30), seed=seed).batch(30)] for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


def test_sets_are_mixed_by_weight_at_every_moment() -> None:
    stream = ProblemStream({"a": problem_set("a", 5), "b": problem_set("b", 50)}, weights={"a": 1, "b": 3})
    for count in range(1, 41):
        next(stream)
        assert abs(stream.state()["drawn"]["a"] - count / 4) < 1
    assert stream.epoch("a") == 2
    assert stream.epoch("b") == 0


def test_without_weights_sets_count_by_their_size() -> None:
    stream = ProblemStream({"a": problem_set("a", 10), "b": problem_set("b", 30)})
    assert Counter(problem.id[0] for problem in stream.batch(40)) == {"a": 10, "b": 30}


@settings(max_examples=25, deadline=None)
@given(
    before=st.integers(0, 60),
    curriculum=st.sampled_from(["none", "difficulty", "solve_rate"]),
    solved=st.lists(st.booleans(), max_size=20),
)
def test_a_restored_stream_goes_on_exactly_where_it_was(before: int, curriculum: str, solved: list[bool]) -> None:
    def fresh() -> ProblemStream:
        return ProblemStream({"a": problem_set("a", 7), "b": problem_set("b", 11)}, seed=3, curriculum=curriculum)

    stream = fresh()
    for number in range(before):
        problem = next(stream)
        if number < len(solved):
            stream.record(problem.id, solved[number])
    state = json.loads(json.dumps(stream.state()))
    following = [problem.id for problem in stream.batch(25)]
    other = fresh()
    other.restore(state)
    assert [problem.id for problem in other.batch(25)] == following


def test_the_difficulty_curriculum_starts_with_the_easiest_and_ends_with_all() -> None:
    stream = ProblemStream(problem_set("a", 50), curriculum="difficulty", ramp=2)
    early = [next(stream).difficulty for _ in range(8)]
    assert max(early) <= 0.2
    while stream.epoch() < 2:
        next(stream)
    assert max(next(stream).difficulty for _ in range(50)) == 0.98


def test_the_solve_rate_curriculum_prefers_problems_that_are_sometimes_solved() -> None:
    stream = ProblemStream(problem_set("a", 30), curriculum="solve_rate")
    for number in range(30):
        for step in range(12):
            stream.record(f"a/{number}", number < 10 or (number < 20 and step % 2 == 0))
    drawn = Counter(int(problem.id[2:]) // 10 for problem in stream.batch(600))
    assert drawn[1] > 3 * drawn[0]
    assert drawn[1] > 3 * drawn[2]
    assert min(drawn.values()) > 0


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ProblemStream({}), "at least one problem set"),
        (lambda: ProblemStream(problem_set("a", 0)), "the problem set 'a' is empty"),
        (lambda: ProblemStream(problem_set("a", 1), weights={"b": 1}), "must have the same names"),
        (lambda: ProblemStream(problem_set("a", 1), weights={"a": 0}), "use a positive number"),
        (lambda: ProblemStream(problem_set("a", 1), curriculum="random"), "curriculum is 'random'"),
        (lambda: ProblemStream(problem_set("a", 1), weights={"a": float("inf")}), "use a positive number"),
        (lambda: ProblemStream(problem_set("a", 1), ramp=0), "ramp is 0"),
        (lambda: ProblemStream(problem_set("a", 1), seed=-1), "seed is -1"),
    ],
)
def test_a_wrong_setting_is_answered_with_a_sentence(make, sentence: str) -> None:
    with pytest.raises(ProblemError) as caught:
        make()
    assert sentence in str(caught.value)


def two_sets(**settings: object) -> ProblemStream:
    return ProblemStream({"a": problem_set("a", 3), "b": problem_set("b", 100)}, seed=2, weights={"a": 1, "b": 2}, **settings)


STATES = {
    "no object": (lambda state: [1], "the stream's state is [1]; it must be what state() returned"),
    "nothing in it": (lambda state: {}, "the stream's state has no field 'seed'"),
    "another seed": (lambda state: {**state, "seed": 1}, "the stream's seed is 2, but the state was made with 1"),
    "another curriculum": (lambda state: {**state, "curriculum": "difficulty"}, "the stream's curriculum is 'none'"),
    "other weights": (lambda state: {**state, "weights": {"a": 0.5, "b": 0.5}}, "the stream's weights is {'a': 0.3"),
    "other names": (lambda state: {**state, "sets": {"b": [3, ""]}}, "the stream's sets are a, b, but the state is of b"),
    "no sets": (lambda state: {**state, "sets": 5}, "but the state is of 5"),
    "a set of another size": (
        lambda state: {**state, "sets": {**state["sets"], "a": [4, state["sets"]["a"][1]]}},
        "the state is of another set 'a': the stream's has 3 problems, not those that the state counts",
    ),
    "a set of other problems": (
        lambda state: {**state, "sets": {**state["sets"], "b": [100, "0" * 16]}},
        "the state is of another set 'b': the stream's has other problems",
    ),
    "counts of other sets": (lambda state: {**state, "drawn": {"a": 1}}, "field 'drawn' must hold a number for each of a, b"),
    "a count that is a text": (
        lambda state: {**state, "positions": {"a": "many", "b": 0}},
        "field 'positions.a' is 'many'; it must be a count",
    ),
    "a count below 0": (lambda state: {**state, "drawn": {"a": -1, "b": 0}}, "field 'drawn.a' is -1"),
    "a rate above 1": (lambda state: {**state, "solve_rates": {"a/1": 2}}, "field 'solve_rates' must hold a number from 0 to 1"),
    "rates without ids": (lambda state: {**state, "solve_rates": [0.5]}, "field 'solve_rates' must hold"),
}


@pytest.mark.parametrize("case", STATES)
def test_a_state_that_does_not_fit_is_refused_and_the_stream_stays_where_it_is(case: str) -> None:
    change, sentence = STATES[case]
    stream = two_sets()
    stream.batch(5)
    before = stream.state()
    with pytest.raises(ProblemError) as caught:
        stream.restore(change(json.loads(json.dumps(before))))
    assert sentence in str(caught.value)
    assert stream.state() == before


@pytest.mark.parametrize("other", ["renamed", "shuffled", "one more"])
def test_a_set_with_other_problems_of_the_same_name_is_noticed(other: str) -> None:
    rows = list(problem_set("a", 50))
    made = {"renamed": list(problem_set("c", 50)), "shuffled": rows[::-1], "one more": list(problem_set("a", 51))}[other]
    state = ProblemStream({"a": problem_set("a", 50)}).state()
    with pytest.raises(ProblemError, match="the state is of another set 'a'"):
        ProblemStream({"a": ProblemSet(made, name="a")}).restore(state)


@pytest.mark.parametrize(("problem_id", "solved"), [(None, True), ("p/1", 3), ("p/1", "yes")])
def test_only_outcomes_of_problems_are_recorded(problem_id, solved):
    stream = ProblemStream(problem_set("a", 3))
    with pytest.raises(ProblemError, match="record"):
        stream.record(problem_id, solved)
