"""Runs made by hand: episodes whose reports are written down, so that no program has to run."""

import random

from codeenv.episode import EnvConfig, Episode
from codeenv.evaluation.records import load_run
from codeenv.judge.verdict import Report, TestResult, Verdict, combined_verdict
from codeenv.problems import CallTest, Problem
from codeenv.rollout.folder import RunFolder
from codeenv.rollout.trajectory import episode_row
from codeenv.submission import fence

LETTERS = {
    "a": Verdict.ACCEPTED, "w": Verdict.WRONG_ANSWER, "r": Verdict.RUNTIME_ERROR, "t": Verdict.TIME_LIMIT,
    "c": Verdict.COMPILE_ERROR, "n": Verdict.NO_CODE,
}  # fmt: skip


def make_problem(number, source="", difficulty=None):
    return Problem(
        f"made/{number}",
        f"Write f(x) that returns x + {number}.",
        "call",
        "f",
        public_tests=(CallTest((1,), {}, 1 + number), CallTest((5,), {}, 5 + number)),
        private_tests=(CallTest((100,), {}, 100 + number), CallTest((7,), {}, 7 + number)),
        difficulty=difficulty,
        source=source,
    )


def program(number, style=0):
    body = [f"return x + {number}", f"y = x\n    return y + {number}", f"# attempt {style}\n    return {number} + x"][style % 3]
    return f"def f(x):\n    {body}\n"


def judged(problem, letters, source, public, trace=None):
    """Return the report of a program whose tests have these verdicts, one letter each."""
    first = 0 if public else len(problem.public_tests)
    if letters in ("c", "n"):
        return Report(problem.id, LETTERS[letters], (), "SyntaxError: invalid syntax")
    results = []
    for index, letter in enumerate(letters, start=first):
        verdict = LETTERS[letter]
        wanted = problem.tests("all")[index].expected
        error = "Traceback (most recent call last):\n  ...\nTypeError: unsupported operand" if letter == "r" else ""
        output = {"a": repr(wanted), "w": repr(wanted + 1)}.get(letter, "")
        results.append(TestResult(index, public, verdict, 0.01, 10.0, output, error, trace if letter != "a" else None))
    return Report(problem.id, combined_verdict(results), tuple(results), isolation="namespaces")


def make_episode(problem, turns, private="aa", turn_limit=3, sources=None):
    """Return an ended episode. `turns` has the letters of the public tests of each turn, such as ["wr", "aa"]."""
    episode = Episode(problem, EnvConfig(turn_limit=turn_limit))
    for turn, letters in enumerate(turns):
        source = None if letters == "n" else (sources[turn] if sources else program(turn, turn))
        public = judged(problem, letters, source, True)
        hidden = judged(problem, private, source, False) if episode.wants_private(public) else None
        response = "I have no idea." if source is None else f"Let me try.\n\n{fence(source)}\nDone."
        episode.advance(response, source, public, hidden)
    assert episode.done, "the episode has not ended; give more turns"
    return episode


def write_run(path, episodes, turn_limit=3, extras=None, **header):
    """Write ended episodes, several of one problem being rollouts of it, as a run folder; `extras` are those of every turn."""
    settings = {"turn_limit": turn_limit, "feedback": "rlef"}
    with RunFolder(path, {"env": "made", "agent": "made", "settings": settings, "isolation": "namespaces", **header}) as folder:
        seen = {}
        for number, episode in enumerate(episodes):
            rollout = seen[episode.problem.id] = seen.get(episode.problem.id, -1) + 1
            told = [extras or {} for _ in episode.turns]
            folder.append(episode_row(number, rollout, number, episode, told, {"agent_s": 0.0, "judge_s": 0.0}), episode.problem)
    return path


def random_episodes(count, skill, problems=50, seed=0):
    """Return episodes of an invented agent that repairs a failing program with probability `skill`."""
    generator = random.Random(seed)
    made = [make_problem(n, ("easy", "hard")[n % 2], (n % 10) / 10) for n in range(problems)]
    episodes = []
    for number in range(count):
        problem = made[number % problems]
        turns = []
        while len(turns) < 3 and (not turns or turns[-1] != "aa"):
            passes = generator.random() < (0.2 if not turns else skill)
            kinds = ["aw", "ww", "rr", "wr", "ta", "c", "n"]
            turns.append("aa" if passes else generator.choices(kinds, weights=[5, 4, 3, 2, 1, 1, 0.5])[0])
        sources = [program(problem.id.split("/")[1], generator.randrange(4)) for _ in turns]
        private = "aa" if generator.random() < 0.85 else "aw"
        episodes.append(make_episode(problem, turns, private, sources=sources))
    return episodes


def load_made(path, episodes, turn_limit=3, name=None):
    """Return ended episodes as a run that was written and read back."""
    return load_run(write_run(path / "run", episodes, turn_limit), name)
