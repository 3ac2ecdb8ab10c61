"""Right programs scored by a verifiers task, one rollout after the other: `python verifiers_task.py ROWS`.

verifiers ships no code env; this is the task that one writes for it: a reward function that runs the program on each test in
the rollout's runtime, here its `subprocess` runtime. No model is called.
"""

import asyncio
import sys
import uuid

import verifiers.v1 as vf
from timed import timed
from verifiers.v1.runtimes.subprocess import SubprocessConfig, SubprocessRuntime
from verifiers.v1.trace import AgentInfo, TraceTask


class Data(vf.TaskData):
    tests: list[tuple[str, str]]
    response: str


class Task(vf.Task[Data]):
    @vf.reward
    async def solved(self, task: Data, runtime: vf.Runtime) -> float:
        source = task.response.split("```python\n", 1)[1].rsplit("```", 1)[0]
        await runtime.write("program.py", source.encode())
        for given, wanted in task.tests:
            await runtime.write("input", given.encode())
            done = await runtime.run(["sh", "-c", f"exec {sys.executable} program.py < input"], {})
            if done.exit_code != 0 or done.stdout.split() != wanted.split():
                return 0.0
        return 1.0


async def rollout(row: dict) -> bool:
    task = Task(Data(prompt=row["statement"], tests=row["tests"], response=row["response"]))
    runtime = SubprocessRuntime(SubprocessConfig(), uuid.uuid4().hex)
    trace = vf.Trace(task=TraceTask(type="Task", data=task.data), agent=AgentInfo(config=vf.AgentConfig()))
    await runtime.start()
    try:
        await task.score(trace, runtime)
    finally:
        await runtime.stop()
    return trace.rewards["solved"].score > 0


with asyncio.Runner() as runner:
    timed(lambda row: runner.run(rollout(row)))
