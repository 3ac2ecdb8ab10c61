"""What a step of the learner costs: the key-value cache over turns, the shares of a step, and the update against TRL's.

    python benchmarks/learner.py                 # the three tables; CPU seconds of one thread, ratios within one run
    python benchmarks/learner.py --parts cache
    python benchmarks/learner.py --run runs/mini # where the wall time of a training run went, from its metrics.jsonl

cache: three turns written with the cache kept, and with every turn's prompt read anew.
shares: where the CPU time of the miniature's iterations goes, generation, judging (with its worker) and update.
trl: the same recorded episodes given to our GRPO and to `GRPOTrainer`, the same model, one gradient step a collection, with a KL
     term.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from rlef_report import read_metrics
from transformers import LlamaConfig, LlamaForCausalLM

from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.generation import Sampling, TurnSampler
from codeenv.agents.lm.models import MiniShape, build_mini_critic, build_mini_policy
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.agents.rlef.collect import Collection, collect
from codeenv.agents.rlef.config import MINI
from codeenv.agents.rlef.miniature import MiniDocuments, build_tokenizer, env_config
from codeenv.agents.rlef.sft import SFTConfig, train_supervised
from codeenv.agents.rlef.trainer import Learner
from codeenv.judge import ExecutionCache, Judge
from codeenv.problems import Problem
from codeenv.problems.procedural import mini


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="*", default=["cache", "shares", "trl"], choices=["cache", "shares", "trl"])
    parser.add_argument("--repeats", type=int, default=3, help="paired repetitions; the median ratio is shown")
    parser.add_argument("--iterations", type=int, default=20, help="iterations of the miniature for the shares")
    parser.add_argument("--run", type=Path, help="folder of a training run: print its shares alone")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.run:
        try:
            run_shares(options.run)
        except OSError as error:
            parser.error(str(error))
        return
    if options.repeats < 1 or options.iterations < 2:
        parser.error(f"--repeats is {options.repeats}, --iterations {options.iterations}; use at least 1 and 2")
    if "cache" in options.parts:
        cache(options.repeats)
    if "shares" in options.parts or "trl" in options.parts:
        chat = PlainFormat(build_tokenizer())
        policy = build_mini_policy(chat.tokenizer, MiniShape(), 0)
        train_supervised(policy, MiniDocuments(chat, 0), SFTConfig(steps=100, warmup=20), 0)
        with Judge(workers=1, isolation="batch", cache=ExecutionCache(inputs=mini.inputs_of)) as judge:
            if "shares" in options.parts:
                shares(policy, chat, judge, options.iterations)
            if "trl" in options.parts:
                against_trl(policy, chat, judge, options.repeats)


# The cache


def cache(repeats: int) -> None:
    """Print what the kept cache saves, for short and long prompts."""
    print("| model | tokens: prompt, response, feedback | conversations | cache kept, CPU s | read anew, CPU s | ratio |")
    print("|---|---|---|---|---|---|")
    rows = [
        ("167 thousand parameters", MiniShape(), 256, (8, 5, 12)),
        ("167 thousand parameters", MiniShape(context=2048), 64, (300, 40, 100)),
        ("5 million parameters", MiniShape(hidden=256, feed_forward=704, layers=6, heads=4, context=2048), 16, (300, 40, 100)),
    ]
    for name, shape, count, sizes in rows:
        model = _random_model(shape)
        pairs = [tuple(_cpu(_turns, model, count, sizes, kept) for kept in (True, False)) for _ in range(repeats)]
        ratios = sorted(fresh / kept for kept, fresh in pairs)
        kept, fresh = (sum(pair[place] for pair in pairs) / repeats for place in (0, 1))
        row = f"| {name} | {', '.join(map(str, sizes))} | {count} | {kept:.2f} | {fresh:.2f} | {ratios[repeats // 2]:.2f} |"
        print(row, flush=True)


def _turns(model: LlamaForCausalLM, count: int, sizes: tuple[int, int, int], kept: bool) -> None:
    """Write three turns of some conversations whose responses all have the longest length."""
    prompt, response, feedback = sizes
    draw = torch.Generator().manual_seed(0)
    conversations = [TokenConversation() for _ in range(count)]
    sampling = Sampling(max_tokens=response, max_context=2048)
    generator = torch.Generator().manual_seed(0)
    sampler = None
    for turn in range(3):
        for conversation in conversations:
            conversation.add_environment(torch.randint(4, 200, (feedback if turn else prompt,), generator=draw).tolist())
        if sampler is None or not kept:
            sampler = TurnSampler(model, conversations, frozenset(), sampling, generator)
        sampler.respond(range(count))


def _random_model(shape: MiniShape) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=256, hidden_size=shape.hidden, intermediate_size=shape.feed_forward, num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads, max_position_embeddings=shape.context, tie_word_embeddings=True,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


# Shares of a step


def shares(policy: Any, chat: PlainFormat, judge: Judge, iterations: int) -> None:
    """Print where the CPU time of an iteration goes, while the judge's memory fills and afterwards."""
    learner = Learner(copy.deepcopy(policy), _critic(chat), chat, env_config(), MINI, 0)
    print("\n| iterations | CPU s each | generation | judge, with its worker | update and the rest | sampled tokens a CPU s |")
    print("|---|---|---|---|---|---|")
    for first in range(0, iterations, max(1, iterations // 2)):
        spent = {"all": 0.0, "generation": 0.0, "judge": 0.0, "worker": 0.0, "tokens": 0.0}
        part = range(first, min(iterations, first + iterations // 2))
        for _ in part:
            worker = judge.stats.worker_cpu_s
            found: list[Collection] = []
            learn = learner.learn
            learner.learn = lambda one, found=found, learn=learn: (found.append(one), learn(one))[1]  # type: ignore[method-assign]
            metrics = learner.step(_problems, judge)
            learner.learn = learn  # type: ignore[method-assign]
            spent["all"] += metrics["iteration_cpu_s"]
            spent["worker"] += judge.stats.worker_cpu_s - worker
            spent["generation"] += found[0].generation_cpu_s
            spent["judge"] += found[0].judge_cpu_s
            spent["tokens"] += metrics["tokens"]
        whole = spent["all"] + spent["worker"]
        judged = spent["judge"] + spent["worker"]
        rest = whole - spent["generation"] - judged
        parts = [f"{value / whole:.1%}" for value in (spent["generation"], judged, rest)]
        print(
            f"| {part.start + 1} to {part.stop} | {whole / len(part):.2f} | {' | '.join(parts)} | {spent['tokens'] / whole:.0f} |"
        )


def run_shares(folder: Path) -> None:
    """Print where the wall time of a run went, for the whole of it and for each quarter."""
    rows = read_metrics(folder)
    print("| iterations | wall s each | generation | waiting for the judge | update and the rest |\n|---|---|---|---|---|")
    quarter = -(-len(rows) // 4)
    for part in (range(len(rows)), *(range(first, min(len(rows), first + quarter)) for first in range(0, len(rows), quarter))):
        whole, generation, judge = (sum(rows[n][name] for n in part) for name in ("iteration_s", "generation_s", "judge_s"))
        cells = [f"{share / whole:.1%}" for share in (generation, judge, whole - generation - judge)]
        print(f"| {part.start + 1} to {part.stop} | {whole / len(part):.2f} | {' | '.join(cells)} |")


# TRL


def against_trl(policy: Any, chat: PlainFormat, judge: Judge, repeats: int, problems: int = 16, group: int = 8) -> None:
    """Print CPU seconds of a gradient step on the same recorded episodes."""
    asked = [problem for problem in _problems(0, problems) for _ in range(group)]
    sampling, generator = MINI.sampling(), torch.Generator().manual_seed(0)
    collection = collect(policy, chat, asked, judge, env_config(), sampling, generator)
    config = dataclasses.replace(
        MINI, algorithm="grpo", group=group, episodes=len(asked), updates=1, micro_batch=len(asked), critic_only_iterations=0,
        final_learning_rate=None, warmup_updates=0,
    )  # fmt: skip
    learner = Learner(copy.deepcopy(policy), _critic(chat), chat, env_config(), config, 0)
    steps = 5
    trl = _trl_steps(policy, chat, collection, group, config.kl_coefficient)
    learner.learn(collection)  # both have warmed up once
    trl(1)
    pairs = []
    for _ in range(repeats):
        ours = _cpu(lambda: [learner.learn(collection) for _ in range(steps)]) / steps
        pairs.append((ours, trl(steps)))
    tokens = sum(len(one.conversation) for one in collection.played)
    sampled = sum(sum(one.conversation.sampled) for one in collection.played)
    ratios = sorted(theirs / ours for ours, theirs in pairs)
    print(f"\n{len(asked)} episodes, {tokens} tokens, {sampled} of them sampled; one gradient step with a KL term\n")
    print("| learner | CPU s a step | sampled tokens a CPU s |")
    print("|---|---|---|")
    for name, place in (("codeenv, algorithm grpo", 0), ("TRL GRPOTrainer", 1)):
        mean = sum(pair[place] for pair in pairs) / repeats
        print(f"| {name} | {mean:.3f} | {sampled / mean:.0f} |")
    print(f"\nTRL / codeenv, median of {repeats} pairs: {ratios[repeats // 2]:.2f}")


def _trl_steps(policy: Any, chat: PlainFormat, collection: Collection, group: int, beta: float) -> Callable[[int], float]:
    """Return a function that does some steps of TRL on the recorded episodes and returns CPU seconds a step."""
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    from datasets import Dataset
    from transformers.trainer_callback import PrinterCallback
    from transformers.utils import logging
    from trl import GRPOConfig, GRPOTrainer

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    folder = tempfile.mkdtemp(prefix="codeenv-trl-")
    policy.save_pretrained(folder)
    chat.tokenizer.save_pretrained(folder)
    order = list(dict.fromkeys(one.problem_id for one in collection.played))
    texts = {name: f"problem {number}" for number, name in enumerate(order)}
    by_text: dict[str, list[Any]] = {}
    for one in collection.played:
        by_text.setdefault(texts[one.problem_id], []).append(one)

    def replay(prompts: Sequence[Any], trainer: Any) -> dict[str, list[Any]]:
        taken: dict[str, int] = {}
        rows: dict[str, list[Any]] = {
            name: [] for name in ("prompt_ids", "completion_ids", "logprobs", "env_mask", "episode_return")
        }
        for prompt in prompts:
            number = taken[prompt] = taken.get(prompt, -1) + 1
            one = by_text[prompt][number % len(by_text[prompt])]
            conversation, start = one.conversation, one.conversation.spans[0].start
            rows["prompt_ids"].append(conversation.ids[:start])
            rows["completion_ids"].append(conversation.ids[start:])
            rows["logprobs"].append(conversation.logprobs[start:])
            rows["env_mask"].append([int(mark) for mark in conversation.sampled[start:]])
            rows["episode_return"].append(float(sum(one.rewards)))
        return rows

    def reward(episode_return: Sequence[float], **_: Any) -> list[float]:
        return list(episode_return)

    class Timed(GRPOTrainer):  # type: ignore[misc]
        """Notes the CPU time at the end of each step, so that the set-up and the first step can be left out."""

        ends: list[float]

        def training_step(self, *given: Any, **named: Any) -> Any:
            result = super().training_step(*given, **named)
            self.ends.append(time.process_time())
            return result

    def run(steps: int) -> float:
        trainer = Timed(
            model=folder,
            reward_funcs=reward,
            rollout_func=replay,
            train_dataset=Dataset.from_list([{"prompt": text} for text in texts.values()]),
            processing_class=chat.tokenizer,
            args=GRPOConfig(
                output_dir=folder, max_steps=steps + 1, per_device_train_batch_size=len(collection.played), num_generations=group,
                max_completion_length=120, learning_rate=1e-3, beta=beta, use_cpu=True, bf16=False, gradient_checkpointing=False,
                report_to="none", save_strategy="no", disable_tqdm=True, logging_steps=1000, loss_type="grpo",
                shuffle_dataset=False, model_init_kwargs={"dtype": "float32"},
            ),
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        trainer.ends = []
        trainer.train()
        return (trainer.ends[-1] - trainer.ends[0]) / steps

    return run


def _critic(chat: PlainFormat) -> Any:
    return build_mini_critic(chat.tokenizer, MiniShape(hidden=32, feed_forward=88, layers=2, heads=2), 1)


def _problems(number: int, count: int) -> list[Problem]:
    return [mini.problem(task) for task in mini.sample_tasks("train", count, seed=number)]


def _cpu(function: Callable[..., Any], *arguments: Any) -> float:
    start = time.process_time()
    function(*arguments)
    return time.process_time() - start


if __name__ == "__main__":
    main()
