"""The GPUs that a driver shows, with a small library that stands in for the driver."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bort.process import gpus
from bort.process.gpus import Gpu, gpus_of_driver, gpus_without_kernels

DRIVER = """
#include <stdio.h>
int cuInit(unsigned flags) { return STATUS; }
int cuDeviceGetCount(int *count) { *count = 2; return 0; }
int cuDeviceGetName(char *name, int length, int device) {
    return snprintf(name, length, "GPU %d", device) < 0;
}
int cuDeviceGetAttribute(int *number, int attribute, int device) {
    *number = attribute == 75 ? 8 + device : attribute == 76 ? 6 - 6 * device : -1;
    return 0;
}
"""


def install_driver(path: Path, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    command = ["gcc", "-shared", "-fPIC", f"-DSTATUS={status}", "-x", "c", "-", "-o", str(path)]
    subprocess.run(command, input=DRIVER, text=True, check=True)
    monkeypatch.setattr(gpus, "DRIVER", str(path))


def test_gpus_have_names_and_capabilities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_driver(tmp_path / "libcuda.so.1", monkeypatch, status=0)
    found = gpus_of_driver()
    assert found == [Gpu("GPU 0", (8, 6)), Gpu("GPU 1", (9, 0))]
    assert [gpu.has_kernels for gpu in found] == [True, False]


def test_a_driver_without_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_driver(tmp_path / "libcuda.so.1", monkeypatch, status=100)  # CUDA_ERROR_NO_DEVICE
    assert gpus_of_driver() == []


def test_without_a_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "DRIVER", str(tmp_path / "libcuda.so.1"))
    assert gpus_of_driver() == []


def test_gpus_without_kernels_of_the_installed_mxnet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "gpus_of_driver", lambda: [Gpu("A10", (8, 6)), Gpu("H100", (9, 0))])
    assert gpus_without_kernels() == {}  # the build for CPUs
    monkeypatch.setattr(gpus, "gpu_build", lambda: "mxnet-cu101")
    assert gpus_without_kernels() == {}
    monkeypatch.setattr(gpus, "gpu_build", lambda: "mxnet-cu112")
    assert gpus_without_kernels() == {1: Gpu("H100", (9, 0))}
    assert str(gpus_without_kernels()[1]) == "H100, compute capability 9.0"


@pytest.mark.parametrize(
    ("name", "capability", "has_kernels"),
    [
        ("K80", (3, 7), False),
        ("GTX 980", (5, 2), True),
        ("P100", (6, 0), True),
        ("V100", (7, 0), True),
        ("T4", (7, 5), True),
        ("A100", (8, 0), True),
        ("A10", (8, 6), True),
        ("L4", (8, 9), True),
        ("H100", (9, 0), False),
        ("B200", (10, 0), False),
        ("RTX 5090", (12, 0), False),
    ],
)
def test_generations_with_machine_code(name: str, capability: tuple, has_kernels: bool) -> None:
    assert Gpu(name, capability).has_kernels is has_kernels
