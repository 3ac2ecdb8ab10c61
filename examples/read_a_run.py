# A notebook-style script: run it in cells, or whole. It reads a run and asks questions of it:
# the one that its argument names (python read_a_run.py runs/mine), or one that it makes.
# The numbers need two packages: pip install 'codeenv-rl[bench]'

# %% The run that was named, or one of a scripted agent on ten problems, three episodes each
import sys
import tempfile
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from codeenv import rollout
from codeenv.evaluation.behaviour import facts_of
from codeenv.evaluation.records import load_run
from codeenv.evaluation.summary import summarise

if missing := [name for name in ("sacrebleu", "scipy") if find_spec(name) is None]:
    sys.exit(f"{missing[0]} is missing; install it with: pip install 'codeenv-rl[bench]'")
given = sys.argv[1] if len(sys.argv) == 2 else None
folder = Path(given or tempfile.mkdtemp() + "/run")
if given is None:
    rollout("codeenv/Procedural-v0", "ignores-feedback", episodes=30, limit=10, out=folder)

# %% The numbers, with their 95 % intervals over problems
run = load_run(folder)
summary = summarise(run)
for turn, estimate in enumerate(summary.solved_at, start=1):
    print(f"solved by turn {turn}: {estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})")

# %% Which verdicts follow which?
steps = facts_of(run.episodes, run.problems)
print(Counter((fact.before, fact.after) for fact in steps))

# %% The longest episode as the agent saw it
episode = max(run.episodes, key=lambda episode: len(episode.turns))
print(episode.problem_id, [turn.verdict for turn in episode.turns])
print(run.problems[episode.problem_id].statement)
print(episode.turns[0].source)
