"""The Gymnasium environment, with a real judge."""

import json
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import codeenv
import codeenv.vector
from codeenv.env import CodeEnv
from codeenv.errors import CodeenvError
from codeenv.spaces import Unicode
from codeenv.submission import fence

RIGHT = fence("def f(x):\n    return x + 1\n")
WRONG = fence("def f(x):\n    return x\n")


@pytest.fixture
def env(problems, judge):
    with_judge = CodeEnv(problems, judge=judge, render_mode="ansi")
    yield with_judge
    with_judge.close()


@pytest.mark.parametrize("name", ["codeenv/HumanEval-v0", "codeenv/Procedural-v0"])
def test_registered_environments_pass_gymnasiums_checker(name):
    env = gymnasium.make(name)
    check_env(env.unwrapped, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("name", ["codeenv/HumanEval-v0", "codeenv/Procedural-v0"])
def test_the_same_seed_gives_the_same_episode(name):
    texts = []
    for _ in range(2):
        env = gymnasium.make(name)
        first, info = env.reset(seed=7)
        second = env.step(fence("def nothing(): pass\n"))[0]
        texts.append(json.dumps([first, info["problem_id"], second]))
        env.close()
    assert texts[0] == texts[1]


def test_a_wrong_program_then_the_right_one(env):
    observation, info = env.reset(seed=0, options={"problem_id": "test/add-one"})
    assert observation["turn"] == 0
    assert "Write f(x)" in observation["problem"]
    observation, reward, terminated, truncated, info = env.step(WRONG)
    assert (reward, terminated, truncated, info["verdict"]) == (0.0, False, False, "wrong_answer")
    assert "Call:\nf(1)\nExpected:\n2\nGot:\n1" in observation["feedback"]
    observation, reward, terminated, truncated, info = env.step(RIGHT)
    assert (reward, terminated, truncated, info["solved"], info["private_fraction"]) == (1.0, True, False, True, 1.0)
    assert "turn 2: accepted, reward +1" in env.render()


def test_a_program_that_knows_the_public_tests_alone_is_punished(env):
    env.reset(options={"problem_id": "test/add-one"})
    _, reward, terminated, _, info = env.step(fence("def f(x):\n    return {1: 2, 5: 6}.get(x)\n"))
    assert (reward, terminated, info["solved"], info["private_fraction"]) == (-1.0, True, False, 0.0)
    assert "3133" not in repr(info)


def test_unicode_goes_through_statement_input_output_and_program(env):
    env.reset(options={"problem_id": "test/écho"})
    observation, *_ = env.step(fence("print('🙂 ' + input())\n"))
    assert "Got:\n🙂 héllo 漢" in observation["feedback"]
    assert env.step(fence("print(input())\n"))[1] == 1.0


@pytest.mark.parametrize(
    ("response", "verdict"),
    [
        ("", "no_code"),
        ("I do not know.", "no_code"),
        (fence("def f(x:\n"), "compile_error"),
        (fence("def f(x):\n    return '\x00'\n"), "compile_error"),
        (fence("def f(x):\n    return '\ud800'\n"), "compile_error"),
        (fence("x = 1\n" * 1_700_000), "compile_error"),
        (fence("raise SystemExit(0)\n"), "runtime_error"),
        (fence("def g(x): return x\n"), "runtime_error"),
        (fence("def f(x): return f\n"), "wrong_answer"),
    ],
    ids=["empty", "prose", "syntax", "nul", "surrogate", "10MB", "exit", "missing", "not-plain"],
)
def test_a_strange_response_has_a_verdict_and_the_episode_goes_on(env, response, verdict):
    env.reset(options={"problem_id": "test/add-one"})
    observation, _, terminated, truncated, info = env.step(response)
    assert (info["verdict"], terminated, truncated) == (verdict, False, False)
    assert len(observation["feedback"]) < 6_000
    assert env.step(RIGHT)[1] == 1.0


def test_bad_calls_are_refused_in_a_sentence(problems, judge):
    env = CodeEnv(problems, judge=judge)
    with pytest.raises(CodeenvError, match="call reset"):
        env.step(RIGHT)
    with pytest.raises(CodeenvError, match="there is no problem 'nope'"):
        env.reset(options={"problem_id": "nope"})
    with pytest.raises(CodeenvError, match="unknown reset option 'problm'"):
        env.reset(options={"problm": 1})
    with pytest.raises(CodeenvError, match="index' is 9"):
        env.reset(options={"index": 9})
    env.reset(options={"index": 0})
    with pytest.raises(CodeenvError, match="got int; pass a str"):
        env.step(3)
    env.step(RIGHT)
    with pytest.raises(CodeenvError, match="has ended"):
        env.step(RIGHT)
    with pytest.raises(CodeenvError, match="problem set is empty"):
        CodeEnv([], judge=judge)
    with pytest.raises(CodeenvError, match="render_mode is 'human'"):
        CodeEnv(problems, judge=judge, render_mode="human")


def test_wrappers_and_the_spec_work():
    env = gymnasium.make("codeenv:codeenv/HumanEval-v0", turn_limit=1, limit=3)
    env = gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.wrappers.TransformReward(env, lambda reward: 10 * reward))
    env.reset(seed=0)
    *_, info = env.step("no code")
    assert info["episode"]["r"] == -10.0
    assert gymnasium.envs.registration.EnvSpec.from_json(env.unwrapped.spec.to_json()).id == "codeenv/HumanEval-v0"
    env.close()


def test_unicode_spaces_compare_sample_and_pickle():
    space = Unicode(max_length=5, seed=3)
    assert all(space.sample() in space for _ in range(50))
    assert pickle.loads(pickle.dumps(space)) == space
    assert space != Unicode()
    assert "123456" not in space
    with pytest.raises(ValueError, match="max_length is -1"):
        Unicode(max_length=-1)


@pytest.mark.parametrize("mode", ["sync", "vector_entry_point"])
def test_make_vec_plays_batches(mode):
    envs = gymnasium.make_vec("codeenv/HumanEval-v0", num_envs=3, vectorization_mode=mode, limit=5)
    observations, _ = envs.reset(seed=1)
    assert len(observations["problem"]) == 3
    observations, rewards, terminated, _, _ = envs.step(("no code",) * 3)
    assert rewards == pytest.approx([-0.2] * 3)
    assert not terminated.any()
    assert list(observations["turn"]) == [1, 1, 1]
    envs.close()


def test_the_vector_env_resets_in_the_same_step_and_keeps_the_final_facts(problems, judge):
    envs = codeenv.vector.CodeVectorEnv(2, problems, judge=judge)
    envs.reset(seed=0, options={"problem_ids": ["test/add-one", "test/add-one"]})
    observations, rewards, terminated, _, infos = envs.step((RIGHT, WRONG))
    assert list(rewards) == [1.0, 0.0]
    assert list(terminated) == [True, False]
    assert infos["final_info"][0]["solved"] is True
    assert infos["_final_info"].tolist() == [True, False]
    assert list(observations["turn"]) == [0, 1]
    assert "Got:\n1" in observations["feedback"][1]


def test_the_vector_env_can_wait_for_resets_and_loses_no_action(problems, judge):
    envs = codeenv.vector.CodeVectorEnv(2, problems, judge=judge, autoreset_mode="Disabled")
    envs.reset(options={"problem_ids": ["test/add-one", "test/add-one"]})
    envs.step((RIGHT, WRONG))
    with pytest.raises(CodeenvError, match="episode 0 has ended"):
        envs.step((RIGHT, WRONG))
    _, rewards, *_ = envs.step(("", RIGHT))
    assert list(rewards) == [0.0, 1.0]
    observations, _ = envs.reset(options={"reset_mask": np.array([True, False])})
    assert list(observations["turn"]) == [0, 2]
    with pytest.raises(CodeenvError, match="throws a response away"):
        codeenv.vector.CodeVectorEnv(2, problems, judge=judge, autoreset_mode="NextStep")


def test_an_environment_goes_through_pickle_in_the_middle_of_an_episode(problems):
    env = CodeEnv(problems)
    env.reset(options={"problem_id": "test/add-one"})
    env.step(WRONG)
    copy = pickle.loads(pickle.dumps(env))
    env.close()
    _, reward, terminated, _, info = copy.step(RIGHT)
    assert (reward, terminated, info["solved"]) == (1.0, True, True)
    copy.close()


@pytest.mark.parametrize("name", ["codeenv/HumanEval-v0", "codeenv/Procedural-v0"])
def test_an_environment_of_a_named_data_set_goes_through_pickle(name):
    env = gymnasium.make(name, limit=3).unwrapped
    copy = pickle.loads(pickle.dumps(env))
    assert copy.reset(seed=1)[0] == env.reset(seed=1)[0]
    env.close()
    copy.close()


def test_async_vector_environments_of_gymnasium_play_in_processes_of_their_own():
    def make():
        return gymnasium.make("codeenv/HumanEval-v0", limit=2, turn_limit=1)

    envs = gymnasium.vector.AsyncVectorEnv([make, make], shared_memory=False)
    observations, _ = envs.reset(seed=[1, 2])
    _, rewards, terminated, _, _ = envs.step(("no code", "none"))
    assert len(observations["problem"]) == 2
    assert rewards == pytest.approx([-1.0, -1.0])
    assert terminated.all()
    envs.close()
