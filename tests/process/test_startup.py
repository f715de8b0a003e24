"""Every command imports the module first that catches signals during its imports."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.conftest import PROJECT_ROOT

COMMANDS = [*sorted((PROJECT_ROOT / "scripts").glob("*.py")), PROJECT_ROOT / "bort" / "launch.py"]


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_a_command_imports_it_first(path: Path) -> None:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    imports = [one for one in body if isinstance(one, (ast.Import, ast.ImportFrom))]
    assert isinstance(imports[0], ast.ImportFrom)
    assert imports[0].module == "__future__"
    assert ast.unparse(imports[1]) == "import bort.process.startup"
