"""The command `bort doctor`: facts, one screen, and packages that are missing or broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest

from bort.command import doctor
from bort.command.doctor import PACKAGES, ask_another_process, examine, screen
from tests.conftest import PROJECT_ROOT


def facts(**changes: Any) -> Dict[str, Any]:
    found = {
        "bort": "1.0",
        "python": "3.8.0",
        "system": "Linux",
        "machine": {
            "processor": "P", "cores": "2", "memory_gib": 3.5, "OMP_NUM_THREADS": None,
        },
        "instructions": ["AVX2"],
        "packages": {
            "needed": {"numpy": "1.26"},
            "onnx": {"onnx": "1.16", "onnxruntime": None},
            "distributed": {"horovod": None},
        },
        "broken": {},
        "engines": ["mxnet"],
        "bf16": None,
        "cuda": None,
        "training": {
            "mxnet": "1.9.1", "gpus": 0, "gpus_without_kernels": [],
            "horovod": {"built": {"Gloo": True, "MPI": False}},
        },
    }  # fmt: skip
    return {**found, **changes}


def line_of(text: str, name: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith(name)]
    return " ".join(line.split())


def test_one_screen_says_what_is_there_and_what_is_missing():
    text = screen(facts())
    assert len(text.splitlines()) < 24
    assert line_of(text, "bort") == "bort 1.0, Python 3.8.0, Linux"
    assert line_of(text, "processor") == "processor P, 2 cores for this process"
    assert line_of(text, "onnx") == "onnx onnx 1.16, onnxruntime -; pip install 'bort[onnx]'"
    assert line_of(text, "distributed") == (
        "distributed horovod -; scripts/setup_environment.sh builds it for MXNet, pip does not"
    )
    assert line_of(text, "threads") == "threads OMP_NUM_THREADS is not set"
    assert line_of(text, "training") == "training MXNet 1.9.1, 0 GPUs usable"
    assert line_of(text, "ranks") == "ranks by Horovod usable, built with Gloo"
    assert "precision" not in text


def test_what_does_not_work_is_said():
    text = screen(facts(training={"error": "broken"}, engines=[], bf16=False, instructions=[]))
    assert line_of(text, "training") == "training not possible: broken"
    assert line_of(text, "engines") == "engines none"
    assert line_of(text, "instructions") == "instructions unknown"
    assert "fp32, or int8" in line_of(text, "precision fast")
    training = {
        "mxnet": "1.9.1", "gpus": 2, "gpus_without_kernels": ["H100, compute capability 9.0"],
        "horovod": {"error": "ImportError: x"},
    }  # fmt: skip
    text = screen(facts(training=training, bf16=True))
    assert "bf16 (OpenVINO)" in line_of(text, "precision fast")
    assert line_of(text, "training") == (
        "training MXNet 1.9.1, 1 GPUs usable; MXNet has no kernels for H100, compute capability 9.0"
    )
    assert line_of(text, "ranks").startswith("ranks by Horovod not possible: ImportError: x;")


def test_libraries_of_cuda_are_named_if_mxnet_needs_them():
    assert "CUDA" not in screen(facts())
    missing = {'libcudnn.so.8 (pip install "nvidia-cudnn-cu11==8.9.6.50")': "cannot open"}
    cuda = {"build": "mxnet-cu112", "found": ["libcuda.so.1", "libnccl.so.2"], "missing": missing}
    text = screen(facts(cuda=cuda))
    assert line_of(text, "CUDA") == (
        'CUDA libraries missing libcudnn.so.8 (pip install "nvidia-cudnn-cu11==8.9.6.50"); '
        "found libcuda.so.1, libnccl.so.2"
    )
    assert line_of(text, "ranks") == (
        "ranks by Horovod usable, built with Gloo; ranks on GPUs exchange over the host"
    )
    text = screen(facts(cuda={"error": "the search for them fails: exit status -11"}))
    assert line_of(text, "CUDA").endswith("the search for them fails: exit status -11")
    training = {**facts()["training"], "horovod": {"built": {"NCCL": True}}}
    text = screen(facts(cuda={**cuda, "missing": {}}, training=training))
    assert line_of(text, "CUDA") == "CUDA libraries found libcuda.so.1, libnccl.so.2"
    assert line_of(text, "ranks") == "ranks by Horovod usable, built with NCCL"


def test_a_build_for_gpus_counts_as_mxnet(tmp_path: Path, monkeypatch):
    folder = tmp_path / "mxnet_cu112-1.9.1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: mxnet-cu112\nVersion: 1.9.1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    asked = []
    monkeypatch.setattr(doctor, "ask_another_process", lambda *wanted: asked.append(wanted) or {})
    found = examine()
    assert found["packages"]["mxnet"]["mxnet"] == "1.9.1 (mxnet-cu112)"
    assert [wanted[:1] for wanted in asked] == [("bort.process.cuda_libraries",), ()]


def test_this_machine(monkeypatch):
    monkeypatch.setattr(doctor, "ask_another_process", lambda: {"error": "not asked"})
    found = examine()
    json.dumps(found)
    assert found["packages"]["needed"]["numpy"]
    assert len(screen(found).splitlines()) < 24


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("import sys; sys.exit('no libcuda')", "the import of MXNet fails: no libcuda"),
        ("import os; os.abort()", "the import of MXNet fails: exit status -6"),
        ("print('not JSON')", "the import of MXNet fails: exit status 0"),
    ],
)
def test_a_library_that_breaks_is_a_fact(tmp_path: Path, monkeypatch, program: str, error: str):
    (tmp_path / "broken_library.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert ask_another_process("broken_library") == {"error": error}


def test_an_engine_that_cannot_be_imported_is_a_fact(tmp_path: Path):
    """The report is whole, and no engine that does not work is listed."""
    for package, error in (("openvino", "ImportError('no libtbb')"), ("onnxruntime", "OSError(7)")):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(f"raise {error}")
    source = (
        "import json; from bort.command import doctor\n"
        "doctor.ask_another_process = lambda *_: {'error': 'not asked'}\n"
        "found = doctor.examine(); print(json.dumps(found)); print(doctor.screen(found))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{PROJECT_ROOT}"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    printed, screen_text = done.stdout.split("\n", 1)
    found = json.loads(printed)
    expected = {
        "onnxruntime": "onnxruntime is installed but cannot be imported: 7",
        "openvino": "openvino is installed but cannot be imported: no libtbb",
    }
    assert {name: found["broken"].get(name) for name in expected} == expected
    assert not set(expected) & set(found["engines"])
    assert found["bf16"] is None
    assert all(f"broken {line}" in " ".join(screen_text.split()) for line in expected.values())


def test_no_file_of_the_current_folder_is_run(tmp_path: Path, monkeypatch):
    for name in ("numpy", "runpy", "json", "bort"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} of the current folder')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    found = ask_another_process("bort.process.cuda_libraries")
    assert "current folder" not in str(found)
    assert "missing" in found or "build" in found, found


def test_a_library_that_hangs_is_given_up(tmp_path: Path, monkeypatch):
    (tmp_path / "hanging_library.py").write_text("import time; time.sleep(60)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(doctor, "SECONDS", 0.5)
    assert ask_another_process("hanging_library") == {
        "error": "the import of MXNet fails: TimeoutExpired"
    }


def test_packages_are_those_of_the_project(project_root: Path):
    if sys.version_info < (3, 11):
        pytest.skip("needs tomllib")
    import tomllib

    project = tomllib.loads((project_root / "pyproject.toml").read_text())["project"]
    names = {"needed": project["dependencies"], **project["optional-dependencies"]}
    for extra, expected in PACKAGES.items():
        assert set(expected) <= {one.split("=")[0].split(">")[0] for one in names[extra]}


@pytest.mark.integration
def test_the_command():
    command = [sys.executable, "-m", "bort.command", "doctor"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["training"].keys() == {"mxnet", "gpus", "gpus_without_kernels", "horovod"}
    bad = subprocess.run(command[:-1], capture_output=True, text=True, check=False)
    assert (bad.returncode, len(bad.stderr.splitlines())) == (2, 1)
