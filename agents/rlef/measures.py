"""The numbers of one collection, for the log and the guards."""

from __future__ import annotations

from codeenv.agents.rlef.collect import Collection
from codeenv.agents.rlef.targets import Targets
from codeenv.agents.rlef.turns import TurnTable

__all__ = ["Metrics", "collection_metrics"]

Metrics = dict[str, float]
"""Numbers of one iteration, ready for JSON."""


def collection_metrics(iteration: int, collection: Collection, table: TurnTable, targets: Targets) -> Metrics:
    """Return the numbers of a collection; `table` and `targets` are of its episodes."""
    returns, values = targets.returns, targets.old_values
    if len(values) != len(returns):
        returns = returns[table.token_turn]
    variance = float(returns.var(unbiased=False))
    explained = 1.0 - float((returns - values).var(unbiased=False)) / variance if variance > 0 else 0.0
    invalid = [not valid for one in collection.played for valid in one.valid]
    return {
        "iteration": iteration,
        "episodes": len(collection.played),
        "judge_errors": collection.judge_errors,
        "solve_rate": collection.solve_rate,
        "turns": table.turns / max(1, len(collection.played)),
        "tokens": table.tokens,
        "invalid_turns": sum(invalid) / max(1, len(invalid)),
        "reward": float(table.rewards.sum()) / max(1, len(collection.played)),
        "kl": float(targets.log_ratio.mean()),
        "sampler_gap": float((targets.old - table.behaviour[: len(targets.old)]).abs().mean()),
        "explained_variance": explained,
        "generation_s": collection.generation_s,
        "judge_s": collection.judge_s,
        "judge_cpu_s": collection.judge_cpu_s,
    }
