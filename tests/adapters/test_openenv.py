"""OpenEnv's server and client play our episodes, over a real socket."""

import threading

import pytest

pytest.importorskip("openenv", reason="needs the extra [openenv]; runs in an environment of its own")

import uvicorn
from adapter_problems import PROBLEMS, our_rewards, scripted_responses
from running_examples import run_example

from codeenv.integrations.openenv import CodeAction, CodeClient, create_code_app


@pytest.fixture(scope="module")
def url(judge):
    server = uvicorn.Server(uvicorn.Config(create_code_app(PROBLEMS, judge=judge), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.02)
        assert thread.is_alive(), "the server did not start"
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def play(env, problem):
    result = env.reset(problem_id=problem.id)
    total, messages = 0.0, [result.observation.message]
    for response in scripted_responses(problem):
        result = env.step(CodeAction(response=response))
        total += result.reward
        messages.append(result.observation.message)
        if result.done:
            break
    return total, messages, result


def test_rewards_on_one_hundred_episodes_equal_ours(url, judge):
    with CodeClient(base_url=url).sync() as env:
        theirs = {problem.id: play(env, problem)[0] for problem in PROBLEMS}
    assert theirs == pytest.approx(our_rewards(judge))


def test_an_episode_carries_feedback_facts_and_state(url):
    problem = next(problem for problem in PROBLEMS if int(problem.id.rsplit("-", 1)[1]) % 6 == 0)
    with CodeClient(base_url=url).sync() as env:
        _, messages, result = play(env, problem)
        state = env.state()
    assert problem.statement in messages[0]
    assert "Test 1" in messages[1]
    assert messages[2] == ""
    assert result.observation.metadata["solved"] is True
    assert (state.problem_id, state.step_count, state.solved) == (problem.id, 2, True)


def test_two_clients_have_episodes_of_their_own(url):
    with CodeClient(base_url=url).sync() as first, CodeClient(base_url=url).sync() as second:
        one = first.reset(problem_id=PROBLEMS[0].id)
        two = second.reset(problem_id=PROBLEMS[1].id)
        first.step(CodeAction(response="nothing"))
        assert one.observation.message != two.observation.message
        assert second.state().step_count == 0


def test_the_same_seed_gives_the_same_problem(url):
    with CodeClient(base_url=url).sync() as env:
        assert env.reset(seed=5).observation.message == env.reset(seed=5).observation.message


def test_an_unknown_problem_is_an_error_for_the_client(url):
    with CodeClient(base_url=url).sync() as env, pytest.raises(Exception, match="no problem 'nope'"):
        env.reset(problem_id="nope")


def test_the_example_plays_an_episode():
    out = run_example("openenv_episode.py")
    assert out == "reward -0.2, done False, no_code\nreward +1.0, done True, accepted\n"
