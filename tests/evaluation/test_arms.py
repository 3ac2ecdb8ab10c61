"""Feedback arms: each changes the text after a failed turn and nothing else."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import judged, make_problem, program

from codeenv.episode import EnvConfig, Episode
from codeenv.errors import CodeenvError
from codeenv.evaluation.arms import ARMS, make_arm
from codeenv.evaluation.mutants import mutants, wrong_programs
from codeenv.evaluation.perturb import perturbed_text, perturbed_value
from codeenv.feedback import FeedbackContext
from codeenv.problems import CallTest, Problem
from codeenv.problems.plain import to_json
from codeenv.rollout import rollout
from codeenv.submission import fence


def with_solutions(number, statement=None):
    made = make_problem(number)
    return Problem(
        made.id,
        statement or made.statement,
        "call",
        "f",
        public_tests=made.public_tests,
        private_tests=made.private_tests,
        correct_solutions=(program(number),),
        incorrect_solutions=(program(number + 1),),
    )


PROBLEMS = [with_solutions(number) for number in (1, 20, 300, 4000)]


def wrong_context(problem, turn=0, earlier=(), letters="ww"):
    return FeedbackContext(problem, program(99), judged(problem, letters, "", True), turn, earlier)


def feedback_of(name, judge, context, problems=PROBLEMS):
    config = EnvConfig()
    arm = make_arm(name, problems, judge, config)
    feedback = EnvConfig(**arm.settings).feedback if "feedback" in arm.settings else "rlef"
    episode = Episode(context.problem, EnvConfig(feedback=feedback))
    for number, report in enumerate((*context.earlier, context.report)):
        episode.advance(fence(program(number)), program(number), report, None)
    return episode.turns[-1].feedback


@pytest.mark.parametrize("name", sorted(set(ARMS) - {"random_same"}))
def test_every_arm_ends_episodes_and_pays_rewards_as_the_true_one(name, judge):
    class SecondGuess:
        def reset(self, problem, seed):
            programs = iter([program(7), program(20), program(20)])
            return lambda conversation: fence(next(programs))

    outcomes = []
    for arm in (make_arm("true", PROBLEMS, judge, EnvConfig()), make_arm(name, PROBLEMS, judge, EnvConfig())):
        rows = rollout(PROBLEMS, SecondGuess(), judge=judge, history=arm.history, **arm.settings).rows
        outcomes.append(
            [(row["solved"], row["reward"], [turn["verdict"] for turn in row["turns"]]) for _, row in sorted(rows.items())]
        )
    assert outcomes[0] == outcomes[1]
    assert {solved for solved, _, _ in outcomes[0]} == {True, False}


def test_random_feedback_is_a_true_report_about_another_problem(judge):
    problem = PROBLEMS[0]
    text = feedback_of("random", judge, wrong_context(problem))
    expected = {repr(test.expected) for other in PROBLEMS[1:] for test in other.public_tests}
    lines = text.splitlines()
    shown = {lines[index + 1] for index, line in enumerate(lines) if line == "Expected:"}
    assert shown
    assert shown <= expected
    assert not shown & {repr(test.expected) for test in problem.public_tests}


def test_random_feedback_is_the_same_in_every_process_and_differs_between_turns(judge):
    problem = PROBLEMS[0]
    first, again = (make_arm("random", PROBLEMS, judge, EnvConfig()).settings["feedback"] for _ in range(2))
    contexts = [wrong_context(problem, turn) for turn in range(12)]
    assert [first(context) for context in contexts] == [again(context) for context in contexts]
    assert len({first(context) for context in contexts}) > 1


def test_random_feedback_works_for_problems_without_wrong_programs(judge):
    bare = [
        Problem(p.id, p.statement, "call", "f", public_tests=p.public_tests, correct_solutions=p.correct_solutions)
        for p in PROBLEMS
    ]
    assert "Test 1: wrong answer." in feedback_of("random", judge, wrong_context(bare[0]), bare)
    without = [Problem(p.id, p.statement, "call", "f", public_tests=p.public_tests) for p in PROBLEMS]
    assert "NotImplementedError" in feedback_of("random", judge, wrong_context(without[0]), without)


def test_one_problem_has_no_other_to_draw_from(judge):
    with pytest.raises(CodeenvError, match="at least 2 problems"):
        make_arm("random", PROBLEMS[:1], judge, EnvConfig())


def test_same_statement_feedback_comes_from_a_problem_with_the_statement(judge):
    alike = [with_solutions(number, "Add the hidden number.") for number in (1, 2, 3, 4)]
    text = feedback_of("random_same", judge, wrong_context(alike[0]), alike)
    assert "Test 1: wrong answer." in text
    with pytest.raises(CodeenvError, match="share a statement but not a solution; 0 of 4 do"):
        make_arm("random_same", PROBLEMS, judge, EnvConfig())


def test_same_statement_feedback_leaves_out_problems_that_share_nothing_and_borrows_from_further_ones(judge):
    alike = [with_solutions(number, "Add the hidden number.") for number in (1, 2, 3, 4)]
    arm = make_arm("random_same", [*alike[:2], PROBLEMS[1]], judge, EnvConfig(), more=alike)
    assert arm.problems == alike[:2]
    shown = arm.settings["feedback"](wrong_context(alike[0]))
    assert any(repr(test.expected) in shown for other in alike[1:] for test in other.public_tests)


def test_stale_feedback_is_about_the_turn_before(judge):
    problem = PROBLEMS[0]
    earlier = judged(problem, "rr", "", True)
    assert "Give another solution" in feedback_of("stale", judge, wrong_context(problem))
    stale = feedback_of("stale", judge, wrong_context(problem, 1, (earlier,)))
    assert "it raises an exception" in stale
    assert "wrong answer" not in stale


def test_perturbed_feedback_shows_the_true_call_and_output_and_a_wrong_expected_value(judge):
    problem = PROBLEMS[0]
    true, wrong = (feedback_of(name, judge, wrong_context(problem)).splitlines() for name in ("true", "perturbed"))
    differing = [(a, b) for a, b in zip(true, wrong, strict=True) if a != b]
    assert [a for a, _ in differing] == [repr(test.expected) for test in problem.public_tests]


def test_private_feedback_shows_failing_private_tests(judge):
    problem = PROBLEMS[0]
    assert "f(100)" in feedback_of("private", judge, wrong_context(problem))
    assert "f(100)" not in feedback_of("true", judge, wrong_context(problem))


def test_an_agent_without_history_sees_the_first_message_alone(judge):
    seen = []

    def agent(conversation):
        seen.append([message["role"] for message in conversation])
        return fence(program(99))

    arm = make_arm("independent", PROBLEMS, judge, EnvConfig())
    rows = rollout(PROBLEMS[:1], agent, judge=judge, history=arm.history, **arm.settings).rows
    assert seen == [["user"]] * 3
    assert [message["role"] for message in rows[0]["messages"]] == ["user", "assistant", "assistant", "assistant"]


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner) | st.frozensets(st.integers()),
    max_leaves=8,
)


@given(plain, st.integers(0, 5))
def test_a_perturbed_value_is_plain_and_differs(value, seed):
    changed = perturbed_value(value, random.Random(seed))
    assert to_json(changed) != to_json(value) or value in (float("inf"), float("-inf"))


@given(st.text())
def test_a_perturbed_text_differs(text):
    assert perturbed_text(text, random.Random(0)) != text


def test_mutants_compile_differ_and_come_in_the_order_of_the_seed():
    source = "def f(a, b):\n    if a < b and a in [1, 2]:\n        return a // b\n    return a - 1\n"
    made = mutants(source)
    assert len(set(made)) == len(made) >= 6
    for mutant in made:
        compile(mutant, "mutant", "exec")
    assert mutants(source, 1) != made
    assert sorted(mutants(source, 1)) == sorted(made)
    assert mutants("not python (") == []


def test_known_wrong_programs_come_before_mutants():
    assert wrong_programs(PROBLEMS[0])[0] == program(2)
    bare = Problem("p", "", "call", "f", public_tests=(CallTest((1,), {}, 2),), correct_solutions=(program(1),))
    assert wrong_programs(bare)[0] in mutants(program(1))
