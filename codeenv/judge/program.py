"""From one run of a compiled program to its outcome: the rules in their order, first match wins."""

from __future__ import annotations

import signal

from codeenv.judge.outcomes import ERROR_CHARACTERS, OUTPUT_CHARACTERS, Outcome, bounded, signal_name
from codeenv.judge.verdict import Verdict
from codeenv.sandbox.foreign import memory_is_out
from codeenv.sandbox.toolchains import Toolchain
from codeenv.sandbox.units import CPU_LIMIT, IDLE_LIMIT, SIGNALLED, Run, Unit

__all__ = ["foreign_outcome"]


def foreign_outcome(run: Run, unit: Unit, chain: Toolchain) -> Outcome:
    """Return the outcome of one run of a compiled program; the unit's limits are the problem's."""
    output = run.stdout.decode("utf-8", "surrogateescape")
    shown = bounded(run.stdout.decode("utf-8", "replace"), OUTPUT_CHARACTERS)
    memory = unit.memory + (chain.own_mb << 20)
    decided: tuple[Verdict, str] | None = None
    if run.reason == SIGNALLED and run.code == signal.SIGSYS:
        decided = Verdict.SECURITY_VIOLATION, "killed for a system call of a foreign convention"
    elif run.overflown or (run.reason == SIGNALLED and run.code == signal.SIGXFSZ):
        decided = Verdict.OUTPUT_LIMIT, f"more than {unit.output // 1024} KiB of output"
    elif memory_is_out(chain, run, memory):
        decided = Verdict.MEMORY_LIMIT, f"more than {unit.memory >> 20} MiB"
    elif run.reason in (CPU_LIMIT, IDLE_LIMIT):
        decided = Verdict.TIME_LIMIT, f"more than {unit.time_s:g} s"
    elif run.reason == SIGNALLED:
        decided = Verdict.RUNTIME_ERROR, f"killed by signal {signal_name(run.code)}"
    elif run.code != 0:
        decided = Verdict.RUNTIME_ERROR, f"exit status {run.code}"
    verdict, error = decided or (None, "")
    stderr = run.stderr.decode("utf-8", "replace").strip()
    if stderr:
        error = f"{stderr}\n{error}" if error else stderr
    return Outcome(verdict, output, shown, bounded(error, ERROR_CHARACTERS), run.time_s, run.memory_mb)
