"""The algorithms without a critic, the token-level critic, and equality with TRL's GRPO on the same batch."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from test_rlef_learner import SHAPE, SMALL, TOKENIZER, learner, problems

from codeenv.agents.lm.models import build_mini_policy
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.agents.rlef.algorithms import (
    ALGORITHMS,
    AlgorithmName,
    group_baseline,
    normalised_over_tokens,
    token_rewards_to_go,
)
from codeenv.agents.rlef.config import RLEFConfig
from codeenv.agents.rlef.losses import divergence_loss, policy_loss
from codeenv.agents.rlef.miniature import env_config
from codeenv.agents.rlef.trainer import Targets
from codeenv.agents.rlef.turns import TurnTable
from codeenv.errors import CodeenvError
from codeenv.judge import ExecutionCache, Judge

F = torch.tensor


@pytest.fixture(scope="module")
def batch_judge():
    with Judge(workers=1, isolation="batch", cache=ExecutionCache()) as judge:
        yield judge


GROUPS = torch.tensor([0, 0, 1, 1, 1, 2])
TOTALS = F([1.0, -1.0, 1.0, 1.0, 1.0, -1.0])


@pytest.mark.parametrize(
    ("keywords", "wanted"),
    [
        ({}, [1.0, -1.0, 0.0, 0.0, 0.0, 0.0]),
        ({"leave_one_out": True}, [2.0, -2.0, 0.0, 0.0, 0.0, 0.0]),
        ({"scale": True}, [1 / (math.sqrt(2) + 1e-4), -1 / (math.sqrt(2) + 1e-4), 0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_a_group_is_compared_with_itself(keywords: dict[str, bool], wanted: list[float]) -> None:
    assert group_baseline(TOTALS, GROUPS, **keywords).tolist() == pytest.approx(wanted)


def test_leaving_one_out_is_the_reward_minus_the_mean_of_the_others() -> None:
    totals, group = torch.randn(12), torch.arange(12) // 4
    for index in range(12):
        others = [totals[other].item() for other in range(12) if other != index and group[other] == group[index]]
        expected = totals[index].item() - sum(others) / 3
        assert group_baseline(totals, group, leave_one_out=True)[index].item() == pytest.approx(expected, abs=1e-5)


def test_the_token_level_kl_is_paid_by_every_token_that_comes_before_it_in_the_episode() -> None:
    returns, episode, token_turn = F([1.0, 1.0, -1.0]), torch.tensor([0, 0, 1]), torch.tensor([0, 0, 1, 2])
    ratio = F([0.1, 0.2, 0.4, 0.8])
    got = token_rewards_to_go(returns, ratio, token_turn, episode, coefficient=0.5)
    assert got.tolist() == pytest.approx([1 - 0.35, 1 - 0.3, 1 - 0.2, -1 - 0.4])


def test_normalising_over_tokens_gives_long_turns_their_weight() -> None:
    got = normalised_over_tokens(F([1.0, 1.0, 1.0, -1.0]))
    assert got.mean().item() == pytest.approx(0.0, abs=1e-6)
    assert got.std(unbiased=False).item() == pytest.approx(1.0)


def test_the_divergence_estimates_are_zero_at_the_reference_and_grow_away_from_it() -> None:
    for kind in ("k3_loss", "k2_loss"):
        near, far = (divergence_loss(F([-1.0 + step]), F([-1.0]), kind).item() for step in (0.1, 0.5))
        assert divergence_loss(F([-1.0]), F([-1.0]), kind).item() == 0.0
        assert 0.0 < near < far
    assert divergence_loss(F([-1.0]), F([-0.5]), "k3_loss").item() == pytest.approx(math.exp(0.5) - 0.5 - 1)


def test_clip_higher_widens_the_upper_side_alone() -> None:
    up, down = F([math.log(1.25)]), F([math.log(0.75)])
    assert policy_loss(up, F([0.0]), None, F([1.0]), 0.2, 0.28)[0].item() == pytest.approx(-1.25)
    assert policy_loss(up, F([0.0]), None, F([1.0]), 0.2)[0].item() == pytest.approx(-1.2)
    assert policy_loss(down, F([0.0]), None, F([-1.0]), 0.2, 0.28)[0].item() == pytest.approx(0.8)


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if name != "rlef"])
def test_every_algorithm_learns_from_a_collection_without_touching_the_critic(name: AlgorithmName, batch_judge: Judge) -> None:
    config = replace(SMALL, algorithm=name, group=4, learning_rate=1e-2, warmup_updates=1)
    one = learner(config)
    critic = [value.clone() for value in one.critic.state_dict().values()]
    policy = [value.clone() for value in one.policy.state_dict().values()]
    metrics = [one.step(problems, batch_judge) for _ in range(2)]
    assert all(math.isfinite(value) for step in metrics for value in step.values())
    assert all(torch.equal(old, new) for old, new in zip(critic, one.critic.state_dict().values(), strict=True))
    assert "critic_grad_norm" not in metrics[0]
    moved = not all(torch.equal(old, new) for old, new in zip(policy, one.policy.state_dict().values(), strict=True))
    rewards_differ = any(step["solve_rate"] > 0 or step["invalid_turns"] not in (0.0, 1.0) for step in metrics)
    assert moved or not rewards_differ


def test_a_token_level_critic_is_read_before_every_sampled_token(batch_judge: Judge) -> None:
    one = learner(replace(SMALL, critic_level="token"))
    metrics = one.step(problems, batch_judge)
    assert metrics["critic_grad_norm"] > 0
    assert math.isfinite(metrics["explained_variance"])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"algorithm": "ppo2"}, "there is no algorithm 'ppo2'"),
        ({"algorithm": "grpo", "group": 1}, "set group to 2 or more"),
        ({"group": 3}, "must divide"),
        ({"critic_level": "word"}, "critic_level is 'word'"),
    ],
)
def test_impossible_combinations_are_refused_with_a_sentence(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(CodeenvError, match=words):
        RLEFConfig(**settings)


def _table(generator: torch.Generator, sizes: list[tuple[int, int]]) -> TurnTable:
    """Single-turn conversations with given prompt and response lengths."""
    conversations = []
    for prompt, response in sizes:
        conversation = TokenConversation()
        conversation.add_environment(torch.randint(4, 200, (prompt,), generator=generator).tolist())
        conversation.add_response(torch.randint(4, 200, (response,), generator=generator).tolist(), [0.0] * response, "length")
        conversations.append(conversation)
    starts = [0]
    for _, response in sizes:
        starts.append(starts[-1] + response)
    count = len(sizes)
    token_turn = torch.repeat_interleave(torch.arange(count), torch.tensor([response for _, response in sizes]))
    zeros = torch.zeros(starts[-1])
    return TurnTable(
        conversations,
        torch.zeros(count),
        torch.arange(count),
        token_turn,
        zeros,
        starts,
        list(range(count + 1)),
        torch.device("cpu"),
    )


@pytest.mark.slow
@pytest.mark.parametrize(("ours", "theirs", "beta"), [("grpo", "grpo", 0.04), ("dapo", "dapo", 0.0), ("dr_grpo", "dr_grpo", 0.0)])
def test_loss_and_gradient_equal_those_of_trl_on_the_same_batch(ours: str, theirs: str, beta: float, tmp_path: Any) -> None:
    pytest.importorskip("trl", reason="the extra trl is not installed")
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    limit = 9
    sizes = [(3, 4), (5, 9), (2, 6), (4, 5)]
    generator = torch.Generator().manual_seed(0)
    table = _table(generator, sizes)
    policy = build_mini_policy(TOKENIZER, SHAPE, seed=3)
    policy.save_pretrained(tmp_path / "model")
    TOKENIZER.save_pretrained(tmp_path / "model")
    tokens = table.tokens
    start = learner(replace(SMALL, algorithm=ours, group=4), seed=3)
    with torch.no_grad():
        current = torch.zeros(tokens)
        from codeenv.agents.lm.scoring import response_logprobs

        for chunk in table.chunks(range(4), 4):
            current[chunk.tokens] = response_logprobs(start.policy, chunk.batch)[0]
    old = current + 0.3 * torch.randn(tokens, generator=generator)
    reference = current + 0.3 * torch.randn(tokens, generator=generator)
    advantages = F([0.7, -1.1, 0.2, 1.3])

    config = replace(SMALL, algorithm=ours, group=4, kl_coefficient=beta, max_response_tokens=limit, micro_batch=2, clip=0.2)
    one = learner(config, env=replace(env_config(), turn_limit=1), seed=3)
    targets = Targets(
        old, torch.zeros(4), torch.zeros(4), torch.zeros(4), advantages, None, reference if ours == "grpo" else None
    )
    one.policy.zero_grad()
    loss = 0.0
    for chunk in table.chunks(range(4), 2):
        part, _ = one._policy_loss(table, targets, chunk)
        part = part / one._weight(table, range(4))
        part.backward()
        loss += float(part.detach())
    ours_gradient = torch.cat([parameter.grad.flatten() for parameter in one.policy.parameters()])

    arguments = GRPOConfig(
        output_dir=str(tmp_path / "out"), loss_type=theirs, beta=beta, epsilon=0.2, epsilon_high=0.28 if ours == "dapo" else 0.2,
        num_generations=4, per_device_train_batch_size=4, max_completion_length=limit, use_cpu=True, bf16=False,
        gradient_checkpointing=False, report_to=[], temperature=1.0, disable_dropout=True, use_bias_correction_kl=False,
    )  # fmt: skip
    trainer = GRPOTrainer(
        model=str(tmp_path / "model"),
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=arguments,
        train_dataset=Dataset.from_dict({"prompt": ["a"] * 8}),
        processing_class=TOKENIZER,
    )
    width, longest = max(prompt for prompt, _ in sizes), max(response for _, response in sizes)
    prompt_ids, prompt_mask = torch.zeros(4, width, dtype=torch.long), torch.zeros(4, width, dtype=torch.long)
    completion_ids, completion_mask = (torch.zeros(4, longest, dtype=torch.long) for _ in range(2))
    old_rows, reference_rows = torch.zeros(4, longest), torch.zeros(4, longest)
    for row, (prompt, response) in enumerate(sizes):
        ids = table.conversations[row].ids
        prompt_ids[row, width - prompt :] = F(ids[:prompt])
        prompt_mask[row, width - prompt :] = 1
        completion_ids[row, :response] = F(ids[prompt:])
        completion_mask[row, :response] = 1
        here = slice(table.token_start[row], table.token_start[row + 1])
        old_rows[row, :response], reference_rows[row, :response] = old[here], reference[here]
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train()
    trainer.model.zero_grad()
    trl_loss = trainer._compute_loss(
        trainer.model,
        {
            "prompt_ids": prompt_ids, "prompt_mask": prompt_mask, "completion_ids": completion_ids,
            "completion_mask": completion_mask, "advantages": advantages, "old_per_token_logps": old_rows,
            "ref_per_token_logps": reference_rows, "num_items_in_batch": completion_mask.sum(),
        },
    )  # fmt: skip
    trl_loss.backward()
    trl_gradient = torch.cat([parameter.grad.flatten() for parameter in trainer.model.parameters()])
    assert loss == pytest.approx(trl_loss.item(), rel=1e-4)
    assert trl_gradient.norm() > 0
    assert torch.allclose(ours_gradient, trl_gradient, atol=1e-5, rtol=1e-3)
