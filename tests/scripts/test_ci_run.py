"""Continuous integration and parity: demanded, impossible to install, or failed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any, List, NamedTuple

import pytest

from tests.patience import HANG_SECONDS

SET_UP = """#!/usr/bin/env bash
echo "set-up $*" >>calls
case "$*" in *without-extras*) exit 0 ;; *parity*) exit {status} ;; esac
"""
PYTHON = """#!/usr/bin/env bash
case "$1" in -V) echo "Python 3.9.1" ;; *) exit {status} ;; esac
"""
TESTS = """#!/usr/bin/env bash
echo "tests $*" >>calls
exit {status}
"""


class Run(NamedTuple):
    """Exit status, what was printed and what was called."""

    status: int
    printed: str
    calls: List[str]


def write(path: Path, text: str, status: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace("{status}", str(status)), encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def run(tmp_path: Path, project_root: Path) -> Any:
    """The real script among others that only note how they are called."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(project_root / ".ci" / "run", tmp_path / ".ci")

    def run(*arguments: str, installs: int = 0, too_old: int = 0, tests: int = 0) -> Run:
        (tmp_path / "calls").write_text("", encoding="utf-8")
        write(tmp_path / "scripts" / "setup_environment.sh", SET_UP, installs)
        write(tmp_path / ".venv" / "bin" / "python", PYTHON, too_old)
        write(tmp_path / "run_tests.sh", TESTS, tests)
        done = subprocess.run(
            [str(tmp_path / ".ci" / "run"), *arguments],
            cwd="/",
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
        )
        calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
        return Run(done.returncode, done.stdout + done.stderr, calls)

    return run


@pytest.mark.parametrize("tests", [0, 1])
def test_parity_is_demanded(run: Any, tests: int) -> None:
    done = run("--quick", tests=tests)
    assert done.status == tests
    assert done.calls == ["set-up --extras test,parity", "tests --parity --repeat_failed --quick"]
    assert "PARITY" not in done.printed


@pytest.mark.parametrize("tests", [0, 1])
def test_where_packages_cannot_be_installed_the_rest_runs_and_the_last_line_says_so(
    run: Any, tests: int
) -> None:
    done = run("-k", "x", installs=1, tests=tests)
    assert done.calls == [
        "set-up --extras test,parity",
        "set-up --extras test --without-extras parity",
        "tests --repeat_failed -k x",
    ]
    assert done.status == tests
    last = done.printed.splitlines()[-1]
    assert last == "== PARITY WAS NOT CHECKED: its packages could not be installed"


@pytest.mark.parametrize("tests", [0, 1])
def test_an_interpreter_without_them_is_no_failure(run: Any, tests: int) -> None:
    done = run(too_old=1, tests=tests)
    assert done.calls[-1] == "tests --repeat_failed"
    assert done.status == tests
    assert "PARITY WAS NOT CHECKED: it needs Python 3.10 or later, this is Python 3.9.1" in (
        done.printed
    )
