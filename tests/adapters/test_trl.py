"""TRL's GRPOTrainer trains on our episodes: exact ids, masked environment tokens, our rewards."""

import json
import os

import pytest

pytest.importorskip("trl", reason="needs the extra [trl]")
os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"

import torch
from adapter_problems import PROBLEMS, scripted_responses
from running_examples import run_example
from tiny_chat_tokenizer import make_tokenizer
from transformers import Qwen2Config, Qwen2ForCausalLM
from trl import GRPOConfig, GRPOTrainer
from trl.chat_template_utils import qwen3_chat_template

from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.models import MiniShape, build_mini_policy
from codeenv.agents.lm.template_format import TemplateFormat
from codeenv.agents.rlef.miniature import build_tokenizer, env_config
from codeenv.batch import EpisodeBatch
from codeenv.episode import EnvConfig
from codeenv.errors import CodeenvError
from codeenv.integrations.trl import CodeRollout, TurnGRPOTrainer, environment_factory, episode_reward, prompt_dataset
from codeenv.problems.procedural.mini import problem, sample_tasks
from codeenv.submission import extract_code

torch.set_num_threads(1)
GENERATIONS = 4


def grpo_config(folder, **settings):
    base = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 8,
        "num_generations": GENERATIONS,
        "max_completion_length": 70,
        "max_steps": 2,
        "learning_rate": 1e-3,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "report_to": "none",
        "logging_steps": 1,
        "save_strategy": "no",
        "disable_tqdm": True,
    }
    return GRPOConfig(**base | settings)


@pytest.fixture
def miniature(judge, tmp_path):
    """The miniature policy, its problems and a rollout function that remembers what it returned."""
    problems = [problem(task) for task in sample_tasks("train", 4, seed=3)]
    tokenizer = build_tokenizer()
    model = build_mini_policy(tokenizer, MiniShape(), seed=0)
    config = env_config()
    rollout = CodeRollout(problems, PlainFormat(tokenizer), config, judge, turn_tokens=12)
    returned = []

    def recording(prompts, trainer):
        returned.append(rollout(prompts, trainer))
        return returned[-1]

    return {
        "returned": returned,
        "problems": problems,
        "config": config,
        "tokenizer": tokenizer,
        "make": lambda kind: kind(
            model=model,
            reward_funcs=episode_reward,
            rollout_func=recording,
            train_dataset=prompt_dataset(problems, config),
            processing_class=tokenizer,
            args=grpo_config(tmp_path),
        ),
    }


def test_two_steps_of_grpo_train_on_whole_conversations(miniature, judge):
    trainer = miniature["make"](GRPOTrainer)
    before = trainer.model.get_input_embeddings().weight.detach().clone()
    trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    assert len(losses) == 2
    assert all(abs(loss) < 1e3 for loss in losses)
    assert len(miniature["returned"]) == 2
    tokenizer, returned = miniature["tokenizer"], miniature["returned"][0]
    chat = PlainFormat(tokenizer)
    assert any(len(rewards) > 1 for rewards in returned["turn_rewards"]), "no episode had a second turn"
    for row in range(len(returned["prompt_ids"])):
        ids, mask = returned["completion_ids"][row], returned["env_mask"][row]
        assert len(ids) == len(mask) == len(returned["logprobs"][row])
        assert all(value == 0.0 for value, mark in zip(returned["logprobs"][row], mask, strict=True) if not mark)
        replayed = replay(chat, returned, row, miniature, judge)
        assert replayed == returned["turn_rewards"][row]
    assert not torch.equal(before, trainer.model.get_input_embeddings().weight) or trainer.state.log_history[0]["reward_std"] == 0


def replay(chat, returned, row, miniature, judge):
    """Judge the recorded responses again, outside TRL, and return the rewards turn by turn."""
    prompt = chat.tokenizer.decode(returned["prompt_ids"][row][:-1])
    asked = next(item for item in miniature["problems"] if item.statement == prompt)
    batch = EpisodeBatch([asked], judge, miniature["config"])
    rewards = []
    for turn in range(len(returned["turn_rewards"][row])):
        marks = zip(returned["completion_ids"][row], returned["env_mask"][row], returned["token_turn"][row], strict=True)
        response = [token for token, mark, its_turn in marks if mark and its_turn == turn]
        rewards.append(batch.step({0: chat.text(response)})[0].reward)
    if batch.live:
        rewards[-1] -= 1.0  # the conversation had no room left, which ends the episode unsolved
    return rewards


def test_the_loss_sees_the_mask_of_the_environments_tokens(miniature):
    trainer = miniature["make"](GRPOTrainer)
    masks = []
    original = trainer._compute_loss

    def compute(model, inputs):
        masks.append(
            sorted(
                tuple(row[:width].tolist())
                for row, width in zip(inputs["tool_mask"], inputs["completion_mask"].sum(1), strict=True)
            )
        )
        return original(model, inputs)

    trainer._compute_loss = compute
    trainer.train()
    assert masks[0] == sorted(map(tuple, miniature["returned"][0]["env_mask"]))
    assert any(0 in row for row in masks[0])


def test_each_turn_may_have_its_own_advantage(miniature):
    trainer = miniature["make"](TurnGRPOTrainer)
    seen = []
    original = trainer._compute_loss

    def compute(model, inputs):
        seen.append(inputs["advantages"])
        return original(model, inputs)

    trainer._compute_loss = compute
    trainer.train()
    assert all(advantages.dim() == 2 for advantages in seen)
    returned = miniature["returned"][0]
    assert sum(len(rewards) > 1 for rewards in returned["turn_rewards"]) > 0


def test_turn_advantages_are_the_return_from_the_turn_less_the_group_mean():
    trainer = object.__new__(TurnGRPOTrainer)
    trainer.num_generations = 2
    trainer.scale_rewards = "none"
    trainer.model = torch.nn.Linear(1, 1)

    class OneProcess:
        process_index = 0

        @staticmethod
        def gather(tensor):
            return tensor

    trainer.accelerator = OneProcess()
    mean, scale = trainer._group_statistics([1.0, -1.2, None, 1.0], torch.device("cpu"))
    assert mean.tolist() == pytest.approx([-0.1, -0.1, 1.0, 1.0])
    assert scale.tolist() == [1.0] * 4
    trainer.scale_rewards = "group"
    _, scale = trainer._group_statistics([1.0, -1.2, -1.4, -1.4], torch.device("cpu"))
    assert scale.tolist() == pytest.approx([1.1001, 1.1001, float("inf"), float("inf")])  # equal returns: no advantage


def test_a_judge_that_fails_gives_no_reward_instead_of_zero():
    assert episode_reward([1.0, None, -1.2], solved=[True, False, False]) == [1.0, None, -1.2]


def test_two_problems_with_one_message_are_refused(judge):
    first = PROBLEMS[0]
    with pytest.raises(CodeenvError, match="same first message"):
        CodeRollout(
            [first, type(first).from_dict({**first.to_dict(), "id": "other"})], PlainFormat(build_tokenizer()), judge=judge
        )


# Tool calling. A tiny random model never calls a tool, so the ids it "samples" are written down; all else is TRL's own loop.


class ScriptedGRPO(GRPOTrainer):
    """GRPOTrainer whose samples are written down: `texts[problem's id][number of tool calls so far]`."""

    texts: dict[str, list[str]]

    def _generate_single_turn(self, prompt_ids, images, multimodal_fields, num_generations, has_tool_images=False):
        ids, logprobs = [], []
        for row in prompt_ids:
            text = self.processing_class.decode(row)
            key = next(problem.id for problem in PROBLEMS if problem.statement in text)
            calls = text.count("<tool_response>")
            answer = self.processing_class.encode(self.texts[key][calls], add_special_tokens=False)
            ids.append([*answer, self.processing_class.eos_token_id])
            logprobs.append([0.0] * len(ids[-1]))
        return ids, None


def call(code):
    return "<tool_call>\n" + json.dumps({"name": "submit", "arguments": {"code": code}}) + "\n</tool_call>"


def test_a_tool_calling_model_submits_through_the_environment_factory(judge, tmp_path):
    tokenizer = make_tokenizer(qwen3_chat_template)
    model = Qwen2ForCausalLM(
        Qwen2Config(vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
                    num_key_value_heads=2, max_position_embeddings=4096)
    )  # fmt: skip
    rewards = []

    class Recording(ScriptedGRPO):
        def _calculate_rewards(self, *args, **kwargs):
            rewards.append(super()._calculate_rewards(*args, **kwargs))
            return rewards[-1]

    problems = PROBLEMS[:2]
    trainer = Recording(
        model=model,
        environment_factory=environment_factory(judge=judge),
        train_dataset=prompt_dataset(problems, EnvConfig(prompt="plain")),
        processing_class=tokenizer,
        args=grpo_config(tmp_path, max_steps=1, max_completion_length=2000),
    )
    right, wrong = scripted_responses(problems[0])[1], scripted_responses(problems[1])[0]
    trainer.texts = {
        problems[0].id: [call("not python ("), call(extract_code(right)), "done"],
        problems[1].id: [call(extract_code(wrong)), "I give up"],
    }
    trainer.train()
    assert sorted(set(rewards[0].flatten().tolist())) == pytest.approx([-1.0, 0.8])


def test_a_template_format_plays_with_a_real_chat_template(judge, tmp_path):
    tokenizer = make_tokenizer()
    model = Qwen2ForCausalLM(
        Qwen2Config(vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
                    num_key_value_heads=2, max_position_embeddings=4096)
    )  # fmt: skip
    rollout = CodeRollout(PROBLEMS[:2], TemplateFormat(tokenizer), judge=judge, turn_tokens=8)
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=episode_reward,
        rollout_func=rollout,
        train_dataset=prompt_dataset(PROBLEMS[:2]),
        processing_class=tokenizer,
        args=grpo_config(tmp_path, max_steps=1, max_completion_length=400),
    )
    trainer.train()
    assert trainer.state.log_history[0]["reward"] == pytest.approx(-1.4, abs=0.41)


def test_the_example_trains(tmp_path):
    out = run_example("trl_grpo.py", "1", tmp_path / "run")
    assert out.startswith("step 1: reward ")
