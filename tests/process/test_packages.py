"""Missing packages are named in one line, and NumPy gets the alias that MXNet reads."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

from bort.errors import InputError
from bort.process.packages import (
    BrokenPackageError,
    explained_import,
    is_installed,
    missing_framework,
    restore_numpy_bool,
)

WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            raise ModuleNotFoundError("No module named " + name, name=name)

sys.meta_path.insert(0, Missing())
from bort.process.command import make_parser, run_command

def work(parsed):
    import bort.gluon
    __import__(sys.argv[1])

run_command(make_parser("Imports a package."), work, [])
"""


def test_a_package_is_found_without_being_imported() -> None:
    source = (
        "import sys; from bort.process.packages import is_installed\n"
        "print(is_installed('tqdm'), 'tqdm' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert found.stdout.split() == ["True", "False"], found.stderr
    assert not is_installed("no_package_has_this_name")
    assert not is_installed("no_package_has_this_name.and_no_module")


@pytest.mark.parametrize(
    ("package", "help_text"),
    [
        ("mxnet", 'pip install "bort[mxnet]"'),
        ("gluonnlp", 'pip install "bort[mxnet]"'),
        ("horovod", "scripts/setup_environment.sh"),
    ],
)
def test_a_command_without_its_framework_ends_in_one_line(package: str, help_text: str) -> None:
    command = [sys.executable, "-c", WITHOUT, package]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {package} is not installed, and this command needs it: ")
    assert help_text in line


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'bort.nowhere'", name="bort.nowhere"),
        ModuleNotFoundError("No module named 'mxnet.nowhere'", name="mxnet.nowhere"),
        ImportError("libcuda.so.1", name="mxnet"),
        RuntimeError("mxnet"),
    ],
)
def test_other_errors_keep_their_traceback(error: BaseException) -> None:
    assert missing_framework(error) is None


def test_a_package_that_is_not_there_is_not_installed() -> None:
    with pytest.raises(InputError) as caught, explained_import("no_package", "onnx"):
        raise ModuleNotFoundError("No module named 'no_package'", name="no_package")
    assert str(caught.value) == 'no_package is not installed: pip install "bort[onnx]"'
    assert not isinstance(caught.value, BrokenPackageError)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ImportError("libtbb.so.12: cannot open"), "libtbb.so.12: cannot open"),
        (OSError("libtbb.so.12:\n cannot open"), "libtbb.so.12: cannot open"),
        (ModuleNotFoundError("No module named 'numpy'", name="numpy"), "No module named 'numpy'"),
        (
            ModuleNotFoundError("No module named 'onnx.c'", name="onnx.c"),
            "No module named 'onnx.c'",
        ),
        (TypeError("Descriptors cannot be created"), "TypeError: Descriptors cannot be created"),
    ],
)
def test_a_package_that_cannot_be_imported_is_not_called_missing(
    error: Exception, reason: str
) -> None:
    with pytest.raises(BrokenPackageError) as caught, explained_import("onnx", "onnx"):
        raise error
    assert str(caught.value) == f"onnx is installed but cannot be imported: {reason}"
    assert caught.value.exit_status == 2
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.package) == (str(caught.value), "onnx")


def test_the_alias_is_restored_in_a_numpy_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(np), "bool", bool)  # so that the end of the test restores it
    del vars(np)["bool"]
    restore_numpy_bool()
    assert vars(np)["bool"] is bool


def test_an_alias_that_is_there_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(np), "bool", np.bool_)
    restore_numpy_bool()
    assert vars(np)["bool"] is np.bool_
