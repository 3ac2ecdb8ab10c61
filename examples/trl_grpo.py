"""TRL's GRPOTrainer learns from whole episodes, here with the miniature policy on a CPU.

pip install 'codeenv-rl[agents,trl]' && python examples/trl_grpo.py 2 runs/trl
"""

import sys

try:
    import torch
    from trl import GRPOConfig

    from codeenv.agents.lm.chat_format import PlainFormat
    from codeenv.agents.lm.models import MiniShape, build_mini_policy
    from codeenv.agents.rlef.miniature import build_tokenizer, env_config
    from codeenv.integrations.trl import CodeRollout, TurnGRPOTrainer, episode_reward, prompt_dataset
    from codeenv.problems.procedural.mini import problem, sample_tasks
except ImportError as error:
    sys.exit(f"{error.name or error} is missing; install it with: pip install 'codeenv-rl[agents,trl]'")


def main(steps="2", folder="runs/trl"):
    torch.set_num_threads(1)
    tokenizer, config = build_tokenizer(), env_config()
    problems = [problem(task) for task in sample_tasks("train", 16, seed=0)]
    trainer = TurnGRPOTrainer(
        model=build_mini_policy(tokenizer, MiniShape(), seed=0),
        reward_funcs=episode_reward,
        rollout_func=CodeRollout(problems, PlainFormat(tokenizer), config, turn_tokens=12),
        train_dataset=prompt_dataset(problems, config),
        processing_class=tokenizer,
        args=GRPOConfig(
            output_dir=folder,
            max_steps=int(steps),
            per_device_train_batch_size=16,
            num_generations=4,
            max_completion_length=70,
            learning_rate=1e-3,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            report_to="none",
            save_strategy="no",
            logging_steps=1,
        ),
    )
    trainer.train()
    for row in trainer.state.log_history[:-1]:
        print(f"step {row['step']}: reward {row['reward']:+.3f}, loss {row['loss']:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
