"""Fine-grained optimisation in miniature: loss on executed lines only, on random tokens of equal number, or on all tokens.

    python benchmarks/masks.py --out runs/masks
    python benchmarks/masks.py --out runs/masks --report

The policy writes programs with three branches, of which the tests of a problem enter one or two:

    def f(p,q,r,s):
     if p>q:
      u=s
     elif r>s:
      u=p
     else:
      u=q
     return u

The statement names both conditions and leaves open which of the four numbers each branch gives; feedback says it for one branch
at a time. What stands in a branch that no test enters has no part in the reward (StepCoder, arXiv 2402.01391, masks just that).
All arms of a seed start from the same supervised policy and differ in the mask alone. Costs are CPU seconds of one thread.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from alignment_report import interval

from codeenv.agents.alignment.kind_critic import KindCritic
from codeenv.agents.alignment.learner import MixedLearner
from codeenv.agents.alignment.miniature import env_config
from codeenv.agents.lm.chat_format import PlainFormat
from codeenv.agents.lm.generation import Sampling
from codeenv.agents.lm.models import MiniShape, build_mini_critic, build_mini_policy
from codeenv.agents.lm.tokenizer import build_piece_tokenizer
from codeenv.agents.lm.tokens import TokenConversation
from codeenv.agents.rlef.collect import collect
from codeenv.agents.rlef.config import MINI
from codeenv.agents.rlef.sft import SFTConfig, train_supervised
from codeenv.agents.stepcoder.mask import MaskConfig
from codeenv.agents.stepcoder.masking import Masking
from codeenv.judge import ExecutionCache, Judge
from codeenv.problems import CallTest, Problem
from codeenv.problems.problem import Limits
from codeenv.problems.procedural.values import DIGITS, Inputs, input_domain, inputs_text, split_of

ARMS: dict[str, MaskConfig | None] = {
    "no mask": None,
    "executed lines": MaskConfig(mode="coverage"),
    "random tokens": MaskConfig(mode="random"),
}
SHAPE = MiniShape(spread=0.1)
CRITIC = MiniShape(hidden=32, feed_forward=88, layers=2, heads=2)
SAMPLING = Sampling(max_tokens=12, max_context=160)
HEAD, TAIL = "def f(p,q,r,s):\n", "\n return u"
IFS = (" if p>q:\n  u=", " if q>p:\n  u=")
ELIFS = ("\n elif r>s:\n  u=", "\n elif s>r:\n  u=")
ELSE = "\n else:\n  u="
FORMS = tuple(itertools.product(range(2), range(2)))
PICKS = tuple(itertools.permutations(range(4), 3))


class Branches(NamedTuple):
    """A program: its two conditions and the number that each of its three branches gives."""

    form: tuple[int, int]
    picks: tuple[int, ...]

    @property
    def source(self) -> str:
        first, second, third = ("pqrs"[pick] for pick in self.picks)
        return f"{HEAD}{IFS[self.form[0]]}{first}{ELIFS[self.form[1]]}{second}{ELSE}{third}{TAIL}"

    def branch(self, inputs: Inputs) -> int:
        p, q, r, s = inputs
        if (p > q) == (self.form[0] == 0):
            return 0
        return 1 if (r > s) == (self.form[1] == 0) else 2

    def answer(self, inputs: Inputs) -> int:
        return inputs[self.picks[self.branch(inputs)]]


class Task(NamedTuple):
    """A hidden program and its inputs: two public ones, then four on branches that the public ones enter."""

    program: Branches
    inputs: tuple[Inputs, ...]

    @property
    def statement(self) -> str:
        asked = f"{_condition(IFS[self.program.form[0]])} {_condition(ELIFS[self.program.form[1]])}"
        return asked + "".join(f"; {inputs_text(inputs)}" for inputs in self.inputs[:2])

    def problem(self, name: str) -> Problem:
        tests = tuple(CallTest(inputs, {}, self.program.answer(inputs)) for inputs in self.inputs)
        return Problem(name, self.statement, "call", "f", public_tests=tests[:2], private_tests=tests[2:],
                       limits=Limits(time_limit_s=1.0), correct_solutions=(self.program.source,))  # fmt: skip


def _condition(line: str) -> str:
    return line.partition(":")[0].strip()


def draw(split: str, generator: random.Random) -> Task:
    """Draw a task whose inputs are of a split."""
    program = Branches(generator.choice(FORMS), generator.choice(PICKS))
    domain = [inputs for inputs in input_domain() if split_of(inputs) == split]
    public = generator.sample(domain, 2)
    entered = {program.branch(inputs) for inputs in public}
    rest = [inputs for inputs in domain if inputs not in public and program.branch(inputs) in entered]
    return Task(program, (*public, *generator.sample(rest, 4)))


def chat_format() -> PlainFormat:
    named = [f"{name}={digit}{comma}" for name, comma in zip("pqrs", (",", ",", ",", ""), strict=True) for digit in DIGITS]
    heads = [_condition(line) for line in (*IFS, *ELIFS)]
    words = ["wrong on ", " gave ", " not ", "wrong", "invalid code", "run\n", "\non ", "; ", " "]
    return PlainFormat(build_piece_tokenizer([HEAD, TAIL, *IFS, *ELIFS, ELSE, *heads, *named, *words], max_length=160))


class Conversations:
    """Supervised conversations: programs and what they give on inputs; attempts that agree with the feedback now and then."""

    def __init__(self, chat: PlainFormat, seed: int, agreeing: float = 0.4) -> None:
        self.chat = chat
        self.random = random.Random(seed)
        self.agreeing = agreeing

    def __call__(self, count: int) -> list[TokenConversation]:
        return [self._of_runs() if self.random.random() < 0.4 else self._of_turns() for _ in range(count)]

    def _of_runs(self) -> TokenConversation:
        task = draw("train", self.random)
        first, *others = task.inputs[:4]
        parts = [(f"run\n{task.program.source}\non {inputs_text(first)}", str(task.program.answer(first)))]
        parts += [(f"\non {inputs_text(inputs)}", str(task.program.answer(inputs))) for inputs in others]
        return self._said(parts)

    def _of_turns(self) -> TokenConversation:
        task = draw("train", self.random)
        asked = [Branches(task.program.form, picks) for picks in PICKS]
        parts, shown, seen = [], task.statement, list[Inputs]()
        for turn in range(3):
            pool = asked
            if turn and self.random.random() < self.agreeing:
                pool = [other for other in asked if all(other.answer(one) == task.program.answer(one) for one in seen)]
            attempt = self.random.choice(pool)
            parts.append((shown, attempt.source))
            failed = next((one for one in task.inputs[:2] if attempt.answer(one) != task.program.answer(one)), None)
            if failed is None:
                break
            seen.append(failed)
            shown = f"wrong on {inputs_text(failed)} gave {attempt.answer(failed)} not {task.program.answer(failed)}"
        return self._said(parts)

    def _said(self, parts: list[tuple[str, str]]) -> TokenConversation:
        conversation = TokenConversation()
        for number, (shown, response) in enumerate(parts):
            conversation.add_environment(self.chat.follow_up(shown, stopped=True) if number else self.chat.opening(shown))
            ids = self.chat.response(response)
            conversation.add_response(ids, [0.0] * len(ids), "stop")
        return conversation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/masks"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--evaluation", type=int, default=500, help="held-out problems")
    parser.add_argument("--sft-steps", type=int, default=400)
    parser.add_argument("--report", action="store_true", help="print the table of what is in --out, run nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.report:
        options.out.mkdir(parents=True, exist_ok=True)
        with Judge(workers=1, isolation="batch", cache=ExecutionCache(inputs=input_domain())) as judge:
            for seed in options.seeds:
                for arm in ARMS:
                    run(arm, seed, judge, options)
    report(options.out)


def run(arm: str, seed: int, judge: Judge, options: argparse.Namespace) -> None:
    """Run one arm of one seed, unless its row is there."""
    path = options.out / f"{arm.replace(' ', '-')}-{seed}.json"
    if path.exists():
        return
    chat = chat_format()
    policy = build_mini_policy(chat.tokenizer, SHAPE, seed)
    weights = options.out / f"start-{seed}.pt"
    if weights.exists():
        policy.load_state_dict(torch.load(weights, weights_only=True))
    else:
        train_supervised(policy, Conversations(chat, seed), SFTConfig(steps=options.sft_steps, batch=48), seed)
        torch.save(policy.state_dict(), weights)
    config = replace(MINI, iterations=options.iterations, episodes=128, learning_rate=2e-3, final_learning_rate=1e-3,
                     max_response_tokens=SAMPLING.max_tokens)  # fmt: skip
    before = solve_rate(policy, chat, judge, seed, options.evaluation)
    mask = ARMS[arm]
    learner = MixedLearner(copy.deepcopy(policy), KindCritic(build_mini_critic(chat.tokenizer, CRITIC, seed).trunk), chat,
                           env_config(), config, seed, masking=None if mask is None else Masking(mask, seed))  # fmt: skip

    def problems(iteration: int, count: int) -> list[Problem]:
        generator = random.Random(f"{seed} {iteration}")
        return [draw("train", generator).problem(f"branches/{seed}/{iteration}/{number}") for number in range(count)]

    cpu = time.process_time()
    curve = [learner.step(problems, judge) for _ in range(options.iterations)]
    cpu = time.process_time() - cpu
    after = solve_rate(learner.policy, chat, judge, seed, options.evaluation)
    row = {"arm": arm, "seed": seed, "before": before, "after": after, "cpu_s": cpu, "curve": curve}
    part = path.with_suffix(".part")
    part.write_text(json.dumps(row))
    part.replace(path)
    print(f"{arm} seed {seed}: solved {before:.3f} -> {after:.3f}, {cpu:.0f} CPU s", flush=True)


def solve_rate(policy: Any, chat: PlainFormat, judge: Judge, seed: int, count: int) -> float:
    """Return the share of problems on held-out inputs that are solved in three turns."""
    policy.eval()
    generator = random.Random(f"report {seed}")
    tasks = [draw("report", generator).problem(f"branches/report/{number}") for number in range(count)]
    sampler = torch.Generator().manual_seed(9_000 + seed)
    return collect(policy, chat, tasks, judge, env_config(), SAMPLING, sampler).solve_rate


def report(out: Path) -> None:
    """Print means over seeds with 95 % t intervals, and differences paired by seed."""
    rows = {
        (row["arm"], row["seed"]): row for row in (json.loads(path.read_text()) for path in sorted(out.glob("*-[0-9]*.json")))
    }
    print("| arm | seeds | solved before | after | training solve rate | tokens kept | CPU s |\n|" + "---|" * 7)
    for arm in ARMS:
        mine = [row for key, row in sorted(rows.items()) if key[0] == arm]
        if mine:
            cells = [interval([row[key] for row in mine]) for key in ("before", "after")] + [
                interval([area(row) for row in mine])
            ]
            kept = [sum(point.get("mask_kept", 1.0) for point in row["curve"]) / len(row["curve"]) for row in mine]
            cells += [interval(kept), f"{sum(row['cpu_s'] for row in mine) / len(mine):.0f}"]
            print(f"| {arm} | {len(mine)} | " + " | ".join(cells) + " |")
    print("\n| difference, paired by seed | seeds | solved after | training solve rate |\n|" + "---|" * 4)
    for arm, base in (("executed lines", "no mask"), ("executed lines", "random tokens"), ("random tokens", "no mask")):
        seeds = sorted({seed for name, seed in rows if name == arm} & {seed for name, seed in rows if name == base})
        if seeds:
            pairs = [(rows[arm, seed], rows[base, seed]) for seed in seeds]
            after = interval([mine["after"] - other["after"] for mine, other in pairs])
            print(
                f"| {arm} - {base} | {len(seeds)} | {after} | {interval([area(mine) - area(other) for mine, other in pairs])} |"
            )


def area(row: dict[str, Any]) -> float:
    """Return the mean training solve rate."""
    return sum(point["solve_rate"] for point in row["curve"]) / len(row["curve"])


if __name__ == "__main__":
    main()
