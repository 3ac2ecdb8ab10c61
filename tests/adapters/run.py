"""Run each adapter's tests against the real package, in an environment of its own under .build/adapters (kept between runs).

    python tests/adapters/run.py                  # all of them
    python tests/adapters/run.py skyrl openenv    # some

An environment is made anew when its requirements change. TRL lives in the main environment, so `make test` runs its tests.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMON = ["pytest>=8", "pytest-timeout>=2.3"]


@dataclass(frozen=True)
class Adapter:
    """An adapter's environment and tests.

    Attributes:
        extra: the extra of codeenv that is installed.
        tests: what is run.
        packages: further packages.
        alone: packages that are installed without what they ask for.
        over_main: whether the main environment's packages are seen behind the adapter's own.
        built_here: packages that are built with what is installed already, first of all.
    """

    extra: str
    tests: tuple[str, ...]
    packages: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    over_main: bool = False
    built_here: tuple[str, ...] = ()


ADAPTERS = {
    "skyrl": Adapter("skyrl", ("tests/adapters/test_skyrl.py",)),
    "openenv": Adapter("openenv", ("tests/adapters/test_openenv.py",)),
    "inspect": Adapter("inspect", ("tests/adapters/test_inspect.py",)),
    "verifiers": Adapter("verifiers", ("tests/adapters/test_verifiers.py",)),
    "fusion": Adapter("serve", ("tests/adapters/test_sandbox_fusion.py",), ("sandbox-fusion",), over_main=True),
    "deploy": Adapter("serve", ("tests/server/test_deploy.py",), ("kubernetes-validate",), over_main=True),
    "ray": Adapter("ray", ("tests/cluster",), over_main=True),
    "deepspeed": Adapter("agents", ("tests/adapters/test_deepspeed.py",), over_main=True, built_here=("deepspeed>=0.19,<0.20",)),
    # verl asks for inference engines and CUDA; its agent loop and its reward managers run with what is listed here
    "verl": Adapter(
        "ray,serve",
        ("tests/adapters/test_verl.py",),
        (
            "aiofiles",
            "aiohttp",
            "cachetools",
            "codetiming",
            "hydra-core",
            "omegaconf",
            "orjson",
            "tensordict",
            "torchdata",
            "wandb",
        ),
        ("verl==0.9.1",),
        over_main=True,
    ),
}


def prepare(name: str, adapter: Adapter) -> Path:
    """Return the interpreter of the adapter's environment, which is made if it is missing or out of date."""
    wanted = "\n".join([sys.version, repr(adapter), *COMMON, (ROOT / "pyproject.toml").read_text()])
    digest = hashlib.sha256(wanted.encode()).hexdigest()
    folder = ROOT / ".build" / "adapters" / name
    python, mark = folder / "bin" / "python", folder / "requirements.sha256"
    if not mark.exists() or mark.read_text() != digest:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        if adapter.over_main:
            spec = importlib.util.find_spec("torch")
            if spec is None or spec.origin is None:
                raise SystemExit(f"{name} needs the main environment's torch; run this with its interpreter, .venv/bin/python")
            (folder / PACKAGES / "zz_main.pth").write_text(f"{Path(spec.origin).parents[1]}\n")
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if adapter.built_here:
            plain = {**os.environ, "DS_BUILD_OPS": "0", "DS_ACCELERATOR": "cpu"}  # DeepSpeed without its compiled parts
            subprocess.run([*install, "--no-build-isolation", *adapter.built_here], check=True, env=plain)
        if adapter.alone:
            subprocess.run([*install, "--no-deps", *adapter.alone], check=True)
        project = ["--editable", f"{ROOT}[{adapter.extra}]"]
        subprocess.run([*install, *project, *adapter.packages, *COMMON], check=True)
        mark.write_text(digest)
    return python


PACKAGES = Path("lib") / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def main(names: list[str]) -> int:
    if unknown := sorted(set(names) - set(ADAPTERS)):
        print(f"there is no adapter {unknown[0]!r}; use {', '.join(ADAPTERS)}", file=sys.stderr)
        return 2
    failed = []
    for name in names or ADAPTERS:
        adapter = ADAPTERS[name]
        start = time.monotonic()
        python = prepare(name, adapter)
        ready = time.monotonic()
        status = subprocess.run([python, "-m", "pytest", "-p", "no:cacheprovider", *adapter.tests], cwd=ROOT).returncode
        print(f"{name}: environment {ready - start:.0f} s, tests {time.monotonic() - ready:.0f} s", flush=True)
        if status:
            failed.append(name)
    print(f"adapters failed: {', '.join(failed)}" if failed else "all adapters passed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
