"""The vector environment: equal seeds give equal bytes, slots do not influence each other, and the batch is judged together."""

import json

import gymnasium
import pytest
from sample_problems import ADD_ONE, ECHO

import codeenv
from codeenv.errors import CodeenvError
from codeenv.submission import fence
from codeenv.vector import CodeVectorEnv

PROGRAMS = [
    fence("def f(x):\n    return x\n"),
    fence("def f(x):\n    return x + 1\n"),
    fence("print(input())\n"),
    "no program",
    fence("def f(:\n"),
]


def played(judge, num_envs, seed, workers=None):
    """Return everything a vector environment says in four steps, as JSON text per slot."""
    envs = CodeVectorEnv(num_envs, [ADD_ONE, ECHO], judge=judge)
    said = [[] for _ in range(num_envs)]
    observations, infos = envs.reset(seed=seed)
    for step in range(4):
        for slot in range(num_envs):
            said[slot].append({key: str(values[slot]) for key, values in observations.items()})
        actions = [PROGRAMS[(seed + slot + step) % len(PROGRAMS)] for slot in range(num_envs)]
        observations, rewards, terminations, truncations, infos = envs.step(actions)
        for slot in range(num_envs):
            said[slot].append(
                [float(rewards[slot]), bool(terminations[slot]), bool(truncations[slot]), str(infos["problem_id"][slot])]
            )
    return [json.dumps(rows) for rows in said]


def test_equal_seeds_give_equal_bytes(judge):
    assert played(judge, 6, 11) == played(judge, 6, 11)
    assert played(judge, 6, 11) != played(judge, 6, 12)


def test_the_number_of_workers_changes_nothing(judge):
    with codeenv.Judge(sandbox="local", workers=1) as alone:
        assert played(alone, 6, 3) == played(judge, 6, 3)


def test_a_slot_does_not_depend_on_its_neighbours(judge):
    many = CodeVectorEnv(5, [ADD_ONE, ECHO], judge=judge)
    one = CodeVectorEnv(1, [ADD_ONE, ECHO], judge=judge)
    many.reset(seed=[1, 2, 3, 4, 5])
    one.reset(seed=[4])
    for step in range(5):
        together = many.step([PROGRAMS[(slot + step) % 5] for slot in range(5)])
        alone = one.step([PROGRAMS[(3 + step) % 5]])
        assert {key: values[3] for key, values in together[0].items()} == {key: values[0] for key, values in alone[0].items()}
        assert [part[3] for part in together[1:4]] == [part[0] for part in alone[1:4]]


def test_the_whole_batch_is_judged_in_one_call(judge):
    envs = CodeVectorEnv(8, [ADD_ONE], judge=judge)
    envs.reset(seed=0)
    before = judge.stats.requests
    _, rewards, _, _, _ = envs.step([PROGRAMS[1]] * 8)
    assert list(rewards) == [1.0] * 8
    assert judge.stats.requests - before == 8 + 8  # public and private tests of each


def test_infos_are_one_array_a_key_with_a_mask(judge):
    envs = CodeVectorEnv(2, [ADD_ONE], judge=judge)
    envs.reset(seed=0)
    *_, infos = envs.step([PROGRAMS[0], PROGRAMS[1]])
    assert list(infos["_final_info"]) == [False, True]
    assert infos["final_info"][1]["solved"] is True
    assert infos["verdict"][0] == "wrong_answer"


def test_an_action_for_an_ended_slot_is_refused_and_moves_nothing(judge):
    envs = CodeVectorEnv(2, [ADD_ONE], judge=judge, autoreset_mode="Disabled")
    envs.reset(seed=0)
    envs.step([PROGRAMS[1], PROGRAMS[0]])
    with pytest.raises(CodeenvError, match="episode 0 has ended"):
        envs.step([PROGRAMS[1], PROGRAMS[1]])
    observations, rewards, terminations, _, _ = envs.step(["", PROGRAMS[1]])
    assert list(rewards) == [0.0, 1.0]
    assert list(terminations) == [True, True]
    assert list(observations["turn"]) == [1, 2]


def test_make_vec_gives_the_seeded_problems_in_every_mode():
    def ids(mode):
        envs = gymnasium.make_vec("codeenv/Procedural-v0", num_envs=3, vectorization_mode=mode, limit=20)
        try:
            return [str(text) for text in envs.reset(seed=5)[0]["problem"]]
        finally:
            envs.close()

    assert ids("sync") == ids("vector_entry_point")
