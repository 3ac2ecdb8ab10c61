"""What is installed is what is in the repository."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_package_of_the_repository_is_installed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {
        ".".join(folder.parent.relative_to(ROOT).parts).replace("agents", "codeenv.agents", int(top == "agents"))
        for top in ("codeenv", "agents")
        for folder in (ROOT / top).rglob("__init__.py")
    }
    assert sorted(listed) == sorted(found)


def test_test_modules_have_names_of_their_own():
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
