"""The toolkit's folder: where it is, and that a command finds its own modules in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bort.process import toolkit
from bort.process.toolkit import is_of_toolkit, put_toolkit_first, toolkit_root
from tests.conftest import PROJECT_ROOT

MARKS = ("scripts/finetune.py", "experiments/finetuning.py", "data/classification.py")


def make_toolkit(folder: Path) -> Path:
    for mark in MARKS:
        (folder / mark).parent.mkdir(parents=True, exist_ok=True)
        (folder / mark).touch()
    return folder


def test_the_folder_of_a_checkout_is_its_root():
    assert toolkit_root() == str(PROJECT_ROOT)
    assert is_of_toolkit(str(PROJECT_ROOT / "scripts" / "finetune.py"))
    assert not is_of_toolkit(f"{PROJECT_ROOT}-other/scripts/finetune.py")


def test_the_folder_of_a_wheel_goes_before_folders_beside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    package = tmp_path / "bort"
    package.mkdir()
    monkeypatch.setattr(toolkit, "_PACKAGE", str(package))
    assert toolkit_root() is None
    assert not is_of_toolkit(__file__)
    before = list(sys.path)
    put_toolkit_first()
    assert sys.path == before
    make_toolkit(tmp_path)
    assert toolkit_root() == str(tmp_path)
    make_toolkit(package / "_toolkit")
    assert toolkit_root() == str(package / "_toolkit")
    (package / "_toolkit" / MARKS[0]).unlink()
    assert toolkit_root() == str(tmp_path)


def test_the_folder_comes_first_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", ["elsewhere"])
    put_toolkit_first()
    put_toolkit_first()
    assert sys.path == [str(PROJECT_ROOT), "elsewhere"]


@pytest.fixture
def others_data(tmp_path: Path) -> Path:
    """A folder with packages of somebody else that are named as the toolkit's."""
    for name in ("data", "experiments", "scripts"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise RuntimeError('not our {name}')")
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [[f"{PROJECT_ROOT}/scripts/generate_english.py"], ["-m", "bort.command", "generate-english"]],
    ids=["script", "subcommand"],
)
def test_a_command_imports_the_toolkits_modules_beside_others(command, others_data: Path):
    path = os.pathsep.join([str(others_data), str(PROJECT_ROOT)])
    done = subprocess.run(
        [sys.executable, *command, "--output_file", "text.txt", "--num_documents", "1"],
        cwd=others_data,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (others_data / "text.txt").stat().st_size > 0


@pytest.mark.parametrize(
    "imports", ["import bort", "from bort import finetune", "import bort.process.startup"]
)
def test_the_library_leaves_the_search_path_alone(imports: str, others_data: Path):
    code = f"import sys; before = list(sys.path); {imports}; print(sys.path == before)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=others_data, capture_output=True, text=True
    )
    assert done.stdout == "True\n", done.stderr
