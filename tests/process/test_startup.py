"""Every command imports the module first that catches signals during its imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT_ROOT

SHOW = """
import atexit, os, signal, sys
import {imported}
print([signal.getsignal(number) is bort.process.startup.end_at_once
       for number in (signal.SIGINT, signal.SIGTERM)], flush=True)
"""
COMMANDS = [*sorted((PROJECT_ROOT / "scripts").glob("*.py")), PROJECT_ROOT / "bort" / "launch.py"]


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_a_command_imports_it_first(path: Path) -> None:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    imports = [one for one in body if isinstance(one, (ast.Import, ast.ImportFrom))]
    assert isinstance(imports[0], ast.ImportFrom)
    assert imports[0].module == "__future__"
    assert ast.unparse(imports[1]) == "import bort.process.startup"


@pytest.mark.parametrize(
    ("imported", "installed"),
    [("bort.process.startup", True), ("bort.process.command", False), ("bort.launch", False)],
)
def test_a_program_that_imports_the_library_keeps_its_handlers(
    imported: str, installed: bool
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHOW.format(imported=imported)],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"{[installed] * 2}\n", done.stderr


def test_a_command_exits_after_all_that_runs_on_exit_and_before_the_libraries_end() -> None:
    code = (
        "import bort.process.startup, atexit, os, signal\n"
        "from bort.process.command import make_parser, run_command\n"
        "class Last:\n"
        "    def __del__(self): os.write(1, b'destroyed')\n"
        "last = Last()\n"
        "atexit.register(print, 'on exit')\n"
        "run_command(make_parser(''), lambda parsed: print('done') or 3, [])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"done\non exit\n", b"")
