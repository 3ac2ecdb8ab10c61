"""TRL: `GRPOTrainer` on our episodes, through `rollout_func` or through `environment_factory`.

    rollout = CodeRollout(problems, PlainFormat(tokenizer))
    trainer = GRPOTrainer(model, reward_funcs=episode_reward, rollout_func=rollout, train_dataset=prompt_dataset(problems), ...)

The rollout keeps token ids as they were sampled and marks the environment's with `env_mask` 0, so they carry no loss. TRL gives
all tokens of a conversation one advantage; `TurnGRPOTrainer` gives each turn its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from codeenv.batch import EpisodeBatch
from codeenv.episode import EnvConfig
from codeenv.errors import CodeenvError, MissingExtraError
from codeenv.feedback import get_prompt
from codeenv.integrations.session import EpisodeSession, JudgeFailedError, problem_of, shared_judge, unfinished_reward
from codeenv.judge import Judge
from codeenv.problems import Problem
from codeenv.rollout.conversation import conversation_of
from codeenv.submission import fence

try:
    import torch
    from datasets import Dataset
    from trl import GRPOTrainer
    from trl.models.utils import unwrap_model_for_generation

    from codeenv.agents.lm.chat_format import ChatFormat
    from codeenv.agents.lm.generation import Sampling, TurnSampler
    from codeenv.agents.lm.tokens import TokenConversation
except ModuleNotFoundError as error:
    raise MissingExtraError("the TRL adapter", error.name or "trl", "trl") from error

__all__ = ["CodeRollout", "SubmitEnvironment", "TurnGRPOTrainer", "environment_factory", "episode_reward", "prompt_dataset"]


def prompt_dataset(problems: Sequence[Problem], config: EnvConfig | None = None) -> Dataset:
    """Return the data set of first messages, in the chat form, with the problem's row as JSON in `problem`."""
    prompt = get_prompt((config or EnvConfig()).prompt)
    rows = [{"prompt": [{"role": "user", "content": prompt(item)}], "problem": json.dumps(item.to_dict())} for item in problems]
    return Dataset.from_list(rows)


def episode_reward(episode_return: Sequence[float | None], **_: Any) -> list[float | None]:
    """Return the returns that `CodeRollout` hands over; `None` (left out of learning) where the judge failed."""
    return list(episode_return)


class CodeRollout:
    """A `rollout_func`: plays one episode per prompt, all of them in step, with the model that is being trained.

    Args:
        problems: those of `prompt_dataset`; they are found again by their first message.
        chat: how the two voices become tokens.
        config: the task's settings.
        judge: the judge; this process's own by default.
        turn_tokens: most tokens of one response; `max_completion_length` of the trainer bounds the whole conversation.
        seed: seed of sampling.

    Raises:
        CodeenvError: two problems have the same first message.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        chat: ChatFormat,
        config: EnvConfig | None = None,
        judge: Judge | None = None,
        turn_tokens: int = 1024,
        seed: int = 0,
    ) -> None:
        self.config = config or EnvConfig()
        self._chat = chat
        self._judge = judge or shared_judge()
        self._turn_tokens = turn_tokens
        self._seed = seed
        self._calls = 0
        prompt = get_prompt(self.config.prompt)
        self._problems: dict[str, Problem] = {}
        for problem in problems:
            if (other := self._problems.setdefault(prompt(problem), problem)) is not problem:
                raise CodeenvError(f"problems {other.id!r} and {problem.id!r} have the same first message; leave one out")

    def __call__(self, prompts: Sequence[Any], trainer: GRPOTrainer) -> dict[str, list[Any]]:
        """Return token ids, log-probabilities and masks as TRL wants them, and per conversation `episode_return` (`None` where
        the judge failed), `solved`, `turn_rewards` and `token_turn` (per completion token, its turn)."""
        if trainer.use_vllm:
            raise CodeenvError("CodeRollout samples from the trainer's own model; set use_vllm=False in GRPOConfig")
        batch = EpisodeBatch([self._problem(prompt) for prompt in prompts], self._judge, self.config)
        conversations = [TokenConversation() for _ in prompts]
        for conversation, observation in zip(conversations, batch.observations, strict=True):
            conversation.add_environment(self._chat.opening(observation["problem"]))
        starts = [len(conversation) for conversation in conversations]
        self._play(batch, conversations, starts, trainer)
        result: dict[str, list[Any]] = {
            "prompt_ids": [item.ids[:start] for item, start in zip(conversations, starts, strict=True)],
            "completion_ids": [item.ids[start:] for item, start in zip(conversations, starts, strict=True)],
            "logprobs": [item.logprobs[start:] for item, start in zip(conversations, starts, strict=True)],
            "env_mask": [[int(mark) for mark in item.sampled[start:]] for item, start in zip(conversations, starts, strict=True)],
            "token_turn": [item.turn[start:] for item, start in zip(conversations, starts, strict=True)],
            "turn_rewards": [[turn.reward for turn in episode.turns] for episode in batch.episodes],
            "solved": [bool(episode.turns and episode.turns[-1].outcome.solved) for episode in batch.episodes],
        }
        for episode, rewards in zip(batch.episodes, result["turn_rewards"], strict=True):
            if not episode.done:  # no room was left for another response
                rewards[-1] += unfinished_reward(episode)
        result["episode_return"] = [
            None if episode.truncated else float(sum(rewards))
            for episode, rewards in zip(batch.episodes, result["turn_rewards"], strict=True)
        ]
        return result

    def _play(self, batch: EpisodeBatch, conversations: list[TokenConversation], starts: list[int], trainer: GRPOTrainer) -> None:
        """Play the episodes to their end, or until a conversation has no room for another response."""
        args = trainer.args
        sampling = Sampling(args.temperature, args.top_p, self._turn_tokens, max(starts) + args.max_completion_length)
        self._calls += 1
        rank = trainer.accelerator.process_index
        with unwrap_model_for_generation(trainer.model_wrapped, trainer.accelerator) as model:
            generator = torch.Generator(model.device).manual_seed(hash((self._seed, rank, self._calls)) % (1 << 63))
            was_training = model.training
            sampler = TurnSampler(model, conversations, self._chat.stop_ids, sampling, generator)
            live = batch.live
            while live:
                sampler.respond(live)
                texts = {index: self._chat.text(conversations[index].response(-1)) for index in live}
                batch.step(texts)
                going = []
                for index in batch.live:
                    message = conversation_of(batch.episodes[index])[-1]["content"]
                    stopped = conversations[index].spans[-1].finish == "stop"
                    ids = self._chat.follow_up(message, stopped)
                    if len(conversations[index]) + len(ids) < sampling.max_context:
                        conversations[index].add_environment(ids)
                        going.append(index)
                live = going
            model.train(was_training)

    def _problem(self, prompt: Any) -> Problem:
        text = prompt if isinstance(prompt, str) else prompt[-1]["content"]
        if text not in self._problems:
            raise CodeenvError(f"no problem has the first message {text[:80]!r}; make the data set with prompt_dataset(problems)")
        return self._problems[text]


class TurnGRPOTrainer(GRPOTrainer):  # type: ignore[misc]
    """`GRPOTrainer` with one advantage per turn: the return from that turn on, less the group's mean return of whole episodes.

    The baseline does not depend on the turn, so it stays unbiased although the policy decides how long an episode is.
    It is divided by the group's standard deviation of returns where `scale_rewards` says so; a group whose returns are all equal
    teaches nothing then, as in GRPO.
    """

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if "token_turn" not in inputs[0]:
            raise CodeenvError("TurnGRPOTrainer needs the turns of a CodeRollout; pass one as rollout_func")
        device = output["advantages"].device
        mean, scale = self._group_statistics([row["episode_return"] for row in inputs], device)
        advantages = torch.zeros(output["completion_ids"].shape, device=device)
        for index, row in enumerate(inputs):
            if row["episode_return"] is None:
                continue
            rewards = torch.tensor(row["turn_rewards"], device=device)
            to_go = rewards.flip(0).cumsum(0).flip(0)
            turns = torch.tensor(row["token_turn"], device=device).clamp(max=len(rewards) - 1)
            advantages[index, : len(turns)] = (to_go[turns] - mean[index]) / scale[index]
        output["advantages"] = advantages
        return output

    def _group_statistics(self, returns: list[float | None], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Return each local conversation's group mean and divisor; groups may be spread over processes."""
        size = self.num_generations if self.model.training else self.num_generations_eval
        known = [float("nan") if value is None else value for value in returns]
        groups = self.accelerator.gather(torch.tensor(known, device=device)).view(-1, size)
        mean = torch.nanmean(groups, dim=1).repeat_interleave(size)
        squares = torch.nanmean((groups - torch.nanmean(groups, dim=1, keepdim=True)) ** 2, dim=1)
        deviations = squares.sqrt().repeat_interleave(size)
        deviations = torch.where(deviations > 1e-6, deviations + 1e-4, torch.inf)
        scale = torch.ones_like(mean) if self.scale_rewards == "none" else deviations
        first = self.accelerator.process_index * len(returns)
        return mean[first : first + len(returns)], scale[first : first + len(returns)]


class SubmitEnvironment:
    """An environment for tool-calling models: the problem is the message, `submit` is the one tool. See `environment_factory`."""

    def __init__(self, config: EnvConfig, judge: Judge) -> None:
        self._config = config
        self._judge = judge
        self._session: EpisodeSession | None = None
        self._failed = False

    def reset(self, **row: Any) -> str | None:
        self._session = EpisodeSession(problem_of(row), self._judge, self._config)
        self._failed = False
        return None  # the message is already in the data set

    def submit(self, code: str) -> str:
        """Run a program on the public tests of the problem.

        Args:
            code: The whole Python program.

        Returns:
            What happened, and whether another program may be submitted.
        """
        if self._session is None or self._session.episode.done:
            return "The problem is closed; no more programs are taken."
        try:
            reply = self._session.step(fence(code))
        except JudgeFailedError:
            self._failed = True
            return "The judge failed; no more programs are taken."
        return reply.message or "The program was taken; the problem is closed."

    def get_reward(self) -> float | None:
        return None if self._failed or self._session is None else self._session.total_reward


def environment_factory(config: EnvConfig | None = None, judge: Judge | None = None) -> Callable[[], SubmitEnvironment]:
    """Return a factory for `GRPOTrainer(environment_factory=...)`; the rows of `prompt_dataset` name the problems."""
    chosen = config or EnvConfig(prompt=_tool_prompt)
    chosen_judge = judge or shared_judge()
    return lambda: SubmitEnvironment(chosen, chosen_judge)


def _tool_prompt(problem: Problem) -> str:
    return f"Solve this programming problem in Python. Submit programs with the tool `submit`.\n\n{problem.statement.strip()}"
