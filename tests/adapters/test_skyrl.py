"""skyrl-gym plays our episodes."""

import pytest

skyrl_gym = pytest.importorskip("skyrl_gym", reason="needs the extra [skyrl]; runs in an environment of its own")

from adapter_problems import PROBLEMS, our_rewards, scripted_responses
from running_examples import run_example

from codeenv.errors import CodeenvError
from codeenv.integrations.skyrl import dataset_rows


def play(row, **options):
    """Play one episode as SkyRL's generator does: init, then step until done, appending observations to the chat."""
    env = skyrl_gym.make(row["env_class"], env_config={"turn_limit": 3}, extras=row, **options)
    chat, _ = env.init(row["prompt"])
    problem = next(problem for problem in PROBLEMS if problem.statement in chat[0]["content"])
    total, done, texts = 0.0, False, []
    while not done:
        action = scripted_responses(problem)[sum(message["role"] == "assistant" for message in chat)]
        output = env.step(action)
        chat += [{"role": "assistant", "content": action}, *output["observations"]]
        total, done = total + output["reward"], output["done"]
        texts += [message["content"] for message in output["observations"]]
    env.close()
    return total, texts, env.get_metrics()


def test_rewards_on_one_hundred_episodes_equal_ours(judge):
    ours = our_rewards(judge)
    theirs = {problem.id: play(row, judge=judge)[0] for problem, row in zip(PROBLEMS, dataset_rows(PROBLEMS), strict=True)}
    assert theirs == pytest.approx(ours)
    assert {-1.4, -1.0, 0.6, 1.0} == {round(value, 6) for value in ours.values()}


def test_feedback_is_a_user_message_and_metrics_are_numbers(judge):
    problem = next(problem for problem in PROBLEMS if int(problem.id.rsplit("-", 1)[1]) % 6 == 0)
    _, texts, metrics = play(next(dataset_rows([problem])), judge=judge)
    assert len(texts) == 1
    assert "Test 1" in texts[0]
    assert metrics == {"solved": 1.0, "turns": 2.0}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"env_config": {"turns": 3}, "extras": {"problem": PROBLEMS[0].to_dict()}}, "unknown setting 'turns'"),
        ({"extras": {}}, "give 'problem'"),
        ({"extras": {"problem": "{"}}, "no JSON"),
    ],
)
def test_a_bad_row_is_refused_with_a_sentence(options, sentence):
    with pytest.raises(CodeenvError, match=sentence):
        skyrl_gym.make("codeenv", **options)


def test_the_example_plays_an_episode():
    out = run_example("skyrl_episode.py")
    assert out == "reward -0.2, done False, no_code\nreward +1.0, done True, accepted\n"
