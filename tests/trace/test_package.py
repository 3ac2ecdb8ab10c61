"""What the package gives, and what its modules may import."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

import pytest

import codeenv.trace

FOLDER = Path(codeenv.trace.__file__).parent
CHILD = (
    "snapshot", "scopes", "syntax", "places", "blocks", "reports", "instrument", "recording", "recursion", "finals",
    "postmortem", "recorder",
)  # fmt: skip


@pytest.mark.parametrize("name", codeenv.trace.__all__)
def test_every_public_name_is_what_it_says_whichever_modules_were_imported_before(name):
    for module in FOLDER.glob("*.py"):
        importlib.import_module(f"codeenv.trace.{module.stem}".removesuffix(".__init__"))
    assert callable(getattr(codeenv.trace, name))


@pytest.mark.parametrize("module", CHILD)
def test_a_module_of_the_child_imports_the_standard_library_and_its_siblings_only(module):
    for node in ast.walk(ast.parse((FOLDER / f"{module}.py").read_text("utf-8"))):
        if isinstance(node, ast.Import):
            assert all(name.name.partition(".")[0] in sys.stdlib_module_names for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module in CHILD if node.level else (node.module or "").partition(".")[0] in sys.stdlib_module_names
