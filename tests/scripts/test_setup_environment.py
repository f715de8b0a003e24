"""The set-up refuses what cannot work before it installs anything, in one line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import pytest

from tests.patience import HANG_SECONDS

TOOLS = (
    "bash env cat sed sort tr cut head tail grep sha256sum mktemp rm mv cp mkdir ls ln "
    "find dirname flock"
).split()


@pytest.fixture
def checkout(tmp_path: Path, project_root: Path) -> Path:
    """The files that the set-up reads, in a folder of which the name has a space."""
    root = tmp_path / "a checkout"
    (root / "scripts").mkdir(parents=True)
    shutil.copy(project_root / "scripts" / "setup_environment.sh", root / "scripts")
    for path in [*project_root.glob("requirements*.txt"), project_root / "pyproject.toml"]:
        shutil.copy(path, root)
    return root


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder for PATH that holds no Python and no compiler."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        if found:
            (folder / tool).symlink_to(found)
    return folder


def set_up(
    root: Path, tools: Path, *flags: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    environment: Dict[str, str] = {
        "PATH": str(tools),
        "HOME": str(tools / "home"),
        "XDG_CACHE_HOME": str(tools / "cache"),
        **variables,
    }
    return subprocess.run(
        [str(tools / "bash"), str(root / "scripts" / "setup_environment.sh"), *flags],
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )


def assert_refused(
    result: subprocess.CompletedProcess[str], root: Path, *messages: str, lines: int = 1
) -> None:
    assert result.returncode == 2, result.stderr
    assert result.stderr.count("\n") == lines, result.stderr
    assert result.stderr.startswith("error: ")
    for message in messages:
        assert message in result.stderr
    assert not (root / ".venv").exists()


def fake_python(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text("#!" + str(folder / "bash") + "\n" + script, encoding="utf-8")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--gpu", "cu999"], "--gpu is cu999, allowed are none, cu101, cu112"),
        (["--gpu"], "--gpu needs a value"),
        (["--without-extras"], "--without-extras needs a value"),
        (["--without-extras", "nothing"], "nothing is unknown"),
        (["--extras", "nothing"], "--extras: nothing is unknown"),
        (["--extras", "../etc"], "is not an extra"),
        (["--extras", "base"], "base is not an extra"),
        (["--fast"], "unknown flag --fast"),
        (["--python", "/nowhere/python"], "--python /nowhere/python does not exist"),
    ],
)
def test_bad_usage(checkout: Path, tools: Path, flags: List[str], message: str) -> None:
    assert_refused(set_up(checkout, tools, *flags), checkout, message)


def test_missing_build_tools_are_named_with_their_packages(checkout: Path, tools: Path) -> None:
    result = set_up(checkout, tools, "--python", sys.executable)
    assert_refused(
        result, checkout, "gluonnlp horovod", "cmake", "apt-get install build-essential cmake"
    )
    assert "dnf install gcc gcc-c++ make cmake" in result.stderr


def test_without_horovod_no_cmake_is_asked_for(checkout: Path, tools: Path) -> None:
    result = set_up(checkout, tools, "--without-horovod", "--python", sys.executable)
    assert_refused(result, checkout, "a C compiler")
    assert "cmake" not in result.stderr
    assert "C++" not in result.stderr


def test_a_gpu_needs_the_driver(checkout: Path, tools: Path) -> None:
    flags = ["--gpu", "cu112", "--python", sys.executable]
    result = set_up(checkout, tools, *flags, LD_LIBRARY_PATH=str(tools))
    if "missing for building" in result.stderr:
        pytest.skip("this machine has a driver")
    assert_refused(result, checkout, "--gpu is cu112", "libcuda.so.1 of the NVIDIA driver")
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    stand_in = ["gcc", "-shared", "-x", "c", os.devnull, "-o", str(tools / "libcuda.so.1")]
    subprocess.run(stand_in, check=True)
    result = set_up(checkout, tools, *flags, LD_LIBRARY_PATH=str(tools))
    assert_refused(result, checkout, "missing for building")


def test_an_interpreter_that_only_pretends_is_not_taken(checkout: Path, tools: Path) -> None:
    fake_python(tools, "python3.11", "echo 'command not found' >&2; exit 127\n")
    fake_python(tools, "python3.9", "printf 'no\\tis Python 2.7.1, supported are 3.8 to 3.12\\n'\n")
    result = set_up(checkout, tools)
    assert_refused(
        result, checkout, "no usable Python", "python3.11 does not run", "python3.9 is Python 2.7.1"
    )
    # One that works is found behind those that do not: the next complaint is another one.
    fake_python(tools, "python3", f'exec "{sys.executable}" "$@"\n')
    assert_refused(set_up(checkout, tools), checkout, "missing for building")


def test_a_useless_variable_python_is_said_and_passed_over(checkout: Path, tools: Path) -> None:
    fake_python(tools, "python3", f'exec "{sys.executable}" "$@"\n')
    result = set_up(checkout, tools, PYTHON="/nowhere/python")
    assert_refused(result, checkout, "missing for building")
    assert "$PYTHON (/nowhere/python) does not exist" in result.stdout


def test_a_foreign_environment_is_left_alone(checkout: Path, tools: Path) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "mine").write_text("precious")
    result = set_up(checkout, tools)
    assert result.returncode == 2
    assert "was not made by this script" in result.stderr
    assert os.listdir(checkout / ".venv") == ["mine"]


def test_help_names_every_flag(checkout: Path, tools: Path) -> None:
    result = set_up(checkout, tools, "--help")
    assert result.returncode == 0
    for flag in ("--with-horovod", "--without-horovod", "--gpu", "--extras", "--python"):
        assert flag in result.stdout
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("command", ["run_tests.sh", ".ci/run"])
def test_the_test_runner_explains_itself(project_root: Path, command: str) -> None:
    result = subprocess.run(
        [str(project_root / command), "--help"],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert result.returncode == 0, result.stderr
    assert "--quick" in result.stdout


@pytest.mark.integration
@pytest.mark.slow
def test_an_index_that_cannot_be_reached_is_one_line(checkout: Path, tools: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    (tools / "gcc").symlink_to(shutil.which("gcc") or "")
    nowhere = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "1",
        "CC": "gcc",
    }
    flags = ["--without-horovod", "--python", sys.executable]
    result = set_up(checkout, tools, *flags, **nowhere)
    if "missing for building" in result.stderr:
        pytest.skip("needs Python.h")
    assert result.returncode == 1, result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: pip could not be installed: the package index cannot be reached")
    assert str(checkout / ".venv" / "bort-setup.log") in line
