"""verifiers finds tasksets by the name of a top-level module; this one is codeenv's.

pip install 'codeenv-rl[verifiers,humaneval]'
PYTHONPATH=examples vf-eval codeenv-verifiers -n 5 --env.taskset.problems humaneval --model gpt-5-mini \\
    --client.base-url https://api.openai.com/v1 --client.api-key-var OPENAI_API_KEY --no-push
"""

import sys

try:
    from codeenv.integrations.verifiers_v1 import ChatHarness, CodeTaskset, EpisodeEnv
except ImportError as error:
    sys.exit(f"{error.name or error} is missing; install it with: pip install 'codeenv-rl[verifiers]'")

__all__ = ["ChatHarness", "CodeTaskset", "EpisodeEnv"]
