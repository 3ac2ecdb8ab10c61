"""codeenv: teach language models to use execution feedback.

A Gymnasium environment in which an agent reads a programming problem, submits code, sees what happened (failing public tests,
errors, traces) and tries again; the reward comes from private tests.

    import codeenv, gymnasium
    env = gymnasium.make("codeenv/HumanEval-v0")
    observation, info = env.reset(seed=0)
    observation, reward, terminated, truncated, info = env.step("```python\\ndef f(): ...\\n```")

Importing this package registers an environment for each data set of `codeenv.problems`. It needs numpy and gymnasium;
`codeenv.agents` needs the extra `agents`.
"""

import gymnasium as _gymnasium

from codeenv.episode import EnvConfig
from codeenv.errors import CodeenvError
from codeenv.judge import Judge, JudgeRequest, Report, TestResult, Verdict
from codeenv.problems import CallTest, Checker, CodeTest, Limits, Problem, ProblemError, ProblemSet, StdioTest, sources
from codeenv.problems import load as load_problems
from codeenv.rollout import rollout
from codeenv.version import __version__

__all__ = [
    "CallTest",
    "Checker",
    "CodeTest",
    "CodeenvError",
    "EnvConfig",
    "Judge",
    "JudgeRequest",
    "Limits",
    "Problem",
    "ProblemError",
    "ProblemSet",
    "Report",
    "StdioTest",
    "TestResult",
    "Verdict",
    "__version__",
    "load_problems",
    "rollout",
]

for _source in sources().values():
    if (_name := f"codeenv/{_source.environment}-v0") not in _gymnasium.registry:
        _gymnasium.register(
            _name,
            entry_point="codeenv.env:CodeEnv",
            vector_entry_point="codeenv.vector:CodeVectorEnv",
            kwargs={"problems": _source.name},
        )

for _name, _kind in (("Alignment", None), ("OutputPrediction", "output"), ("InputPrediction", "input")):
    if f"codeenv/{_name}-v0" not in _gymnasium.registry:
        _gymnasium.register(f"codeenv/{_name}-v0", entry_point="codeenv.prediction.env:PredictionEnv", kwargs={"kind": _kind})
