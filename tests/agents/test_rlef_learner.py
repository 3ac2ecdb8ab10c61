"""The learner: which tokens move it, where the critic is read, and that it learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.models import MiniShape, build_mini_critic, build_mini_policy
from codeenv.agents.lm.scoring import build_batch, response_logprobs
from codeenv.agents.rlef.advantage import gae, rewards_to_go
from codeenv.agents.rlef.collect import Collection, collect
from codeenv.agents.rlef.config import MINI, RLEFConfig
from codeenv.agents.rlef.miniature import build_tokenizer, env_config
from codeenv.agents.rlef.trainer import Learner
from codeenv.agents.rlef.turns import build_turns
from codeenv.episode import EnvConfig
from codeenv.errors import CodeenvError
from codeenv.judge import ExecutionCache, Judge
from codeenv.problems import CallTest, Problem
from codeenv.problems.procedural import mini

TOKENIZER = build_tokenizer()
CHAT = PlainFormat(TOKENIZER)
SHAPE = MiniShape(hidden=32, feed_forward=64, layers=2, heads=2)
SMALL = replace(MINI, iterations=8, episodes=16, critic_only_iterations=0, warmup_updates=0, max_response_tokens=6)


@pytest.fixture(scope="module")
def batch_judge():
    with Judge(workers=1, isolation="batch", cache=ExecutionCache()) as judge:
        yield judge


def learner(config: RLEFConfig = SMALL, env: EnvConfig | None = None, seed: int = 0) -> Learner:
    policy, critic = build_mini_policy(TOKENIZER, SHAPE, seed), build_mini_critic(TOKENIZER, SHAPE, seed + 1)
    return Learner(policy, critic, CHAT, env or env_config(), config, seed)


def problems(iteration: int, count: int) -> Sequence[Problem]:
    return [mini.problem(task) for task in mini.sample_tasks("train", count, seed=iteration)]


@pytest.fixture(scope="module")
def collection(batch_judge) -> Collection:
    one = learner()
    return collect(one.policy, CHAT, problems(0, 16), batch_judge, env_config(), SMALL.sampling(), one.generator)


def test_every_response_is_a_turn_of_the_environment_and_all_its_tokens_share_one_advantage(collection: Collection) -> None:
    table = build_turns(collection.played)
    targets = learner().targets(table)
    assert table.turns == sum(len(one.episode.turns) for one in collection.played) == collection.samples
    assert table.tokens == sum(sum(one.conversation.sampled) for one in collection.played)
    assert targets.advantages.shape == (table.turns,)
    assert torch.bincount(table.token_turn, minlength=table.turns).tolist() == [
        span.stop - span.start for one in collection.played for span in one.conversation.spans
    ]


def test_the_policy_loss_touches_the_predictions_of_sampled_tokens_alone(collection: Collection) -> None:
    one = learner()
    batch = build_batch([played.conversation for played in collection.played], pad_id=0)
    captured: list[torch.Tensor] = []
    head = one.policy.get_output_embeddings()
    hook = head.register_forward_hook(lambda module, inputs, output: captured.append(inputs[0]))
    logprobs, _ = response_logprobs(one.policy, batch)
    hook.remove()
    assert len(captured[0]) == len(logprobs) == sum(sum(played.conversation.sampled) for played in collection.played)
    for row, column, target in zip(batch.token_row.tolist(), batch.token_column.tolist(), batch.target.tolist(), strict=True):
        conversation = collection.played[row].conversation
        assert conversation.sampled[column + 1]
        assert conversation.ids[column + 1] == target


def test_text_after_a_response_has_no_gradient_from_it_and_prompts_have_no_loss(collection: Collection) -> None:
    one = learner()
    conversation = max((played.conversation for played in collection.played), key=lambda item: len(item.spans))
    batch = build_batch([conversation], pad_id=0)
    embedded = one.policy.get_input_embeddings()(batch.ids).detach().requires_grad_(True)
    hidden = one.policy.base_model(inputs_embeds=embedded).last_hidden_state
    first = batch.token_turn == 0
    logits = one.policy.get_output_embeddings()(hidden[batch.token_row[first], batch.token_column[first]])
    torch.log_softmax(logits, -1).gather(1, batch.target[first][:, None]).sum().backward()
    gradient = embedded.grad[0].abs().sum(dim=-1)
    span = conversation.spans[0]
    assert torch.all(gradient[: span.stop - 1] > 0)
    assert torch.all(gradient[span.stop - 1 :] == 0)


def test_the_critic_is_read_at_the_last_prompt_token_of_each_turn_and_nowhere_else(collection: Collection) -> None:
    one = learner()
    batch = build_batch([played.conversation for played in collection.played], pad_id=0)
    captured: list[torch.Tensor] = []
    hook = one.critic.trunk.register_forward_hook(
        lambda module, inputs, output: output.last_hidden_state.retain_grad() or captured.append(output.last_hidden_state)
    )
    values = one.critic(batch)
    hook.remove()
    values.square().sum().backward()
    touched = {tuple(place) for place in captured[0].grad.abs().sum(-1).nonzero().tolist()}
    ends = {(row, span.prompt_end) for row, played in enumerate(collection.played) for span in played.conversation.spans}
    assert touched == ends
    assert len(values) == len(ends)


def test_the_value_of_a_turn_does_not_depend_on_its_response(collection: Collection) -> None:
    critic = learner().critic.eval()
    conversation = collection.played[0].conversation
    with torch.no_grad():
        batch = build_batch([conversation], pad_id=0)
        before = critic(batch)[0].item()
        batch.ids[0, conversation.spans[0].start :] = 9
        assert critic(batch)[0].item() == pytest.approx(before, abs=1e-6)


def test_returns_are_the_environments_rewards_when_policy_and_reference_agree(collection: Collection) -> None:
    one = learner()
    table = build_turns(collection.played)
    targets = one.targets(table)
    assert torch.allclose(targets.log_ratio, torch.zeros(table.turns), atol=1e-5)
    first = [table.turn_start[index] for index in range(len(collection.played))]
    totals = [sum(played.rewards) for played in collection.played]
    assert targets.returns[first].tolist() == pytest.approx(totals, abs=1e-5)


def test_the_critic_learns_the_lambda_return_and_the_monte_carlo_return_by_default(collection: Collection) -> None:
    plain, short = learner(), learner(replace(SMALL, gae_lambda=0.5, gamma=0.9, normalise_advantages=False))
    table = build_turns(collection.played)
    monte_carlo, targets = plain.targets(table), short.targets(table)
    assert torch.equal(monte_carlo.returns, rewards_to_go(table.rewards - 0.05 * monte_carlo.log_ratio, table.episode))
    shaped = table.rewards - 0.05 * targets.log_ratio
    assert torch.equal(targets.advantages, gae(shaped, targets.old_values, table.episode, 0.9, 0.5))
    assert torch.allclose(targets.returns, targets.advantages + targets.old_values)
    assert not torch.allclose(targets.returns, monte_carlo.returns, atol=1e-3)


def test_critic_only_iterations_leave_the_policy_as_it_is(collection: Collection) -> None:
    one = learner(replace(SMALL, critic_only_iterations=1))
    policy = [value.clone() for value in one.policy.state_dict().values()]
    critic = [value.clone() for value in one.critic.state_dict().values()]
    one.learn(collection)
    assert all(torch.equal(old, new) for old, new in zip(policy, one.policy.state_dict().values(), strict=True))
    assert not all(torch.equal(old, new) for old, new in zip(critic, one.critic.state_dict().values(), strict=True))


def test_the_size_of_a_forward_pass_does_not_change_what_is_learned(collection: Collection) -> None:
    learned = []
    for size in (3, 16):
        one = learner(replace(SMALL, micro_batch=size, recompute_logprobs=True))
        one.learn(collection)
        learned.append(torch.cat([parameter.flatten() for parameter in one.policy.parameters()]).detach())
    assert torch.allclose(*learned, atol=2e-4)
    untouched = torch.cat([parameter.flatten() for parameter in learner().policy.parameters()]).detach()
    assert not torch.allclose(learned[0], untouched, atol=2e-4)


def test_a_bfloat16_copy_writes_and_the_float32_policy_learns_from_its_own_log_probabilities(batch_judge) -> None:
    one = learner(replace(SMALL, sampling_dtype="bfloat16", recompute_logprobs=True, learning_rate=1e-2))
    plain = learner(replace(SMALL, recompute_logprobs=True))
    gaps = [one.step(problems, batch_judge)["sampler_gap"] for _ in range(2)]
    assert all(1e-5 < gap < 0.1 for gap in gaps)  # small after an update too: the copy is taken anew
    assert plain.step(problems, batch_judge)["sampler_gap"] < 1e-5
    assert {parameter.dtype for parameter in one.policy.parameters()} == {torch.float32}


def test_the_same_seed_learns_the_same(batch_judge) -> None:
    def run() -> list[dict[str, float]]:
        one = learner()
        timed = ("generation_s", "judge_s", "judge_cpu_s", "iteration_s", "iteration_cpu_s")
        steps = [one.step(problems, batch_judge) for _ in range(2)]
        return [{name: value for name, value in step.items() if name not in timed} for step in steps]

    assert run() == run()


def test_learning_rates_rise_fall_and_stay_as_the_settings_say() -> None:
    config = replace(SMALL, iterations=10, updates=4, warmup_updates=20, learning_rate=1e-3, final_learning_rate=2e-4)
    one = learner(config)
    rates = [one._rate(1e-3, taken, policy=True) for taken in range(1, 41)]
    assert rates[0] == pytest.approx(1e-3 / 20, rel=0.05)
    assert max(rates) < 1e-3
    assert rates[-1] == pytest.approx(2e-4)
    assert learner(replace(config, final_learning_rate=None))._rate(1e-3, 40, policy=True) == 1e-3
    assert one._rate(5e-3, 1, policy=False) == 5e-3


def test_a_two_armed_bandit_is_solved(batch_judge) -> None:
    """The policy writes one token; half of the vocabulary stands for a program that is right, half for one that is wrong."""
    tests = (CallTest((), {}, 7),)
    asked = Problem("toy/a", "a", "call", "f", public_tests=tests, private_tests=tests)
    good, bad = CHAT.response("def f():return 7"), CHAT.response("def f():return 8")
    one = learner(replace(SMALL, iterations=40, episodes=64, learning_rate=5e-3, final_learning_rate=None, max_response_tokens=1))

    class TwoArms(PlainFormat):
        """Odd tokens stand for one program, even ones for the other."""

        def text(self, ids: list[int]) -> str:
            return super().text(good if ids[0] % 2 else bad)

    one.chat = TwoArms(TOKENIZER)
    one.env = replace(env_config(), turn_limit=1)
    rates = [one.step(lambda iteration, count: [asked] * count, batch_judge)["solve_rate"] for _ in range(40)]
    assert 0.25 < rates[0] < 0.75
    assert min(rates[-3:]) > 0.95


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"learning_rate": 10.0}, "learning_rate is 10.0"),
        ({"iterations": 0}, "iterations is 0"),
        ({"episodes": 2, "updates": 4}, "more than the 2 episodes"),
        ({"clip": -0.1}, "clip is -0.1"),
        ({"gamma": 1.5}, "gamma is 1.5"),
        ({"sampling_dtype": "bfloat16", "recompute_logprobs": False}, "sampling_dtype is 'bfloat16', whose log-probabilities"),
        ({"sampling_dtype": "int8"}, "sampling_dtype is 'int8'"),
        ({"gae_lambda": 0.9, "critic_level": "token"}, "gae_lambda is 0.9, which needs the turn-level critic"),
        ({"gae_lambda": 0.9, "algorithm": "grpo", "group": 8}, "gae_lambda is 0.9, which needs the turn-level critic"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_a_sentence(settings: dict[str, float], word: str) -> None:
    with pytest.raises(CodeenvError, match=word):
        RLEFConfig(**settings)  # type: ignore[arg-type]


def test_the_defaults_are_the_papers() -> None:
    config = RLEFConfig()
    assert (config.iterations * config.updates, config.episodes, config.epochs) == (12_000, 1024, 1)
    assert (config.learning_rate, config.weight_decay, config.warmup_updates) == (2e-7, 0.1, 50)
    assert (config.kl_coefficient, config.clip, config.value_clip) == (0.05, 0.2, 0.2)
    assert (config.temperature, config.top_p) == (1.0, 1.0)
    assert EnvConfig().turn_limit == 3
