"""How long hostile programs last beyond their time limit: every one should end within its limit and two seconds.

    python benchmarks/hostile.py                              # the programs of tests/attacks/hostile.txt at `namespaces`
    python benchmarks/hostile.py --sandbox landlock --limit 1 --all

Each program is judged alone on one worker, and then an honest one. Printed are the slowest ones by wall time beyond the limit,
and how many were over two seconds or got a verdict that is not theirs. On a busy machine a program's wall time is more
than its own time: the load is printed with the result. The exit status is 1 if a program was over on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from codeenv.judge import Judge
from codeenv.problems.problem import Limits, Problem, StdioTest

SLACK_S = 2.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sandbox", default="namespaces")
    parser.add_argument("--runtime", help="of containers, such as runsc")
    parser.add_argument("--limit", type=float, default=0.4, help="time limit in seconds")
    parser.add_argument("--all", action="store_true", help="print every program, not the ten slowest alone")
    args = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    from attacks.test_hostile import PROGRAMS

    limits = Limits(time_limit_s=args.limit, memory_mb=256, output_kb=256)
    problem = Problem("hostile", "", "stdio", private_tests=(StdioTest("1\n", "right\n"),), limits=limits)
    rows: list[tuple[float, str, str]] = []
    wrong, dishonest = [], []
    options = {"runtime": args.runtime} if args.runtime else {}
    with Judge(sandbox=args.sandbox, workers=1, **options) as judge:
        judge.judge(problem, "print('right')")
        for name, (verdicts, source) in PROGRAMS.items():
            started = time.monotonic()
            report = judge.judge(problem, source)
            beyond = time.monotonic() - started - args.limit
            rows.append((beyond, name, report.verdict.value))
            if report.verdict.value not in verdicts:
                wrong.append(name)
            if not judge.judge(problem, f"print('right') # {name}").accepted:
                dishonest.append(name)
    rows.sort(reverse=True)
    load = os.getloadavg()[0]
    over = [name for beyond, name, _ in rows if beyond > SLACK_S]
    print("| program | verdict | seconds beyond the limit |\n|---|---|---|")
    for beyond, name, verdict in rows if args.all else rows[:10]:
        print(f"| {name} | {verdict} | {beyond:+.2f} |")
    slowest, busy = rows[0][0], f"Load {load:.1f} on {os.cpu_count()} processors."
    print(f"\n{len(rows)} programs at {args.sandbox}, limit {args.limit:g} s: the slowest ended {slowest:.2f} s after its limit,")
    print(f"{len(over)} more than {SLACK_S:g} s after it. Wrong verdicts: {len(wrong)}, honest ones: {len(dishonest)}. {busy}")
    if wrong:
        print(f"Wrong: {', '.join(wrong)}.")
    return int(bool(wrong or dishonest or (over and load < (os.cpu_count() or 1))))


if __name__ == "__main__":
    sys.exit(main())
