"""The operator rung of the miniature: what a policy must bring along so that RLEF can learn to invert arithmetic.

    python benchmarks/rlef_operator.py --out runs/operator                # three seeds, default and recipe
    python benchmarks/rlef_operator.py --out runs/operator --report       # the tables of what is there

Feedback says `f([3,1]) gave ('kg',4) not ('kg',2)`; a hidden operator has to be worked out from two digits, the wanted number and
the offset. The warm start of `recipe` has documents in which a program follows from an example of what it does; no document of
either arm shows the use of feedback. A fifth of the digit pairs is in no training problem's public tests and in no example: a
repair that works on them is computed, one that works on the others alone is looked up. Warm starts, learners and scores are
files; a run that is cut goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rlef_report import interval

from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.models import MiniShape, build_mini_critic, build_mini_policy
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.agents.rlef.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint
from codeenv.agents.rlef.collect import Played
from codeenv.agents.rlef.config import MINI
from codeenv.agents.rlef.mini_run import play_arm
from codeenv.agents.rlef.miniature import MiniDocuments, build_tokenizer, env_config
from codeenv.agents.rlef.sft import SFTConfig, train_supervised
from codeenv.agents.rlef.trainer import Learner
from codeenv.feedback import compact
from codeenv.judge import ExecutionCache, Judge
from codeenv.problems import Problem
from codeenv.problems.procedural import mini

ARMS = ("default", "recipe")
HELD_OUT = frozenset(int(code) for code in np.random.default_rng(5).permutation(100)[:20])
"""The digit pairs (10 a + b) that training shows no example of."""


class Examples:
    """Documents of which a share asks for programs by example: a statement, then pairs of an example and a program that gives it.

    Args:
        chat: the tokens' format.
        seed: decides every document.
        share: of the documents with examples; the others are those of `MiniDocuments`.
        runs: examples of each.
    """

    def __init__(self, chat: PlainFormat, seed: int, share: float = 0.7, runs: int = 4) -> None:
        self._plain = MiniDocuments(chat, seed)
        self._chat = chat
        self._share = share
        self._runs = runs
        self._generator = np.random.default_rng([seed, 9])
        self._calls = 0
        self._seed = seed

    def __call__(self, count: int) -> list[TokenConversation]:
        """Return `count` new conversations; loss belongs on the tokens marked as sampled."""
        shown = int(count * self._share)
        tasks = mini.sample_tasks("train", shown, seed=self._seed * 100_003 + 50_000 + self._calls)
        self._calls += 1
        return [*self._plain(count - shown), *(self._document(task) for task in tasks)]

    def _document(self, task: mini.MiniTask) -> TokenConversation:
        conversation = TokenConversation()
        fitting = [one for one in mini.candidates(task.program, task.mask) if mini.program_split(one) == "train"]
        for run in range(self._runs):
            program = fitting[int(self._generator.integers(len(fitting)))]
            example = f" f({call(program, *self._pair())}"
            text = (task.statement if run == 0 else "") + example
            ids = self._chat.follow_up(text, stopped=True) if run else self._chat.opening(text)
            conversation.add_environment(ids)
            answer = self._chat.response(program.source)
            conversation.add_response(answer, [0.0] * len(answer), "stop")
        return conversation

    def _pair(self) -> tuple[int, int]:
        while True:
            code = int(self._generator.integers(100))
            if code not in HELD_OUT:
                return divmod(code, 10)


def call(program: mini.Program, a: int, b: int) -> str:
    """Return the arguments of a call and what the program gives, as in `[3,1]) not ('kg',4)`."""
    arguments = ",".join(repr(value).replace(" ", "") for value in mini.argument_of(program.form, a, b))
    return f"{arguments}) not {program.answer(a, b)!r}".replace(", ", ",")


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
                    names.append("O a or b" if mini.OPERATORS[task.program.operator] in ("a", "b") else "O computed")
                for name in names:
                    chances = counts.setdefault(name, [0, 0])
                    chances[0] += second[place] == task.program[place]
                    chances[1] += 1
    return counts


def run(arm: str, seed: int, judge: Judge, options: argparse.Namespace) -> None:
    """Run one arm of one seed, from where it is."""
    folder = options.out / f"{arm}-{seed}"
    if (folder / "result.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    chat, start = PlainFormat(build_tokenizer()), time.process_time()
    shape = MiniShape(context=160, spread=0.1 if arm == "recipe" else 0.02)
    policy = build_mini_policy(chat.tokenizer, shape, seed)
    if (folder / "start.pt").exists():
        policy.load_state_dict(torch.load(folder / "start.pt", weights_only=True))
    elif arm == "default":
        train_supervised(policy, MiniDocuments(chat, seed), SFTConfig(steps=400), seed)
    else:
        steps = options.sft_steps
        train_supervised(policy, Examples(chat, seed), SFTConfig(steps=steps, batch=48, warmup=min(50, steps)), seed)
    torch.save(policy.state_dict(), folder / "start.pt")
    critic = build_mini_critic(chat.tokenizer, MiniShape(hidden=32, feed_forward=88, layers=2, heads=2), seed + 1)
    result: dict[str, Any] = {"arm": arm, "seed": seed, "before": score(policy, chat, judge, seed, options.episodes)}
    config = dataclasses.replace(MINI, iterations=options.iterations)
    learner = Learner(policy, critic, chat, env_config(compact), config, seed)
    spent = {"cpu_s": 0.0}
    if newest := latest_checkpoint(folder):
        spent = load_checkpoint(learner, newest)
    spent["cpu_s"] += time.process_time() - start
    while learner.iteration < options.iterations:
        start = time.process_time()
        metrics = learner.step(lambda number, count: train_problems(seed * 1_000_003 + number, count), judge)
        spent["cpu_s"] += time.process_time() - start
        if learner.iteration % 20 == 0:
            save_checkpoint(learner, folder, spent, keep=1)
            print(
                f"{arm} {seed}: iteration {learner.iteration}, solved {metrics['solve_rate']:.3f}, {spent['cpu_s']:.0f} CPU s",
                flush=True,
            )
    result |= {"after": score(policy, chat, judge, seed, options.episodes), "cpu_s": spent["cpu_s"]}
    (folder / "result.json").write_text(json.dumps(result) + "\n", encoding="utf-8")


def score(policy: Any, chat: PlainFormat, judge: Judge, seed: int, episodes: int) -> dict[str, Any]:
    """Return the solve rates of the report split by feedback and mask, and the repairs."""
    tasks = mini.sample_tasks("report", episodes, seed=3_000_000 + seed)
    row: dict[str, Any] = {"ceiling": mini.blind_ceiling(tasks), "bayes": mini.bayes_solve_rate(tasks)}
    hidden = [task for task in tasks if "O" in task.mask]
    row |= {"ceiling O": mini.blind_ceiling(hidden), "bayes O": mini.bayes_solve_rate(hidden)}
    for arm in ("true", "random"):
        played = play_arm(policy, chat, [mini.problem(task) for task in tasks], judge, arm, MINI.sampling(), seed).played
        row[arm] = sum(one.solved for one in played) / len(played)
        of = [one.solved for one in played if "O" in mini.parse(one.problem_id).mask]
        row[f"{arm} O"] = sum(of) / max(1, len(of))
        row[f"{arm} repairs"] = repairs(played)
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
                found = [[row[when][f"{kind} repairs"].get(slot, [0, 0]) for row in mine] for slot in slots]
                shares = [interval([done / max(1, chances) for done, chances in counts]) for counts in found]
                lines.append(f"| {arm}, {when} RL, {kind} feedback | {' | '.join(shares)} |")
    print("\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--sft-steps", type=int, default=1400, help="supervised steps of the recipe")
    parser.add_argument("--iterations", type=int, default=200, help="collections of 256 episodes")
    parser.add_argument("--episodes", type=int, default=1000, help="held-out problems")
    parser.add_argument("--out", type=Path, default=Path("runs/operator"), help="folder of the results")
    parser.add_argument("--report", action="store_true", help="print the tables of what is in --out, run nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.report:
        options.out.mkdir(parents=True, exist_ok=True)
        with Judge(workers=1, isolation="batch", cache=ExecutionCache(inputs=mini.inputs_of)) as judge:
            for seed in options.seeds:
                for arm in options.arms:
                    run(arm, seed, judge, options)
    report(options.out)


if __name__ == "__main__":
    main()
