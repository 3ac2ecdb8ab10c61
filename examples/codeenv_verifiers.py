"""verifiers finds tasksets by the name of a top-level module; this one is codeenv's.

PYTHONPATH=examples vf-eval codeenv-verifiers -n 5 --env.taskset.problems humaneval --model gpt-5-mini \\
    --client.base-url https://api.openai.com/v1 --client.api-key-var OPENAI_API_KEY --no-push
"""

from codeenv.integrations.verifiers_v1 import ChatHarness, CodeTaskset, EpisodeEnv

__all__ = ["ChatHarness", "CodeTaskset", "EpisodeEnv"]
