"""Training from Python: RLEF in miniature, cut short. `codeenv demo` runs it at full size."""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

try:
    from codeenv import Judge
    from codeenv.agents.rlef.config import MINI
    from codeenv.agents.rlef.mini_run import MiniRun, MiniSettings
    from codeenv.agents.rlef.sft import SFTConfig
except ImportError as error:
    sys.exit(f"{error.name or error} is missing; install it with: pip install 'codeenv-rl[agents,bench]'")

settings = MiniSettings(sft=SFTConfig(steps=8), rlef=replace(MINI, iterations=2, episodes=16), evaluation_episodes=16)

if __name__ == "__main__":
    with Judge(sandbox="local", workers=2) as judge:
        run = MiniRun(seed=0, judge=judge, settings=settings, folder=Path(tempfile.mkdtemp()))
        result = run.run()
    for when, arms in result.arms.items():
        for arm, outcome in arms.items():
            print(f"{when:<7} {arm:<12} solved {outcome.solved.value:.2f}")
