"""Real problem packages: how many load, judge their known submissions as expected, and go through the environment.

    python benchmarks/packages.py DIR [DIR ...] [--limit N] [--time-limit S] [--out reasons.jsonl]

A package with known submissions is measured by them, each in its language. One without (the Code Jam and Kick Start archive) is
measured with a program that prints the package's own answers from a table: it must be accepted by the package's own comparison,
after a turn with an empty answer that must not be; both turns go through `EpisodeBatch`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import time
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

from codeenv.batch import EpisodeBatch
from codeenv.episode import EnvConfig
from codeenv.errors import CodeenvError
from codeenv.judge import Judge, Verdict
from codeenv.judge.judge import MAX_SOURCE_BYTES
from codeenv.problems.packages import read_package
from codeenv.problems.packages.reader import Package, find_packages

TABLE = """import base64, hashlib, sys, zlib
KNOWN = {table!r}
data = sys.stdin.buffer.read()
sys.stdout.write(zlib.decompress(base64.b64decode(KNOWN[hashlib.sha256(data).hexdigest()])).decode())
"""


SHORT = {
    Verdict.ACCEPTED: "AC",
    Verdict.WRONG_ANSWER: "WA",
    Verdict.TIME_LIMIT: "TLE",
    Verdict.RUNTIME_ERROR: "RTE",
    Verdict.MEMORY_LIMIT: "RTE",
    Verdict.OUTPUT_LIMIT: "RTE",
    Verdict.SECURITY_VIOLATION: "RTE",
}


def answer_table(package: Package) -> str:
    """Return a program that prints the known answer to each known input."""
    table = {
        hashlib.sha256(test.input.encode()).hexdigest(): base64.b64encode(zlib.compress(test.output.encode(), 9)).decode()
        for test in package.problem.tests("all")
    }
    return TABLE.format(table=table)


def fenced(source: str) -> str:
    return f"```python\n{source}\n```"


def play(package: Package, judge: Judge, notes: list[str]) -> bool:
    """Play an episode: an empty answer, then the table of answers; return whether it ends solved."""
    batch = EpisodeBatch([package.problem], judge, EnvConfig())
    if package.problem.public_tests:  # without them the first program ends the episode
        first = batch.step({0: fenced("pass")})[0]
        if first.truncated:
            notes.append(f"judge error: {first.info.get('judge_error')}"[:300])
            return False
        if first.terminated:
            notes.append("the empty answer ends the episode")
            return False
    second = batch.step({0: fenced(answer_table(package))})[0]
    if not second.info.get("solved"):
        report = judge.judge(package.problem, answer_table(package))
        failed = report.failed[0] if report.failed else None
        reason = failed.error or failed.verdict.value if failed else report.error or report.verdict.value
        notes.append(f"its own answers are not accepted: {' '.join(reason.split())[:160]}")
    return bool(second.info.get("solved"))


def measure(path: Path, judge: Judge, most_s: float) -> dict[str, object]:
    """Return one row about a package; time limits are at most `most_s`."""
    row: dict[str, object] = {"package": str(path)}
    try:
        package = read_package(path)
    except CodeenvError as error:
        return {**row, "loads": False, "reason": str(error)}
    notes: list[str] = []
    row.update(
        loads=True,
        tests=len(package.problem.tests("all")),
        checker=package.problem.checker.kind,
        submissions=len(package.submissions),
        left_out=dict(package.left_out),
    )
    if package.submissions:
        right: Counter[str] = Counter()
        for known in package.submissions:
            limits = replace(package.problem.limits, time_limit_s=min(most_s, package.problem.limits.time_limit_s))
            report = judge.judge(replace(package.problem, language=known.language, limits=limits), known.source)
            verdicts = [SHORT.get(result.verdict, "JE") for result in report.results]
            if report.results and known.as_expected(dict(zip(package.cases, verdicts, strict=True))):
                right[known.language] += 1
            else:
                reason = next((result.error for result in report.results if result.verdict is Verdict.JUDGE_ERROR), report.error)
                notes.append(f"{known.name}: {report.verdict.value} {' '.join(reason.split())[:120]}".strip())
        row.update(as_expected=sum(right.values()), by_language=dict(right))
        row.update(known=dict(Counter(known.language for known in package.submissions)))
    elif package.problem.checker.kind == "interactor":
        notes.append("it is interactive and has no known submissions")
    elif len(answer_table(package)) > MAX_SOURCE_BYTES:
        notes.append("its answers are too long for one submission")
    else:
        row.update(plays=play(package, judge, notes))
    return {**row, "notes": notes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--time-limit", type=float, default=10.0, help="most CPU seconds a test of a known submission")
    parser.add_argument("--out", type=Path, default=None)
    arguments = parser.parse_args()
    with Judge(workers=2) as judge:
        for folder in arguments.folders:
            started, busy = time.monotonic(), time.process_time()
            rows = []
            for path in find_packages(folder)[: arguments.limit]:
                rows.append(measure(path, judge, arguments.time_limit))
                if arguments.out:
                    with arguments.out.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(rows[-1]) + "\n")
            loaded = [row for row in rows if row["loads"]]
            known = [row for row in loaded if row["submissions"]]
            played = [row for row in loaded if "plays" in row]
            wall, own = time.monotonic() - started, time.process_time() - busy
            print(f"\n{folder}: {len(rows)} packages, {wall:.0f} s wall, {own:.0f} CPU-s of this process")
            print(f"  load                                   {len(loaded)}")
            print(f"  with known submissions                 {len(known)}")
            total, right = (sum(int(str(row[name])) for row in known) for name in ("submissions", "as_expected"))
            print(f"  known submissions judged as expected   {right} of {total}")
            languages = sorted({language for row in known for language in row["known"]})  # type: ignore[attr-defined]
            for language in languages:
                pair = [sum(row[name].get(language, 0) for row in known) for name in ("by_language", "known")]  # type: ignore[attr-defined]
                print(f"    {language:36} {pair[0]} of {pair[1]}")
            print(f"  played with their own answers: solved  {sum(bool(row['plays']) for row in played)} of {len(played)}")
            reasons = Counter(_kind(str(row["reason"])) for row in rows if not row["loads"])
            for reason, count in reasons.most_common():
                print(f"    not loaded {count:4}  {reason}")
            for note, count in Counter(_kind(note) for row in loaded for note in row["notes"]).most_common(30):  # type: ignore[attr-defined]
                print(f"    note       {count:4}  {note}")
            for reason, count in Counter(reason for row in loaded for reason in row["left_out"].values()).most_common(10):  # type: ignore[attr-defined]
                print(f"    submission left out {count:4}  {reason}")


def _kind(reason: str) -> str:
    if ".ans has no " in reason or ".in has no " in reason:
        return "an input or an answer file is missing"
    if "is a part of a divided file" in reason:
        return "a test file is divided into parts"
    if "does not follow the package format" in reason:
        return "its output validator does not follow the package format"
    return reason


if __name__ == "__main__":
    main()
