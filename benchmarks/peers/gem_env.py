"""Right programs through GEM's code env, one episode after the other: `python gem_env.py ROWS`.

The env runs the tests of a program in five threads (its default) and each in a bare subprocess (`sandbox_type="none"`). Its
`reset` draws the problem; the response is the one that belongs to it.
"""

import json

from datasets import Dataset
from gem.envs.code_env import CodeEnv
from timed import rows, timed

RESPONSES = {row["statement"]: row["response"] for row in rows()}
TESTS = {
    row["statement"]: {"inputs": [given for given, _ in row["tests"]], "outputs": [wanted for _, wanted in row["tests"]]}
    for row in rows()
}
PROBLEMS = [{"problem": statement, "tests": json.dumps(tests)} for statement, tests in TESTS.items()]
ENV = CodeEnv(dataset_name="taco", dataset=Dataset.from_list(PROBLEMS))  # it checks programs only for names that it knows


def episode(row: dict) -> bool:
    statement, _ = ENV.reset()
    _, reward, _, _, _ = ENV.step(RESPONSES[statement])
    return reward > 0


timed(episode)
