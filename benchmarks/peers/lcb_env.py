"""Right programs through skyrl-gym's LiveCodeBench env, one episode after the other: `python lcb_env.py ROWS`."""

import json

from omegaconf import OmegaConf
from skyrl_gym.envs.lcb.env import LCBEnv
from timed import timed


def episode(row: dict) -> bool:
    tests = [{"input": given, "output": wanted, "testtype": "stdin"} for given, wanted in row["tests"]]
    env = LCBEnv(OmegaConf.create({}), {"reward_spec": {"ground_truth": json.dumps(tests)}})
    env.init([{"role": "user", "content": row["statement"]}])
    return env.step(row["response"])["reward"] > 0


timed(episode)
