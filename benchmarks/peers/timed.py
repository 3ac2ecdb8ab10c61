"""What the scripts of this folder share: the rows to play, the clock, the line to print."""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path


def rows() -> list[dict]:
    """Return the rows of the file that is named on the command line: `statement`, `response` and `tests`."""
    with Path(sys.argv[1]).open() as lines:
        return [json.loads(line) for line in lines]


def cpu_s() -> float:
    """Return the CPU seconds of this process and of the children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(item.ru_utime + item.ru_stime for item in used)


def timed(episode: Callable[[dict], bool]) -> None:
    """Play the rows, the first one twice of which once before the clock starts, and print what it took."""
    work = rows()
    episode(work[0])
    wall, cpu = time.perf_counter(), cpu_s()
    solved = sum(bool(episode(row)) for row in work)
    print(json.dumps({"wall_s": time.perf_counter() - wall, "cpu_s": cpu_s() - cpu, "solved": solved, "programs": len(work)}))
