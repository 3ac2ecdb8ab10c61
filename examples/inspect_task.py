"""A task for Inspect AI.

pip install 'codeenv-rl[inspect,openai]'
inspect eval examples/inspect_task.py --model openai/gpt-5-mini -T problems=procedural -T limit=8
"""

import sys

try:
    from inspect_ai import task

    from codeenv import EnvConfig, load_problems
    from codeenv.integrations.inspect_ai import code_task
except ImportError as error:
    sys.exit(f"{error.name or error} is missing; install it with: pip install 'codeenv-rl[inspect]'")


@task
def feedback(problems="humaneval", limit=None, turn_limit=3):
    return code_task(load_problems(problems, limit=limit), EnvConfig(turn_limit=turn_limit))
