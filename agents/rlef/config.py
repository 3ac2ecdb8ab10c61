"""The learner's settings. The defaults are the paper's (RLEF, arXiv 2410.02089, sections 2.2, 2.3 and appendix A).

What the paper leaves open is marked "open" with our default. `MINI` names every deviation of the miniature.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from codeenv.agents.lm.generation import Sampling
from codeenv.agents.rlef.algorithms import ALGORITHMS, AlgorithmName
from codeenv.agents.settings import check_number, check_whole
from codeenv.errors import CodeenvError

__all__ = ["MINI", "RLEFConfig"]


_GROUP = 8
"""Episodes on a problem where they are compared and nothing is said."""


@dataclass(frozen=True, slots=True)
class RLEFConfig:
    """How a policy is trained from the episodes that it plays. The task's own settings (turn limit, reward) are in `EnvConfig`.

    Attributes:
        algorithm: `rlef`, or one of the algorithms without a critic in `codeenv.agents.rlef.algorithms`.
        group: episodes on each problem of a collection; 0 is 8 for algorithms that compare the episodes of a problem, else 1.
        critic_level: `turn` reads the critic at the last prompt token of each turn; `token` before every sampled token (the
            paper's ablation).
        iterations: collections; 12,000 gradient steps of the 8B model at 4 a collection.
        episodes: episodes of one collection.
        updates: gradient steps of one pass over a collection; each uses `episodes / updates` of them.
        epochs: passes over a collection.
        micro_batch: episodes of one forward pass; gradients are summed, so it changes memory and speed alone.
        learning_rate, final_learning_rate: of the policy after warm-up, and where it goes linearly (`None`: constant; open).
        warmup_updates: gradient steps over which the learning rates rise linearly.
        critic_learning_rate: of the critic; `None` is the policy's (open).
        critic_only_iterations: first collections that train the critic alone.
        weight_decay, beta1, beta2: AdamW (the betas are open).
        clip: epsilon of the clipped policy objective.
        value_clip: alpha of the clipped value loss; `None` is plain squared error.
        kl_coefficient: beta of the KL term, inside the reward or in the loss as the algorithm says.
        gamma: discount of one turn; the paper's is 1.
        gae_lambda: lambda of the generalised advantage over turns; 1 is the Monte-Carlo return of the paper. Below 1 it needs
            the turn-level critic.
        staleness: most iterations by which the policy that plays a collection may be older than the one that learns from it;
            above 0, collections are played in a thread while the learner updates.
        normalise_advantages: to mean 0 and standard deviation 1 over the turns of the collection (scope open).
        max_grad_norm: of either network (open).
        temperature, top_p: of the sampler.
        max_response_tokens, max_context_tokens: limits of one response and of a conversation (open).
        sampling_dtype: of the copy of the policy that writes; `same` writes with the policy itself. `bfloat16` with float32
            weights needs `recompute_logprobs`, and the policy loss's factor min(pi / pi_b, 1) corrects for the difference.
        recompute_logprobs: take the log-probabilities of the policy before the update from the trainer's own forward pass,
            so that the sampler's enter only as those of the behaviour policy; off, the sampler's stand for both.
    """

    algorithm: AlgorithmName = "rlef"
    group: int = 0
    critic_level: Literal["turn", "token"] = "turn"
    iterations: int = 3000
    episodes: int = 1024
    updates: int = 4
    epochs: int = 1
    micro_batch: int = 8
    learning_rate: float = 2e-7
    final_learning_rate: float | None = None
    warmup_updates: int = 50
    critic_learning_rate: float | None = None
    critic_only_iterations: int = 0
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.95
    clip: float = 0.2
    value_clip: float | None = 0.2
    kl_coefficient: float = 0.05
    gamma: float = 1.0
    gae_lambda: float = 1.0
    staleness: int = 0
    normalise_advantages: bool = True
    max_grad_norm: float = 1.0
    temperature: float = 1.0
    top_p: float = 1.0
    max_response_tokens: int = 1024
    max_context_tokens: int = 8192
    sampling_dtype: Literal["same", "float32", "bfloat16"] = "same"
    recompute_logprobs: bool = True

    def __post_init__(self) -> None:
        for name in ("iterations", "episodes", "updates", "epochs", "micro_batch", "max_response_tokens", "max_context_tokens"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise CodeenvError(f"{name} is {value!r}; use a whole number of at least 1")
        if self.algorithm not in ALGORITHMS:
            raise CodeenvError(f"there is no algorithm {self.algorithm!r}; use one of {', '.join(ALGORITHMS)}")
        if self.critic_level not in ("turn", "token"):
            raise CodeenvError(f"critic_level is {self.critic_level!r}; use 'turn' or 'token'")
        if self.group < 0 or self.episodes % self.group_size:
            raise CodeenvError(f"group is {self.group_size!r}; it must divide the {self.episodes} episodes of a collection")
        if self.group == 1 and ALGORITHMS[self.algorithm].grouped:
            raise CodeenvError(
                f"algorithm {self.algorithm!r} compares episodes on one problem; set group to 2 or more, such as 8"
            )
        if self.updates > self.episodes:
            raise CodeenvError(f"updates is {self.updates}, more than the {self.episodes} episodes of a collection; lower it")
        for name in ("learning_rate", "final_learning_rate", "critic_learning_rate"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < 1.0:
                raise CodeenvError(f"{name} is {value!r}; use a number between 0 and 1, such as 2e-7 for an 8B model")
        self._check_numbers()
        if self.gae_lambda < 1.0 and (ALGORITHMS[self.algorithm].baseline != "critic" or self.critic_level == "token"):
            raise CodeenvError(
                f"gae_lambda is {self.gae_lambda!r}, which needs the turn-level critic; set algorithm to 'rlef' and critic_level "
                "to 'turn', or gae_lambda to 1.0"
            )
        if self.sampling_dtype not in ("same", "float32", "bfloat16"):
            raise CodeenvError(f"sampling_dtype is {self.sampling_dtype!r}; use 'same', 'float32' or 'bfloat16'")
        if self.sampling_dtype != "same" and not self.recompute_logprobs:
            raise CodeenvError(
                f"sampling_dtype is {self.sampling_dtype!r}, whose log-probabilities are not the learner's; set "
                "recompute_logprobs to true"
            )
        if self.staleness > 0 and not (self.recompute_logprobs and ALGORITHMS[self.algorithm].stale):
            raise CodeenvError(
                f"staleness is {self.staleness}, which needs the factor for tokens of an older policy; set algorithm to 'rlef' "
                "and recompute_logprobs to true, or staleness to 0"
            )

    def _check_numbers(self) -> None:
        for name in ("warmup_updates", "critic_only_iterations", "staleness"):
            check_whole(name, getattr(self, name), 0)
        for name, most in (("gamma", 1.0), ("gae_lambda", 1.0), ("clip", 1e3), ("kl_coefficient", 1e3), ("weight_decay", 1e3)):
            check_number(name, getattr(self, name), 0.0, most)
        for name in ("beta1", "beta2"):
            check_number(name, getattr(self, name), 0.0, 1.0, below=True)
        if self.value_clip is not None:
            check_number("value_clip", self.value_clip, 0.0, 1e6)
        check_number("max_grad_norm", self.max_grad_norm, 0.0, 1e9, above=True)
        check_number("temperature", self.temperature, 0.0, 10.0, above=True)  # the likeliest token teaches nothing
        self.sampling()

    @property
    def group_size(self) -> int:
        """Episodes on each problem of a collection."""
        return self.group or (_GROUP if ALGORITHMS[self.algorithm].grouped else 1)

    def sampling(self) -> Sampling:
        """Return how responses are drawn."""
        return Sampling(self.temperature, self.top_p, self.max_response_tokens, self.max_context_tokens)


MINI = replace(
    RLEFConfig(),
    iterations=200,  # 51,200 episodes
    episodes=256,
    micro_batch=64,
    learning_rate=1e-3,  # 165 thousand parameters from scratch need a far higher rate than 8 billion pre-trained ones
    final_learning_rate=3e-4,
    warmup_updates=40,
    critic_learning_rate=2e-3,
    critic_only_iterations=2,
    weight_decay=0.0,
    value_clip=None,
    max_grad_norm=0.5,
    max_response_tokens=12,
    max_context_tokens=128,
    recompute_logprobs=False,  # one float32 model samples and learns; the two differ by rounding alone
)
"""The settings of the miniature on two processor cores."""
