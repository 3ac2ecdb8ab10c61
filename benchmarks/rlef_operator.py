"""The operator rung of the miniature: what a policy must bring along so that RLEF can learn to invert arithmetic.

    python benchmarks/rlef_operator.py --out runs/operator                # three seeds, two arms
    python benchmarks/rlef_operator.py --out runs/operator --report       # the tables of what is there

Feedback says `f([3,1]) gave ('kg',4) not ('kg',2)`; a hidden operator has to be worked out from two digits, the wanted number and
the offset. The warm start of `recipe` shows a line of working before the program (what each operator gives, see
`operator_documents.py`) and programs that follow from an example of what they do; that of `plain` shows neither. No document of
either arm shows the use of feedback. A fifth of the digit pairs is in no document and in no training problem's public tests: a
repair that works on them is computed, one that works on the others alone is looked up. Warm starts, learners and scores are
files; a run that is cut goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from operator_documents import HELD_OUT, Documents, Mixture, WorkingFormat, call, pair_from, values_of
from rlef_report import interval

from codeenv.agents.lm.generation import TurnSampler
from codeenv.agents.lm.models import MiniShape, build_mini_critic, build_mini_policy
from codeenv.agents.lm.scoring import build_batch, response_logprobs
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.agents.rlef.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint
from codeenv.agents.rlef.collect import Played
from codeenv.agents.rlef.config import MINI
from codeenv.agents.rlef.mini_run import play_arm
from codeenv.agents.rlef.miniature import build_tokenizer, env_config
from codeenv.agents.rlef.sft import SFTConfig, train_supervised
from codeenv.agents.rlef.trainer import Learner
from codeenv.agents.rlef.turns import Chunk
from codeenv.feedback import compact
from codeenv.judge import ExecutionCache, Judge
from codeenv.problems import Problem
from codeenv.problems.procedural import mini
from codeenv.problems.procedural.mini import OPERATORS

ARMS = {
    "plain": Mixture(working=False, examples=0.0),
    "recipe": Mixture(working=True, examples=0.25, tables=0.4, dialogues=0.2),
}
_WORKING = re.compile("#" + "".join(rf"([+-]\d+){re.escape(name)}" for name in OPERATORS) + ":")
RLEF = dataclasses.replace(MINI, max_response_tokens=32, max_context_tokens=160)


SETTINGS = ("sft_steps", "batch", "rate", "spread", "iterations", "episodes")
"""What the results of a folder have in common."""
REHEARSAL = Mixture(working=True, examples=0.25, tables=0.35, dialogues=0.4, chosen=False)
"""What `recipe` sees once more after each collection, so that it does not forget what operators give and what is wanted."""


class WorkingLearner(Learner):
    """RLEF whose policy loss leaves the values in lines of working out, and that rehearses what they are after each collection.

    The advantage of a turn says nothing of them: with a loss there, and without rehearsal, they are soon wrong.
    """

    def step(self, problems: Any, judge: Judge) -> dict[str, float]:
        metrics = super().step(problems, judge)
        documents = Documents(self.chat, 1_000 + self._seed * 1_000 + self.iteration, REHEARSAL)(64)  # type: ignore[arg-type]
        if not hasattr(self, "_rehearsal"):
            self._rehearsal = torch.optim.AdamW(self.policy.parameters(), lr=5e-4, betas=(0.9, 0.98), weight_decay=0.0)
        loss = -response_logprobs(self.policy, build_batch(documents, pad_id=0))[0].mean()
        self._rehearsal.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), 1.0)
        self._rehearsal.step()
        return metrics | {"rehearsal_loss": float(loss.detach())}

    def _masked(self, loss: torch.Tensor, chunk: Chunk) -> torch.Tensor:
        begin, colon = (int(self.chat.tokenizer.convert_tokens_to_ids(mark)) for mark in "#:")  # type: ignore[arg-type]
        weights, turn, left = [], -1, 0
        for token, of in zip(chunk.batch.target.tolist(), chunk.batch.token_turn.tolist(), strict=True):
            if of != turn:
                turn, left = of, 99 if token == begin else 0
            weights.append(0.0 if left else 1.0)
            left = 0 if token == colon else max(0, left - 1)  # the number behind the colon is a choice, and the operator
        return loss * torch.tensor(weights)


def train_problems(number: int, count: int) -> list[Problem]:
    """Return train problems whose public tests have no held-out digits."""
    found: list[Problem] = []
    for part in itertools.count():
        for task in mini.sample_tasks("train", 2 * count, seed=number * 97 + part):
            if not any(10 * a + b in HELD_OUT for a, b in task.pairs[: mini.PUBLIC_TESTS]):
                found.append(mini.problem(task))
        if len(found) >= count:
            return found[:count]
    raise AssertionError


def by_example(policy: Any, chat: WorkingFormat, mixture: Mixture, seed: int, count: int = 200) -> dict[str, list[int]]:
    """Ask for held-out programs by one example, and count what is right, on digits that training shows and on the others.

    `fits`: the operator agrees with the example; `values`: what the line of working says that the operators give; the
    operators' own names: the same of each.
    """
    counts: dict[str, list[int]] = {}
    generator, sources = np.random.default_rng([seed, 11]), {program.source: program for program in mini.all_programs()}
    tasks = [task for task in mini.sample_tasks("report", 8 * count, seed=4_000_000 + seed) if task.mask in ("O", "OF", "TO")]
    for name, held_out in (("seen", False), ("held out", True)):
        pairs = [pair_from(generator, held_out) for _ in range(count)]
        asked = [TokenConversation() for _ in range(count)]
        for task, pair, conversation in zip(tasks, pairs, asked, strict=False):
            conversation.add_environment(chat.opening(f"{task.statement} f({call(task.program, *pair)}"))
        sampler = TurnSampler(policy, asked, chat.stop_ids, RLEF.sampling(), torch.Generator().manual_seed(seed))
        sampler.respond(range(count))
        for task, pair, conversation in zip(tasks, pairs, asked, strict=False):
            program, truth = sources.get(chat.text(conversation.response(0))), values_of(*pair)
            fits = program is not None and truth[program.operator] == truth[task.program.operator]
            _count(counts, f"fits {name}", fits)
            written = _WORKING.match(chat.tokenizer.decode(conversation.response(0)))
            for place, operator in enumerate(OPERATORS if mixture.working else ()):
                right = written is not None and int(written.group(place + 1)) == truth[place]
                _count(counts, f"values {name}", right)
                _count(counts, f"{operator} {name}", right)
    return counts


def _count(counts: dict[str, list[int]], name: str, right: bool) -> None:
    row = counts.setdefault(name, [0, 0])
    row[0] += right
    row[1] += 1


def repairs(played: Sequence[Played]) -> dict[str, list[int]]:
    """Count, for each hidden slot that a failed turn had wrong, the chances to repair it in the next turn, and those taken.

    `O seen` and `O held out` split the operator by the digits that the feedback showed, `O a or b` and `O computed` by
    whether the hidden operator hands on one of them; only turns whose other slots are right count for these.
    """
    counts: dict[str, list[int]] = {}
    sources = {program.source: program for program in mini.all_programs()}
    for one in played:
        task = mini.parse(one.episode.problem.id)
        for before, after in itertools.pairwise(one.episode.turns):
            first, second = sources.get(before.source or ""), sources.get(after.source or "")
            failed = before.public.failed
            if first is None or second is None or not failed:
                continue
            wrong = [slot for slot, x, y in zip("FTOK", first, task.program, strict=True) if x != y]
            a, b = task.pairs[failed[0].index]
            for slot in set(wrong) & set(task.mask):
                place = "FTOK".index(slot)
                names = [slot]
                if slot == "O" and wrong == ["O"]:
                    names.append("O held out" if 10 * a + b in HELD_OUT else "O seen")
                    names.append("O a or b" if OPERATORS[task.program.operator] in ("a", "b") else "O computed")
                for name in names:
                    _count(counts, name, second[place] == task.program[place])
    return counts


def warm_start(arm: str, seed: int, folder: Path, options: argparse.Namespace) -> tuple[Any, WorkingFormat, float]:
    """Return the policy with which RLEF begins, its format, and the CPU seconds that it took."""
    chat = WorkingFormat(build_tokenizer())
    policy = build_mini_policy(chat.tokenizer, MiniShape(context=160, spread=options.spread), seed)
    if (folder / "start.pt").exists():
        kept = torch.load(folder / "start.pt", weights_only=True)
        policy.load_state_dict(kept["policy"])
        return policy, chat, kept["cpu_s"]
    steps = options.sft_steps
    config = SFTConfig(steps=steps, batch=options.batch, learning_rate=options.rate, warmup=min(50, steps))
    start = time.process_time()

    def show(step: int, loss: float) -> None:
        if options.probe and step % 100 == 0:
            found = by_example(policy, chat, ARMS[arm], seed, 150)
            shares = {name: round(done / max(1, of), 3) for name, (done, of) in found.items()}
            print(f"{arm} {seed}: step {step}, loss {loss:.3f}, {time.process_time() - start:.0f} CPU s, {shares}", flush=True)
            policy.train()

    train_supervised(policy, Documents(chat, seed, ARMS[arm]), config, seed, show)
    spent = time.process_time() - start
    part = folder / "start.part"
    torch.save({"policy": policy.state_dict(), "cpu_s": spent}, part)
    part.replace(folder / "start.pt")
    return policy, chat, spent


def run(arm: str, seed: int, judge: Judge, options: argparse.Namespace) -> None:
    """Run one arm of one seed, from where it is."""
    folder = options.out / f"{arm}-{seed}"
    if (folder / "result.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    policy, chat, cpu_s = warm_start(arm, seed, folder, options)
    spent = {"cpu_s": cpu_s}
    critic = build_mini_critic(chat.tokenizer, MiniShape(hidden=32, feed_forward=88, layers=2, heads=2), seed + 1)
    if not (folder / "before.json").exists():
        found = score(policy, chat, judge, arm, seed, options.episodes)
        _write(folder / "before.json", found)
    before = json.loads((folder / "before.json").read_text(encoding="utf-8"))
    config = dataclasses.replace(RLEF, iterations=options.iterations)
    kind = WorkingLearner if ARMS[arm].working else Learner
    learner = kind(policy, critic, chat, env_config(compact), config, seed)
    if newest := latest_checkpoint(folder):
        spent = load_checkpoint(learner, newest)
    while learner.iteration < options.iterations:
        start = time.process_time()
        metrics = learner.step(lambda number, count: train_problems(seed * 1_000_003 + number, count), judge)
        spent["cpu_s"] += time.process_time() - start
        if learner.iteration % 10 == 0:
            save_checkpoint(learner, folder, spent, keep=1)
            print(
                f"{arm} {seed}: iteration {learner.iteration}, solved {metrics['solve_rate']:.3f}, {spent['cpu_s']:.0f} CPU s",
                flush=True,
            )
    after = score(policy, chat, judge, arm, seed, options.episodes)
    result = {"arm": arm, "seed": seed, "before": before, "after": after, "cpu_s": spent["cpu_s"]}
    _write(folder / "result.json", result)


def _write(path: Path, value: Any) -> None:
    """Write JSON whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value) + "\n", encoding="utf-8")
    part.replace(path)


def keep_settings(folder: Path, options: argparse.Namespace) -> None:
    """Note beside the results what they were made with.

    Raises:
        ValueError: those that are there were made with other settings, with a sentence.
    """
    path, asked = folder / "settings.json", {name: getattr(options, name) for name in SETTINGS}
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
        for name, value in asked.items():
            if kept.get(name) != value:
                raise ValueError(f"{str(folder)!r} was made with {name} = {kept.get(name)}, not {value}; choose another --out")
    elif any(folder.glob("*/*")):
        raise ValueError(f"{str(folder)!r} does not say with which settings it was made; choose another --out, or --report")
    folder.mkdir(parents=True, exist_ok=True)
    _write(path, asked)


def score(policy: Any, chat: WorkingFormat, judge: Judge, arm: str, seed: int, episodes: int) -> dict[str, Any]:
    """Return the solve rates of the report split by feedback and mask, and the repairs."""
    tasks = mini.sample_tasks("report", episodes, seed=3_000_000 + seed)
    row: dict[str, Any] = {"ceiling": mini.blind_ceiling(tasks), "bayes": mini.bayes_solve_rate(tasks)}
    hidden = [task for task in tasks if "O" in task.mask]
    row |= {"ceiling O": mini.blind_ceiling(hidden), "bayes O": mini.bayes_solve_rate(hidden)}
    row["by example"] = by_example(policy, chat, ARMS[arm], seed)
    for kind in ("true", "random"):
        played = play_arm(policy, chat, [mini.problem(task) for task in tasks], judge, kind, RLEF.sampling(), seed).played
        row[kind] = sum(one.solved for one in played) / len(played)
        of = [one.solved for one in played if "O" in mini.parse(one.problem_id).mask]
        row[f"{kind} O"] = sum(of) / max(1, len(of))
        row[f"{kind} repairs"] = repairs(played)
    return row


def report(folder: Path) -> None:
    """Print the tables of the results in a folder."""
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*/result.json"))]
    names = ("true", "random", "ceiling", "bayes", "true O", "random O", "ceiling O", "bayes O")
    print("| | seeds | " + " | ".join(names) + " | CPU s |\n" + "|---" * (len(names) + 3) + "|")
    slots = ("T", "F", "K", "O", "O seen", "O held out", "O a or b", "O computed")
    lines = ["\n| repaired in the next turn | " + " | ".join(slots) + " |\n" + "|---" * (len(slots) + 1) + "|"]
    for arm in ARMS:
        mine = [row for row in rows if row["arm"] == arm]
        for when in ("before", "after") if mine else ():
            cells = [interval([row[when][name] for row in mine]) for name in names]
            print(f"| {arm}, {when} RL | {len(mine)} | {' | '.join(cells)} | {interval([row['cpu_s'] for row in mine])} |")
            for kind in ("true", "random"):
                lines.append(f"| {arm}, {when} RL, {kind} feedback | {_shares(mine, when, f'{kind} repairs', slots)} |")
    print("\n".join(lines))
    asked = ("fits", "values", *OPERATORS)
    print("\n| by example | digits | " + " | ".join(asked) + " |\n" + "|---" * (len(asked) + 2) + "|")
    for arm, when, digits in itertools.product(ARMS, ("before", "after"), ("seen", "held out")):
        if mine := [row for row in rows if row["arm"] == arm]:
            shares = _shares(mine, when, "by example", [f"{name} {digits}" for name in asked])
            print(f"| {arm}, {when} RL | {digits} | {shares} |")


def _shares(rows: Sequence[dict[str, Any]], when: str, kind: str, names: Sequence[str]) -> str:
    cells = []
    for name in names:
        found = [row[when][kind].get(name, [0, 0]) for row in rows]
        cells.append(interval([done / of for done, of in found if of]) if any(of for _, of in found) else "")
    return " | ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--sft-steps", type=int, default=500, help="supervised steps of a warm start")
    parser.add_argument("--batch", type=int, default=96, help="documents of a supervised step")
    parser.add_argument("--rate", type=float, default=4e-3, help="peak learning rate of the warm start")
    parser.add_argument("--spread", type=float, default=0.1, help="standard deviation of the first weights")
    parser.add_argument("--iterations", type=int, default=120, help="collections of 256 episodes")
    parser.add_argument("--episodes", type=int, default=600, help="held-out problems")
    parser.add_argument("--out", type=Path, default=Path("runs/operator"), help="folder of the results")
    parser.add_argument("--probe", action="store_true", help="stop after the warm starts, and print what they can do")
    parser.add_argument("--report", action="store_true", help="print the tables of what is in --out, run nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.report and not any(options.out.glob("*/result.json")):
        parser.error(f"{str(options.out)!r} holds no result; run without --report first")
    if not options.report:
        try:
            keep_settings(options.out, options)
        except (OSError, ValueError) as error:
            parser.error(str(error))
    if options.probe:
        for arm in options.arms:
            warm_start(arm, options.seeds[0], options.out, options)
        return
    if not options.report:
        with Judge(workers=1, isolation="batch", cache=ExecutionCache(inputs=mini.inputs_of)) as judge:
            for seed, arm in itertools.product(options.seeds, options.arms):
                run(arm, seed, judge, options)
    report(options.out)


if __name__ == "__main__":
    main()
