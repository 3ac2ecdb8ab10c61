"""A script for `test_accelerated.py`: a small learner on the processes that the environment variables name.

    python accelerated_learner.py OUT whole | shard | zero | offload-zero | mixed | mixed-whole | mixed-shard | mixed-zero [OTHER]

Two iterations and a checkpoint after the first; then a new learner goes on from the checkpoint in OTHER for one iteration.
`mixed` learns the values family with alignment prompts, masks, a curriculum and a trace head, which
`mixed-whole` and `mixed-shard` leave out.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from codeenv.agents.alignment.miniature import ValuesDocuments, exam
from codeenv.agents.alignment.miniature import build_tokenizer as values_tokenizer
from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.models import MiniShape, build_mini_critic, build_mini_policy
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.agents.rlef.accelerated import AcceleratedDevices
from codeenv.agents.rlef.build import build_learner
from codeenv.agents.rlef.checkpoint import load_checkpoint, save_checkpoint, save_model
from codeenv.agents.rlef.config import MINI
from codeenv.agents.rlef.miniature import build_tokenizer, env_config
from codeenv.agents.rlef.run_config import read_config
from codeenv.agents.rlef.sft import SFTConfig, train_supervised
from codeenv.agents.rlef.trainer import Learner
from codeenv.agents.rlef.zero import ZeroDevices
from codeenv.agents.stepcoder.curriculum import CurriculumConfig
from codeenv.agents.stepcoder.mask import MaskConfig
from codeenv.judge import ExecutionCache, Judge
from codeenv.problems.procedural import mini, values

torch.set_num_threads(1)
EXAMPLE = Path(__file__).parents[2] / "examples" / "coderlplus" / "mini.yaml"
BRANCHED = "def f(p,q,r,s):\n    u=p\n    if q>p:\n        u=q\n    return u\n"
SHAPE = MiniShape(hidden=16, feed_forward=32, layers=2, heads=2)
CONFIG = replace(
    MINI, iterations=2, episodes=13, micro_batch=2, critic_only_iterations=0, warmup_updates=1, max_response_tokens=6,
    recompute_logprobs=True,
)  # fmt: skip


def problems(number: int, count: int) -> list:
    return [mini.problem(task) for task in mini.sample_tasks("train", count, seed=number)]


def values_problems(number: int, count: int) -> list:
    found = [values.problem(task) for task in values.sample_tasks("train", count, seed=number)]
    return [replace(one, correct_solutions=(BRANCHED,)) for one in found]


def noted_documents(chat: PlainFormat, count: int) -> list[TokenConversation]:
    """Return programs that end with a comment, whose tokens a mask of covered lines leaves out."""
    conversations = []
    for task in values.sample_tasks("train", count, seed=count):
        problem, conversation = values.problem(task), TokenConversation()
        conversation.add_environment(chat.opening(problem.statement))
        ids = chat.response(problem.correct_solutions[0] + "\n#")
        conversation.add_response(ids, [0.0] * len(ids), "stop")
        conversations.append(conversation)
    return conversations


def mixed_learner(chat: PlainFormat, judge: Judge, devices: AcceleratedDevices) -> Learner:
    config = read_config(EXAMPLE)
    config = replace(
        config,
        problems="values",
        rlef=replace(CONFIG, max_response_tokens=14, micro_batch=3),
        alignment=replace(config.alignment, floor=0.0, mutants=True),
        # what is measured on one chunk differs with the number of processes, which share out the chunks
        trace_head=replace(
            config.trace_head, mode="off" if sys.argv[2] in ("mixed-whole", "mixed-shard") else "on", measure_every=0
        ),
        mask=MaskConfig(mode="coverage"),
        curriculum=CurriculumConfig(full=0.5),
    )
    policy, critic = build_mini_policy(chat.tokenizer, SHAPE, 0), build_mini_critic(chat.tokenizer, SHAPE, 1)
    plain = ValuesDocuments(chat, 0)

    def documents(count: int) -> list[TokenConversation]:
        return [*plain(count // 2), *noted_documents(chat, count - count // 2)]

    train_supervised(policy, documents, SFTConfig(steps=100, batch=16, warmup=5, learning_rate=1e-2), seed=0)
    learner = build_learner(config, policy, critic, chat, judge, devices)
    learner.buffer.push(exam("train", 16, seed=0))
    return learner


def main() -> None:
    out, shard, mixed = Path(sys.argv[1]), sys.argv[2].endswith("shard"), sys.argv[2].startswith("mixed")
    devices = ZeroDevices() if sys.argv[2].endswith("zero") else AcceleratedDevices(shard=shard, cpu=True)
    chat = PlainFormat(values_tokenizer() if mixed else build_tokenizer())

    def build() -> Learner:
        if mixed:
            return mixed_learner(chat, judge, devices)
        policy, critic = build_mini_policy(chat.tokenizer, SHAPE, 0), build_mini_critic(chat.tokenizer, SHAPE, 1)
        return Learner(policy, critic, chat, env_config(), CONFIG, 0, devices)

    rows = []
    source = values_problems if mixed else problems
    with Judge(workers=1, isolation="batch", cache=None if mixed else ExecutionCache(inputs=mini.inputs_of)) as judge:
        learner = build()
        for _ in range(2):
            rows.append(learner.step(source, judge))
            if len(rows) == 1:
                save_checkpoint(learner, out, {}, keep=2)
        save_model(learner, out / "final")
        if len(sys.argv) > 3:
            again = build()
            load_checkpoint(again, Path(sys.argv[3]))
            rows.append(again.step(source, judge))
    devices.wait()
    if devices.rank == 0:
        sharded = sum(hasattr(parameter, "full_tensor") for parameter in learner.policy.parameters())
        result = {"count": devices.count, "sharded": sharded, "rows": rows}
        (out / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
