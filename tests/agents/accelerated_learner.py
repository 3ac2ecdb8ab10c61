"""A script for `test_accelerated.py`: a small learner on the processes that the environment variables name.

    python accelerated_learner.py OUT SHARD [OTHER]

Two iterations and a checkpoint after the first; then a new learner goes on from the checkpoint in OTHER for one iteration.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.models import MiniShape, build_mini_critic, build_mini_policy
from codeenv.agents.rlef.accelerated import AcceleratedDevices
from codeenv.agents.rlef.checkpoint import load_checkpoint, save_checkpoint, save_model
from codeenv.agents.rlef.config import MINI
from codeenv.agents.rlef.miniature import build_tokenizer, env_config
from codeenv.agents.rlef.trainer import Learner
from codeenv.judge import ExecutionCache, Judge
from codeenv.problems.procedural import mini

torch.set_num_threads(1)
SHAPE = MiniShape(hidden=16, feed_forward=32, layers=2, heads=2)
CONFIG = replace(
    MINI, iterations=2, episodes=13, micro_batch=2, critic_only_iterations=0, warmup_updates=1, max_response_tokens=6,
    recompute_logprobs=True,
)  # fmt: skip


def problems(number: int, count: int) -> list:
    return [mini.problem(task) for task in mini.sample_tasks("train", count, seed=number)]


def main() -> None:
    out, shard = Path(sys.argv[1]), sys.argv[2] == "shard"
    devices = AcceleratedDevices(shard=shard, cpu=True)
    chat = PlainFormat(build_tokenizer())

    def build() -> Learner:
        policy, critic = build_mini_policy(chat.tokenizer, SHAPE, 0), build_mini_critic(chat.tokenizer, SHAPE, 1)
        return Learner(policy, critic, chat, env_config(), CONFIG, 0, devices)

    rows = []
    with Judge(workers=1, isolation="batch", cache=ExecutionCache(inputs=mini.inputs_of)) as judge:
        learner = build()
        for _ in range(2):
            rows.append(learner.step(problems, judge))
            if len(rows) == 1:
                save_checkpoint(learner, out, {}, keep=2)
        save_model(learner, out / "final")
        if len(sys.argv) > 3:
            again = build()
            load_checkpoint(again, Path(sys.argv[3]))
            rows.append(again.step(problems, judge))
    devices.wait()
    if devices.rank == 0:
        sharded = sum(hasattr(parameter, "full_tensor") for parameter in learner.policy.parameters())
        result = {"count": devices.count, "sharded": sharded, "rows": rows}
        (out / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
