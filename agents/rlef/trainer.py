"""The RLEF learner: collect episodes, turn rewards into advantages, update policy and critic. It reads top to bottom.

The method is RLEF's (arXiv 2410.02089, section 2): a token-level policy under the clipped objective, a turn-level critic in a
network of its own, the KL to the initial policy inside the reward, Monte-Carlo returns, and one advantage for all tokens of a
turn.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from codeenv.agents.lm.chat_format import ChatFormat
from codeenv.agents.lm.scoring import Critic, check_head, response_logprobs
from codeenv.agents.lm.served import ServedPolicy
from codeenv.agents.lm.writer import Writer
from codeenv.agents.rlef.advantage import gae, mean_log_ratio, normalised, rewards_to_go, shaped_rewards
from codeenv.agents.rlef.ahead import Ahead
from codeenv.agents.rlef.algorithms import ALGORITHMS, group_baseline, normalised_over_tokens, token_rewards_to_go
from codeenv.agents.rlef.collect import Collection, collect
from codeenv.agents.rlef.config import RLEFConfig
from codeenv.agents.rlef.devices import Devices
from codeenv.agents.rlef.losses import divergence_loss, policy_loss, value_loss
from codeenv.agents.rlef.measures import Metrics, collection_metrics
from codeenv.agents.rlef.targets import Targets
from codeenv.agents.rlef.turns import Chunk, TurnTable, build_turns
from codeenv.agents.stepcoder.completion import Completion
from codeenv.episode import EnvConfig
from codeenv.errors import CodeenvError
from codeenv.judge import Judge
from codeenv.problems import Problem

__all__ = ["Learner", "Metrics", "ProblemSource", "Targets", "TrainingStopped", "collection_metrics"]

ProblemSource = Callable[[int, int], Sequence[Problem]]
"""Given the number of an iteration and a count: the problems of that collection. It must give the same ones each time."""


class TrainingStopped(CodeenvError):
    """Learning cannot go on; the weights are those before the step that failed."""


class Learner:
    """Policy, critic, reference policy and their optimisers.

    Args:
        policy: a causal language model, trained in place; a frozen copy of it becomes the reference policy.
        critic: a value network of its own.
        chat: how texts become tokens.
        env: the task's settings.
        config: the learner's settings.
        seed: of sampling and of the order of minibatches.
        devices: where the work is done; by default in this process, where the policy is.
        completion: the curriculum of completion subtasks (StepCoder); `None` is off.

    Attributes:
        iteration: finished iterations.
        phase: `collecting` and `updating` within an iteration; while `updating`, the weights are between two states.
    """

    def __init__(
        self,
        policy: PreTrainedModel,
        critic: Critic,
        chat: ChatFormat,
        env: EnvConfig,
        config: RLEFConfig,
        seed: int,
        devices: Devices | None = None,
        completion: Completion | None = None,
    ) -> None:
        check_head(policy)
        self.devices = devices or Devices()
        self.reference = self.devices.place(copy.deepcopy(policy).eval().requires_grad_(False))
        self.policy = self.devices.place(policy)
        self.critic = self.devices.place(critic)
        self.completion = completion
        self._seed = seed
        self._begun: Metrics = {}
        own = None if config.sampling_dtype == "same" or self.devices.casts else Writer(config.sampling_dtype)
        self._writer: Writer | ServedPolicy | None = own
        self._ahead: Ahead | None = None
        self._behind: list[dict[str, Any]] = []
        self.chat = chat
        self.env = env
        self.config = config
        self.method = ALGORITHMS[config.algorithm]
        self.with_critic = self.method.baseline == "critic"
        self.iteration = 0
        self.phase: Literal["between", "collecting", "updating"] = "between"
        self.device = self.devices.device_of(policy)
        self.sampling = config.sampling()
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.policy_optimizer = self._optimizer(policy, config.learning_rate)
        self.critic_optimizer = self._optimizer(critic, config.critic_learning_rate or config.learning_rate)

    def step(self, problems: ProblemSource, judge: Judge) -> Metrics:
        """Do one iteration: collect, learn, and return its numbers."""
        start, start_cpu = time.perf_counter(), time.process_time()
        self._before, self.phase = self.generator.get_state(), "collecting" if self.completion is None else "updating"
        collection = self._collect(problems, judge, self.config.episodes // self.config.group_size)
        self.phase = "updating"
        metrics = self.learn(collection) | self._begun
        self.iteration += 1
        self.phase = "between"
        metrics["iteration_s"] = time.perf_counter() - start
        metrics["iteration_cpu_s"] = time.process_time() - start_cpu
        return metrics

    def rewind(self) -> bool:
        """Go back to the state between two iterations if an iteration was broken off before it changed a weight.

        Returns:
            Whether the learner is between two iterations now, so that a checkpoint of it is whole.
        """
        if self.phase == "collecting":
            self.generator.set_state(self._before)
            self.phase = "between"
        return self.phase == "between"

    def _chosen(self, problems: ProblemSource, number: int, count: int) -> list[Problem]:
        """Return the problem of each episode of a collection with this many prompts."""
        return [problem for problem in problems(number, count) for _ in range(self.config.group_size)]

    def _collect(self, problems: ProblemSource, judge: Judge, count: int) -> Collection:
        """Return the collection of this iteration, with `count` prompts."""
        if not self.config.staleness:
            chosen = self._chosen(problems, self.iteration, count)
            begins = [] if self.completion is None else self.completion.begin(chosen)
            share = self._play_share(self._model(), chosen, judge, self.generator, self.iteration, begins)
            self._note(share, judge)
            found = self.devices.gather(share)
            if self.completion is not None:  # the starting points move by what becomes of the episodes
                self._begun = self.completion.record(found.played)
            return found

        def ahead(policy: PreTrainedModel, number: int) -> Collection:
            generator = torch.Generator(self.device).manual_seed(self._seed * 1_000_003 + number)
            share = self._play_share(policy, self._chosen(problems, number, count), judge, generator, number)
            self._note(share, judge)
            return share

        if self._ahead is None:
            self._ahead = Ahead(ahead, self.config.staleness)
            self._ahead.load(self._behind, self._model())
        return self.devices.gather(self._ahead.take(self._model(), self.iteration, self.config.iterations - 1))

    def close(self) -> None:
        """Stop playing ahead, and leave the server."""
        if self._ahead is not None:
            self._ahead.close()
        if isinstance(self._writer, ServedPolicy):
            self._writer.close()

    def play(self, problems: Sequence[Problem], judge: Judge, generator: torch.Generator, number: int) -> Collection:
        """Play one episode on each problem, this process its share of them, and return those of all.

        Args:
            number: of the collection; with the seed it decides the tokens of episodes that have streams of their own.
        """
        if self._ahead is not None:
            self._ahead.wait()  # one collection at a time has the judge
        return self.devices.gather(self._play_share(self._model(), problems, judge, generator, number))

    def write_on(self, server: ServedPolicy) -> None:
        """Let a server write the responses from now on, with the weights that the policy has before each collection."""
        self._writer = server

    def _model(self) -> Any:
        """Return the policy as what writes: a model, or one on a server."""
        model = self.devices.sampler(self.policy)
        return model if self._writer is None else self._writer.refreshed(model)

    def _play_share(
        self,
        model: Any,
        problems: Sequence[Problem],
        judge: Judge,
        generator: torch.Generator,
        number: int,
        begins: Sequence[str] = (),
    ) -> Collection:
        """Play this process's share of the episodes; `begins` holds what each of all of them is given."""
        own = self.devices.own(range(len(problems)))
        mine, given = [problems[place] for place in own], [begins[place] for place in own] if begins else ()
        seeds = self._streams(number, own)
        return collect(model, self.chat, mine, judge, self.env, self.sampling, generator, seeds=seeds, begins=given)

    def _streams(self, number: int, places: Sequence[int]) -> list[int] | None:
        """Return the seed of each episode's own generator, `None` where all draw from one."""
        if not self.devices.streams:
            return None
        return [((self._seed * 1_000_003 + number) * 1_000_003 + place) % 2**63 for place in places]

    def learn(self, collection: Collection) -> Metrics:
        """Update policy and critic on a collection.

        Raises:
            TrainingStopped: there is no episode to learn from, or a gradient is not finite.
        """
        if not collection.played:
            failed = collection.judge_errors
            reason = f"the judge failed on all {failed} episodes" if failed else "there is no episode"
            raise TrainingStopped(f"iteration {self.iteration} has nothing to learn from: {reason}; see codeenv doctor")
        table = build_turns(collection.played, self.device)
        places: dict[str, int] = {}
        group = [places.setdefault(one.problem_id, len(places)) for one in collection.played]
        self._group = torch.tensor(group, device=self.device)
        targets = self.targets(table)
        metrics = collection_metrics(self.iteration, collection, table, targets)
        return metrics | self._passes(table, targets)

    def _passes(self, table: TurnTable, targets: Targets) -> Metrics:
        """Do all gradient steps on a collection and return the means of their numbers."""
        sums: dict[str, float] = {}
        steps = 0
        for _ in range(self.config.epochs):
            order = torch.randperm(len(table.conversations), generator=self.generator, device=self.device).tolist()
            for part in range(self.config.updates):
                episodes = order[part :: self.config.updates]
                if not episodes:
                    continue
                for name, value in self._update(table, targets, episodes).items():
                    sums[name] = sums.get(name, 0.0) + value
                steps += 1
        return {name: value / steps for name, value in sums.items()}

    @torch.no_grad()
    def targets(self, table: TurnTable) -> Targets:
        """Return returns and advantages of a collection, from the policy and the critic as they are now."""
        self.policy.eval()
        self.critic.eval()
        config = self.config
        old = torch.zeros_like(table.behaviour) if config.recompute_logprobs else table.behaviour.clone()
        reference = torch.zeros(table.tokens, device=self.device)
        values = torch.zeros(table.tokens if config.critic_level == "token" else table.turns, device=self.device)
        for chunk, weight in self._chunks(table, range(len(table.conversations))):
            reference[chunk.tokens] += weight * response_logprobs(self.reference, chunk.batch, config.temperature)[0]
            if self.with_critic:
                values[self._valued(chunk)] += weight * self._values(chunk)
            if config.recompute_logprobs:
                old[chunk.tokens] += weight * response_logprobs(self.policy, chunk.batch, config.temperature)[0]
        reference, values = self.devices.add(reference), self.devices.add(values)
        if config.recompute_logprobs:
            old = self.devices.add(old)
        log_ratio = mean_log_ratio(old, reference, table.token_turn, table.turns)
        if self.method.baseline != "critic":
            return self._without_critic(table, old, reference, log_ratio)
        shaped = shaped_rewards(table.rewards, log_ratio, config.kl_coefficient)
        returns = rewards_to_go(shaped, table.episode, config.gamma)
        if config.critic_level == "token":
            each = returns[table.token_turn] - values
            each = self._normalised_tokens(each, table) if config.normalise_advantages else each
            return Targets(old, log_ratio, values, returns, torch.zeros_like(returns), each)
        advantages = returns - values
        if config.gae_lambda < 1.0:
            advantages = gae(shaped, values, table.episode, config.gamma, config.gae_lambda)
            returns = advantages + values
        if config.normalise_advantages:
            advantages = self._normalised(advantages, table)
        return Targets(old, log_ratio, values, returns, advantages)

    def _without_critic(self, table: TurnTable, old: Tensor, reference: Tensor, log_ratio: Tensor) -> Targets:
        """Return the targets of the algorithms that compare episodes instead of asking a critic."""
        method, beta = self.method, self.config.kl_coefficient
        rewards = shaped_rewards(table.rewards, log_ratio, beta) if method.kl == "turn_reward" else table.rewards
        returns = rewards_to_go(rewards, table.episode, self.config.gamma)
        kept = reference if method.kl.endswith("loss") else None
        values = torch.zeros_like(returns)
        if method.baseline == "none":
            each = token_rewards_to_go(returns, old - reference, table.token_turn, table.episode, beta)
            return Targets(old, log_ratio, values, returns, returns, self._normalised_tokens(each, table), kept)
        first = torch.tensor(table.turn_start[:-1], device=self.device)
        totals = group_baseline(returns[first], self._group, method.scale == "group", method.baseline == "others")
        advantages = totals[table.episode]
        spread = advantages[table.token_turn]
        each_or_none = self._normalised_tokens(spread, table) if method.scale == "tokens" else None
        return Targets(old, log_ratio, values, returns, advantages, each_or_none, kept)

    # What a learner of another kind of batch changes

    def more_state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold beside networks, optimisers and random states: tensors, texts and numbers."""
        state: dict[str, Any] = {} if self._ahead is None else {"ahead": self._ahead.state()}
        return state if self.completion is None else state | {"completion": json.dumps(self.completion.state())}

    def load_more_state(self, state: dict[str, Any]) -> None:
        """Take what `more_state` returned."""
        self._behind = list(state.get("ahead", []))
        if self.completion is not None and "completion" in state:
            self.completion.load(json.loads(state["completion"]))

    def _note(self, collection: Collection, judge: Judge) -> None:
        """Note on the episodes that were just played what else is to be known of them, while the judge is at hand."""

    def _values(self, chunk: Chunk) -> Tensor:
        """Return the critic's value of each turn of a chunk, or of each sampled token."""
        values: Tensor = self.critic(chunk.batch) if self.config.critic_level == "turn" else self.critic(chunk.batch, "token")
        return values

    def _valued(self, chunk: Chunk) -> Tensor:
        """Return the places of the values of a chunk."""
        return chunk.turns if self.config.critic_level == "turn" else chunk.tokens

    def _normalised(self, advantages: Tensor, table: TurnTable) -> Tensor:
        return normalised(advantages)

    def _normalised_tokens(self, advantages: Tensor, table: TurnTable) -> Tensor:
        return normalised_over_tokens(advantages)

    def _logprobs(self, table: TurnTable, chunk: Chunk) -> tuple[Tensor, Tensor]:
        """Return log-probability and entropy of each sampled token of a chunk under the policy that is trained."""
        return response_logprobs(self.policy, chunk.batch, self.config.temperature)

    def _masked(self, loss: Tensor, chunk: Chunk) -> Tensor:
        """Return the loss of each sampled token of a chunk, weighted."""
        return loss

    def _weight(self, table: TurnTable, episodes: Sequence[int]) -> int:
        """Return by what the summed policy loss of some episodes is divided; for a mean over tokens, their number."""
        if self.method.mean == "sequence":
            return len(episodes)
        if self.method.mean == "constant":
            return len(episodes) * self.config.max_response_tokens * self.env.turn_limit
        return sum(table.token_start[index + 1] - table.token_start[index] for index in episodes)

    def _chunks(self, table: TurnTable, episodes: Sequence[int]) -> Iterator[tuple[Chunk, float]]:
        """Yield this process's share of some episodes in chunks with weight 1, and chunks of weight 0 to keep in step."""
        size = self.config.micro_batch
        for chunk in table.chunks(self.devices.own(episodes), size):
            yield chunk, 1.0
        for _ in range(self.devices.fillers(episodes, size)):
            yield from ((chunk, 0.0) for chunk in table.chunks([episodes[0]], size))

    def _policy_loss(self, table: TurnTable, targets: Targets, chunk: Chunk) -> tuple[Tensor, Metrics]:
        """Return the policy loss summed over the tokens of a chunk, and other sums over its tokens."""
        logprobs, entropy = self._logprobs(table, chunk)
        turn = table.token_turn[chunk.tokens]
        each = targets.token_advantages
        advantages = targets.advantages[turn] if each is None else each[chunk.tokens]
        old, behaviour = targets.old[chunk.tokens], table.behaviour[chunk.tokens] if self.method.stale else None
        loss, clipped = policy_loss(logprobs, old, behaviour, advantages, self.config.clip, self.method.clip_high)
        loss = self._masked(loss, chunk)
        if targets.reference is not None:
            divergence = divergence_loss(logprobs, targets.reference[chunk.tokens], self.method.kl)
            loss = loss + self.config.kl_coefficient * divergence
        if self.method.mean == "sequence":
            starts = torch.tensor(table.token_start, device=self.device)
            loss = loss / (starts[1:] - starts[:-1])[table.episode[turn]]
        sums = {"policy_loss": float(loss.detach().sum()), "clipped": float(clipped.sum()), "entropy": float(entropy.sum())}
        return loss.sum(), sums

    def _update(self, table: TurnTable, targets: Targets, episodes: Sequence[int]) -> Metrics:
        """Do one gradient step of the critic and, unless it is the critic's turn alone, one of the policy."""
        config = self.config
        tokens = self._weight(table, episodes)
        turns = sum(table.turn_start[index + 1] - table.turn_start[index] for index in episodes)
        with_policy = self.iteration >= config.critic_only_iterations and tokens > 0
        sums = dict.fromkeys(("policy_loss", "value_loss", "clipped", "entropy"), 0.0)
        self.policy_optimizer.zero_grad(set_to_none=True)
        self.critic_optimizer.zero_grad(set_to_none=True)
        self.policy.train()
        self.critic.train()
        for chunk, weight in self._chunks(table, episodes):
            if self.with_critic:
                places = self._valued(chunk)
                returns = targets.returns[table.token_turn[places] if config.critic_level == "token" else places]
                values = value_loss(self._values(chunk), targets.old_values[places], returns, config.value_clip)
                count = turns if config.critic_level == "turn" else max(1, tokens)
                self.devices.backward(self.critic, weight * values.sum() / count)
                sums["value_loss"] += weight * float(values.detach().sum()) / count
            if with_policy:
                loss, parts = self._policy_loss(table, targets, chunk)
                self.devices.backward(self.policy, weight * loss / tokens)  # the mean over the minibatch, not over its chunks
                for name, value in parts.items():
                    sums[name] = sums.get(name, 0.0) + weight * value / tokens
        sums = self.devices.add_numbers(sums)
        if self.with_critic:
            sums["critic_grad_norm"] = self._apply(self.critic, self.critic_optimizer, config.critic_learning_rate)
        if with_policy:
            sums["policy_grad_norm"] = self._apply(self.policy, self.policy_optimizer, config.learning_rate)
        return sums

    def _apply(self, model: nn.Module, optimizer: torch.optim.Optimizer, peak: float | None) -> float:
        self.devices.add_gradients(model)
        norm = self.devices.clip(model, self.config.max_grad_norm)
        if not torch.isfinite(norm):
            name = "policy" if model is self.policy else "critic"
            where = f"iteration {self.iteration}"
            raise TrainingStopped(f"the gradient of the {name} is {float(norm)} in {where}; lower the learning rate")
        state = optimizer.param_groups[0]
        state["taken"] = state.get("taken", 0) + 1
        state["lr"] = self._rate(peak or self.config.learning_rate, state["taken"], policy=model is self.policy)
        optimizer.step()
        return float(norm)

    def _rate(self, peak: float, taken: int, policy: bool) -> float:
        """Return the learning rate of a 1-based gradient step: a linear rise, then constant or a linear fall."""
        rise = min(1.0, taken / max(1, self.config.warmup_updates)) if policy else 1.0
        final = self.config.final_learning_rate
        if not policy or final is None:
            return peak * rise
        total = self.config.iterations * self.config.updates * self.config.epochs
        return rise * (peak + (final - peak) * min(1.0, taken / total))

    def _optimizer(self, model: nn.Module, rate: float) -> torch.optim.Optimizer:
        config = self.config
        betas = (config.beta1, config.beta2)
        return self.devices.optimizer(model, lr=rate, betas=betas, weight_decay=config.weight_decay)
