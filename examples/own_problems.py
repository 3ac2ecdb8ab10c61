"""Your own problems: written in Python or read from JSONL, judged, stepped through, rolled out."""

from codeenv import Judge, Problem, Verdict, rollout

problem = Problem.from_dict(
    {
        "id": "mine/inversions",
        "statement": "Write inversions(xs), the number of pairs that stand in the wrong order in the list xs.",
        "mode": "call",
        "entry_point": "inversions",
        "public_tests": [{"args": [[2, 1]], "expected": 1}, {"args": [[]], "expected": 0}],
        "private_tests": [{"args": [[3, 2, 1]], "expected": 3}],
    }
)


def careless(conversation):
    """Count only neighbours at first, and all pairs after feedback."""
    if len(conversation) == 1:
        return "```python\ndef inversions(xs):\n    return sum(a > b for a, b in zip(xs, xs[1:])) or None\n```"
    return "```python\ndef inversions(xs):\n    return sum(a > b for i, a in enumerate(xs) for b in xs[i + 1 :])\n```"


if __name__ == "__main__":
    with Judge(sandbox="local", workers=1) as judge:
        report = judge.judge(problem, "def inversions(xs):\n    return 1\n", tests="all")
        print([result.verdict.value for result in report.results])
        assert report.verdict is Verdict.WRONG_ANSWER

        result = rollout([problem], careless, episodes=1, judge=judge)
        for message in result.rows[0]["messages"]:
            print(f"--- {message['role']}\n{message['content']}")
        print("solved:", result.rows[0]["solved"], "reward:", result.rows[0]["reward"])
