"""Opening and reading problem sets: start-up time, memory and rows a second for 10^3, 10^4 and 10^5 problems; loaders' speed.

    python benchmarks/problems.py [--sizes 1000 10000 100000] [--loaders]

Each measurement runs in a process of its own. `ratio` compares with `json.loads` of every line of the same file in one loop, the
least that a reader of all rows must do. Times are CPU seconds without imports; memory is the growth of the resident set after
opening, and after reading 1,000 problems in random order.
"""

from __future__ import annotations

import argparse
import base64
import json
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from codeenv.problems import load
from codeenv.problems.jsonl import write_jsonl

MEASURE = """
import json, random, resource, sys, time
from codeenv.problems import load
import codeenv.problems.loaders.schema, codeenv.problems.mapped

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 2**20

kind, path = sys.argv[1:3]
before, start = resident(), time.process_time()
if kind == "parse":
    with open(path, "rb") as file:
        count = sum(1 for line in file if json.loads(line))
    print(json.dumps({"cpu_s": time.process_time() - start, "open_mb": resident() - before}))
    raise SystemExit
problems = list(load(path)) if kind == "list" else load(path, **({"check": False} if kind == "lazy" else {}))
opened, open_mb = time.process_time() - start, resident() - before
start = time.process_time()
for index in random.Random(0).sample(range(len(problems)), 1000):
    problems[index]
row = {"cpu_s": opened, "open_mb": open_mb}
print(json.dumps({**row, "read_mb": resident() - before, "read_cpu_s": time.process_time() - start}))
"""

KINDS = {
    "parse": "json.loads of every line",
    "checked": "load(path): index, every row checked once",
    "lazy": "load(path, check=False): index alone",
    "list": "list(load(path)): all in memory",
}


def rows(count: int) -> Iterator[dict[str, object]]:
    """Yield procedural problems, repeated under new ids: their making is not what is measured."""
    made = [problem.to_dict() for problem in load("procedural", size=1000)]
    for index in range(count):
        yield {**made[index % len(made)], "id": f"bench/{index}"}


def measured(kind: str, path: Path) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-c", MEASURE, kind, str(path)], capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def sizes(counts: list[int], folder: Path) -> None:
    columns = f"{'open CPU-s':>10} {'ratio':>6} {'rows/s':>9} {'open MB':>8} {'1000 reads: MB':>14} {'ms each':>8}"
    print(f"{'problems':>9} {'file MB':>8}  {'how':<42} {columns}")
    for count in counts:
        path = folder / f"{count}.jsonl"
        write_jsonl(path, rows(count))
        size = path.stat().st_size / 1e6
        base = 0.0
        for kind, what in KINDS.items():
            result = measured(kind, path)
            base = result["cpu_s"] if kind == "parse" else base
            reads = f"{result['read_mb']:14.1f} {result['read_cpu_s']:8.3f}" if kind != "parse" else ""
            print(
                f"{count:9} {size:8.1f}  {what:<42} {result['cpu_s']:10.3f} {result['cpu_s'] / base:6.2f} "
                f"{count / result['cpu_s']:9.0f} {result['open_mb']:8.1f} {reads}"
            )
        path.unlink()


def loader_rows(count: int) -> dict[str, list[dict[str, object]]]:
    """Return rows in the published form of some data sets, with the same tests."""
    cases = [{"input": f"{number} {number}\n", "output": f"{2 * number}\n", "testtype": "stdin"} for number in range(20)]
    inputs, outputs = [case["input"] for case in cases], [case["output"] for case in cases]
    import pickle

    packed = base64.b64encode(zlib.compress(pickle.dumps(json.dumps(cases)))).decode()
    pairs = {"input": inputs, "output": outputs}
    none: dict[str, list[str]] = {"input": [], "output": []}
    return {
        "codecontests": [
            {"name": f"{number}", "description": "Sum.", "public_tests": pairs, "private_tests": pairs, "generated_tests": none}
            for number in range(count)
        ],
        "apps": [
            {"problem_id": number, "question": "Sum.", "input_output": json.dumps({"inputs": inputs, "outputs": outputs}),
             "solutions": "[]", "difficulty": "interview", "starter_code": ""}
            for number in range(count)
        ],
        "livecodebench": [
            {"question_id": str(number), "question_title": "Sum", "question_content": "Sum.", "starter_code": "", "metadata": "{}",  # noqa: E501
             "public_test_cases": json.dumps(cases[:2]), "private_test_cases": packed, "difficulty": "easy"}
            for number in range(count)
        ],
        "mbpp": [
            {"task_id": 11 + number % 500, "text": "Add.", "code": "def add(a, b):\n    return a + b\n", "test_setup_code": "",
             "test_list": [f"assert add({n}, 1) == {n + 1}" for n in range(3)], "challenge_test_list": []}
            for number in range(min(count, 500))
        ],
    }  # fmt: skip


def loaders(count: int, folder: Path) -> None:
    print(f"\n{'loader':<15} {'rows':>6} {'CPU-s':>7} {'rows/s':>8} {'ratio to json.loads':>20}")
    for name, made in loader_rows(count).items():
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in made))
        parse = measured("parse", path)["cpu_s"]
        program = (
            f"load('procedural', limit=1)\nstart = time.process_time()\nload('{name}:{path}')\nprint(time.process_time() - start)"
        )
        program = "import time\nimport codeenv.problems.loaders.tables\nfrom codeenv.problems import load\n" + program
        seconds = float(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)
        print(f"{name:<15} {len(made):6} {seconds:7.3f} {len(made) / seconds:8.0f} {seconds / parse:20.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="*", type=int, default=[1_000, 10_000, 100_000])
    parser.add_argument("--loaders", type=int, default=2_000, help="rows for each loader; 0 leaves the loaders out")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sizes(arguments.sizes, Path(folder))
        if arguments.loaders:
            loaders(arguments.loaders, Path(folder))


if __name__ == "__main__":
    main()
