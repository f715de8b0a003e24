"""Runs a command of the project as a user would, without MXNet in reach of its environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.patience import HANG_SECONDS


def run(
    root: Path, script: str, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, f"scripts/{script}.py", *map(str, arguments)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=HANG_SECONDS,
    )


def assert_one_line(result: subprocess.CompletedProcess[str], status: int, message: str) -> None:
    """The command ended with that status, and with one line on stderr that says why."""
    lines = result.stderr.splitlines()
    assert result.returncode == status, result.stderr
    assert len([line for line in lines if line.startswith("error: ")]) == 1, result.stderr
    assert message in lines[-1], result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
