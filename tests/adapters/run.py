"""Run each adapter's tests against the real package, in an environment of its own under .build/adapters (kept between runs).

    python tests/adapters/run.py                  # all of them
    python tests/adapters/run.py skyrl openenv    # some

An environment is made anew when its requirements change. TRL lives in the main environment, so `make test` runs its tests.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMON = ["pytest>=8", "pytest-timeout>=2.3"]
ADAPTERS = {
    "skyrl": ("skyrl", [], ["tests/adapters/test_skyrl.py"]),
    "openenv": ("openenv", [], ["tests/adapters/test_openenv.py"]),
    "inspect": ("inspect", [], ["tests/adapters/test_inspect.py"]),
    "verifiers": ("verifiers", [], ["tests/adapters/test_verifiers.py"]),
}
"""Name: the extra of codeenv, further packages, the tests."""


def prepare(name: str, extra: str, packages: list[str]) -> Path:
    """Return the interpreter of the adapter's environment, which is made if it is missing or out of date."""
    wanted = "\n".join([sys.version, extra, *packages, *COMMON, (ROOT / "pyproject.toml").read_text()])
    digest = hashlib.sha256(wanted.encode()).hexdigest()
    folder = ROOT / ".build" / "adapters" / name
    python, mark = folder / "bin" / "python", folder / "requirements.sha256"
    if not mark.exists() or mark.read_text() != digest:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "--editable", f"{ROOT}[{extra}]", *packages, *COMMON], check=True)
        mark.write_text(digest)
    return python


def main(names: list[str]) -> int:
    if unknown := sorted(set(names) - set(ADAPTERS)):
        print(f"there is no adapter {unknown[0]!r}; use {', '.join(ADAPTERS)}", file=sys.stderr)
        return 2
    failed = []
    for name in names or ADAPTERS:
        extra, packages, tests = ADAPTERS[name]
        start = time.monotonic()
        python = prepare(name, extra, packages)
        ready = time.monotonic()
        status = subprocess.run([python, "-m", "pytest", "-p", "no:cacheprovider", *tests], cwd=ROOT).returncode
        print(f"{name}: environment {ready - start:.0f} s, tests {time.monotonic() - ready:.0f} s", flush=True)
        if status:
            failed.append(name)
    print(f"adapters failed: {', '.join(failed)}" if failed else "all adapters passed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
