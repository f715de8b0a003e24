"""The script of all tests: what it repeats, what it names, and what fails the run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, List, NamedTuple

import pytest

from tests.patience import HANG_SECONDS

TOOL = "#!/usr/bin/env bash\n"
PYTEST = f'{TOOL}exec {sys.executable} -m pytest -c pytest.ini "$@"\n'
SETTINGS = "[pytest]\nmarkers = integration: slow\naddopts = -p no:randomly\n"
STEADY = "def test_steady():\n    pass\n"
UNSTEADY = """import pathlib, pytest
def test_{name}():
    place = pathlib.Path(__file__).with_suffix(".again")
    is_again = place.exists()
    place.touch()
    assert is_again
"""
BROKEN = "def test_{name}():\n    assert False\n"
SLOW = "import pytest\n@pytest.mark.integration\ndef test_slow():\n    pass\n"


class Run(NamedTuple):
    """Exit status, and the lines after the last step."""

    status: int
    last: List[str]


@pytest.fixture
def run(tmp_path: Path, project_root: Path) -> Any:
    """The real script with the real pytest, among other tools that do nothing."""
    shutil.copy(project_root / "run_tests.sh", tmp_path)
    tools = tmp_path / ".venv" / "bin"
    for path, text in (
        (tmp_path / "scripts" / "setup_environment.sh", TOOL),
        (tools / "ruff", TOOL),
        (tools / "mypy", TOOL),
        (tools / "pytest", PYTEST),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
    (tools / "python").symlink_to(sys.executable)
    (tmp_path / "pytest.ini").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "test_steady.py").write_text(STEADY, encoding="utf-8")
    (tmp_path / "test_slow.py").write_text(SLOW, encoding="utf-8")

    def run(*arguments: str, unsteady: int = 0, broken: int = 0) -> Run:
        for text, name, count in ((UNSTEADY, "unsteady", unsteady), (BROKEN, "broken", broken)):
            for number in range(count):
                path = tmp_path / f"test_{name}{number}.py"
                path.write_text(text.replace("{name}", f"{name}{number}"), encoding="utf-8")
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PYTEST")
        }
        done = subprocess.run(
            [str(tmp_path / "run_tests.sh"), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
        )
        lines = done.stdout.splitlines()
        return Run(done.returncode, lines[len(lines) - lines[::-1].index("") :])

    return run


def test_a_test_that_passes_when_repeated_is_named_and_fails_no_run(run: Any) -> None:
    done = run("--repeat_failed", unsteady=2)
    assert done.status == 0
    assert sorted(done.last) == [
        "PASSED: everything",
        "UNSTEADY: test_unsteady0.py::test_unsteady0 failed beside others and passed without them",
        "UNSTEADY: test_unsteady1.py::test_unsteady1 failed beside others and passed without them",
    ]


def test_a_test_that_fails_twice_fails_the_run(run: Any) -> None:
    done = run("--repeat_failed", unsteady=1, broken=1)
    assert done == (1, ["FAILED: unit tests and doctests"])


def test_many_failed_tests_are_not_repeated(run: Any) -> None:
    assert run("--repeat_failed", unsteady=4) == (1, ["FAILED: unit tests and doctests"])


def test_nothing_is_repeated_without_the_flag(run: Any) -> None:
    assert run(unsteady=1) == (1, ["FAILED: unit tests and doctests"])
    assert run("--repeat_failed") == (0, ["PASSED: everything"]), "it had been made by then"
