"""What docs/rlef.md names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_function_and_file_that_the_page_names_exists() -> None:
    text = (ROOT / "docs" / "rlef.md").read_text()
    places = re.findall(r"`([\w/]+\.py)(?:::([\w.]+))?`", text)
    assert len(places) > 12
    for file, name in places:
        tree = ast.parse((ROOT / file).read_text())
        for part in filter(None, name.split(".")):
            found = [node for node in tree.body if getattr(node, "name", None) == part or part in _targets(node)]
            assert found, f"{file} has no {name}"
            tree = found[0]  # type: ignore[assignment]


def test_every_line_that_the_page_gives_for_an_equation_stands_in_its_function() -> None:
    text = (ROOT / "docs" / "rlef.md").read_text()
    section = text.partition("## Which equation is which code")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| .* \| `([\w/]+\.py)::([\w.]+)` \| `(.+)` \|$", section, flags=re.MULTILINE)
    assert len(rows) == section.count("\n| ") - 1  # every row but the head
    for file, name, line in rows:
        source = (ROOT / file).read_text()
        node: ast.AST = ast.parse(source)
        for part in name.split("."):
            node = next(child for child in ast.iter_child_nodes(node) if getattr(child, "name", None) == part)
        lines = [found.strip() for found in (ast.get_source_segment(source, node) or "").splitlines()]
        assert line in lines, f"{file}::{name} has no line {line}"


def test_every_flag_that_the_page_names_is_one_of_codeenv_train(capsys) -> None:
    import pytest

    from codeenv.cli.train import run_arguments

    with pytest.raises(SystemExit):
        run_arguments(["--help"])
    usage = capsys.readouterr().out
    text = (ROOT / "docs" / "rlef.md").read_text()
    flags = set(re.findall(r"--(?:rlef|task|model)\.[\w-]+", text))
    assert len(flags) > 6
    for flag in flags:
        assert flag in usage


def _targets(node: ast.stmt) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]
