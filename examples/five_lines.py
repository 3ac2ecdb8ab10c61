"""An agent in five lines: it answers with what the feedback expects. Public tests believe it, private tests do not.

From this folder:

codeenv bench feedback --env codeenv/HumanEval-v0 --limit 20 --rollouts 1 --arms true,random --agent five_lines:Parrot
"""

import re


class Parrot:
    def act(self, conversation):
        name = conversation[0]["content"].split("`")[1]  # "... The tests use `name`."
        told = re.findall(r"Call:\n\w+\((.*)\)\nExpected:\n(.*)", "\n".join(message["content"] for message in conversation))
        table = ", ".join(f"(({given},), {expected})" for given, expected in told)
        return (
            f"```python\ndef {name}(*args):\n    return next((value for given, value in [{table}] if given == args), None)\n```"
        )
