"""One episode in skyrl-gym, as SkyRL's generator plays it.

pip install 'codeenv-rl[skyrl]' && python examples/skyrl_episode.py
"""

import sys

try:
    import skyrl_gym

    from codeenv import load_problems
    from codeenv.integrations.skyrl import dataset_rows
    from codeenv.submission import fence
except ImportError as error:
    sys.exit(f"{error.name or error} is missing; install it with: pip install 'codeenv-rl[skyrl]'")

problem = load_problems("procedural", limit=1)[0]
row = next(iter(dataset_rows([problem])))
env = skyrl_gym.make(row["env_class"], env_config={"turn_limit": 3}, extras=row)
chat, _ = env.init(row["prompt"])
for action in ("Let me think.", fence(problem.correct_solutions[0])):
    output = env.step(action)
    chat += [{"role": "assistant", "content": action}, *output["observations"]]
    print(f"reward {output['reward']:+.1f}, done {output['done']}, {output['metadata']['verdict']}")
env.close()
