"""Problems and scripted responses that every adapter's test plays: some solved at once, some repaired, some never."""

from codeenv.batch import EpisodeBatch
from codeenv.episode import EnvConfig
from codeenv.problems import CallTest, Problem, StdioTest
from codeenv.submission import fence


def make_problem(number: int) -> Problem:
    if number % 2:
        return Problem(
            f"adapter/times-{number}",
            f"Read a number and print it times {number}.",
            "stdio",
            public_tests=(StdioTest("2\n", f"{2 * number}\n"),),
            private_tests=(StdioTest("5\n", f"{5 * number}\n"), StdioTest("-1\n", f"{-number}\n")),
            correct_solutions=(f"print(int(input()) * {number})\n",),
            incorrect_solutions=(f"print({2 * number})\n", "print(input())\n"),
        )
    return Problem(
        f"adapter/plus-{number}",
        f"Write f(x) that returns x plus {number}.",
        "call",
        "f",
        public_tests=(CallTest((1,), {}, 1 + number),),
        private_tests=(CallTest((100,), {}, 100 + number), CallTest((-7,), {}, -7 + number)),
        correct_solutions=(f"def f(x):\n    return x + {number}\n",),
        incorrect_solutions=(f"def f(x):\n    return {1 + number}\n", "def f(x):\n    return None\n"),
    )


PROBLEMS = [make_problem(number) for number in range(2, 102)]
"""One hundred problems; the first wrong program of each passes the public tests and fails the private ones."""


def scripted_responses(problem: Problem) -> list[str]:
    """Return three responses, by the problem's number: wrong, then repaired, and other orders; prose and broken code too."""
    number = int(problem.id.rsplit("-", 1)[1])
    right = fence(problem.correct_solutions[0])
    wrong = fence(problem.incorrect_solutions[1])
    overfit = fence(problem.incorrect_solutions[0])
    scripts = [
        [wrong, right, right],
        [wrong, wrong, wrong],
        [right, right, right],
        [overfit, right, right],
        ["I do not know.", fence("def f(:\n"), right],
        [fence("def f(:\n"), "no code", "no code"],
    ]
    return scripts[number % len(scripts)]


def our_rewards(judge, config: EnvConfig | None = None) -> dict[str, float]:
    """Return the total reward of each problem's scripted episode, played in our own environment."""
    batch = EpisodeBatch(PROBLEMS, judge, config)
    totals = dict.fromkeys(range(len(PROBLEMS)), 0.0)
    while batch.live:
        turns = {index: scripted_responses(PROBLEMS[index])[len(batch.episodes[index].turns)] for index in batch.live}
        for index, step in batch.step(turns).items():
            totals[index] += step.reward
    return {PROBLEMS[index].id: total for index, total in totals.items()}


def script_agent(messages) -> str:
    """Answer a chat (dicts or objects with role and content) as `scripted_responses` says."""

    def part(message, name):
        return message[name] if isinstance(message, dict) else getattr(message, name)

    users = [message for message in messages if part(message, "role") == "user"]
    turn = sum(part(message, "role") == "assistant" for message in messages)
    opening = part(users[0], "content")
    problem = next(problem for problem in PROBLEMS if problem.statement in opening)
    return scripted_responses(problem)[turn]
