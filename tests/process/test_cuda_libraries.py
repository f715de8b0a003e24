"""CUDA's libraries from packages: where they are, the order of loading, what is missing.

Small libraries stand in for those of NVIDIA and for MXNet. Each links by name to those that the
real one links to, and no folder of them is on the loader's path.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Sequence

import pytest

from bort.errors import InputError
from bort.process import cuda_libraries
from bort.process.cuda_libraries import (
    CU112,
    DRIVER,
    LIBRARIES,
    CudaLibrary,
    examine_cuda,
    gpu_build,
    load_cuda_libraries,
)

LINKS: Dict[str, Sequence[str]] = {
    "libcublas.so.11": ("libcublasLt.so.11",),
    "libcusolver.so.11": ("libcublas.so.11", "libcublasLt.so.11", "libcusparse.so.11"),
    "libcudnn.so.8": ("libcublas.so.11", "libnvrtc.so.11.2"),
}
"""Links among the libraries; no library of these is loaded unless the others are there already."""

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


def compile_library(path: Path, source: str, linked: Sequence[Path] = ()) -> None:
    """Write a shared library that links to others by name alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = ["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(path)]
    command += [f"-Wl,-soname,{path.name}", "-Wl,--no-as-needed", "-x", "none", *map(str, linked)]
    subprocess.run(command, input=source, text=True, check=True)


def install_stand_in(site: Path, libraries: Sequence[CudaLibrary]) -> None:
    """Install a GPU build of MXNet and packages of NVIDIA that are all made of small libraries."""
    (site / "mxnet_cu112-1.9.1.dist-info").mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: {CU112}\nVersion: 1.9.1\n"
    (site / "mxnet_cu112-1.9.1.dist-info" / "METADATA").write_text(metadata)
    paths: Dict[str, Path] = {}
    for number, library in enumerate(libraries):
        path = site / "nvidia" / library.folder / "lib" / library.name
        linked = [paths[name] for name in LINKS.get(library.name, ())]
        compile_library(path, f"int value_{number}(void) {{ return {number}; }}", linked)
        paths[library.name] = path
    driver = site / "driver" / DRIVER
    compile_library(driver, "int cuInit(unsigned flags) { return 100; }")
    names = [f"value_{number}" for number in range(len(libraries))]
    source = "".join(f"int {name}(void); " for name in names) + "int cuInit(unsigned); "
    source += f"int compute(void) {{ return cuInit(0) + {' + '.join(f'{n}()' for n in names)}; }}"
    compile_library(site / "mxnet" / "libmxnet.so", source, [*paths.values(), driver])
    program = "import ctypes, os\n"
    program += "library = ctypes.CDLL(os.path.join(os.path.dirname(__file__), 'libmxnet.so'))\n"
    (site / "mxnet" / "__init__.py").write_text(program)


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory) -> Path:
    """A folder of packages with all libraries, made once."""
    site = tmp_path_factory.mktemp("packages")
    install_stand_in(site, LIBRARIES)
    return site


def run_python(
    site: Path, *arguments: str, driver: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a Python whose packages include those of `site`; only the driver is on its path."""
    environment = {key: text for key, text in os.environ.items() if key != "LD_LIBRARY_PATH"}
    root = Path(cuda_libraries.__file__).parents[2]
    environment["PYTHONPATH"] = os.pathsep.join([str(site), str(root)])
    if driver:
        environment["LD_LIBRARY_PATH"] = str(site / "driver")
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True
    )


@needs_gcc
def test_mxnet_finds_the_libraries_after_bort_gluon(stand_in: Path) -> None:
    program = "import mxnet; print(mxnet.library.compute())"
    alone = run_python(stand_in, "-c", program)
    assert "cannot open shared object file" in alone.stderr
    done = run_python(stand_in, "-c", f"import bort.gluon; {program}")
    assert done.stdout == f"{100 + sum(range(len(LIBRARIES)))}\n", done.stderr


@needs_gcc
def test_a_second_copy_of_another_version_keeps_its_own_symbols(stand_in: Path) -> None:
    """The libraries' symbols are not those of the whole process."""
    program = "import bort.gluon, ctypes; print(hasattr(ctypes.CDLL(None), 'value_0'))"
    assert run_python(stand_in, "-c", program).stdout == "False\n"


@needs_gcc
def test_everything_that_is_found_is_told(stand_in: Path) -> None:
    done = run_python(stand_in, "-m", "bort.process.cuda_libraries")
    names = [DRIVER, *(library.name for library in LIBRARIES)]
    assert json.loads(done.stdout) == {"build": CU112, "found": names, "missing": {}}


@needs_gcc
def test_what_is_missing_is_told_with_what_installs_it(stand_in: Path, tmp_path: Path) -> None:
    site = tmp_path / "packages"
    shutil.copytree(stand_in, site)
    shutil.rmtree(site / "nvidia" / "cudnn")
    done = run_python(site, "-c", "import bort.gluon", driver=False)
    line = done.stderr.splitlines()[-1]
    assert line.startswith("bort.errors.InputError: mxnet-cu112 needs libraries that cannot be")
    assert "libcuda.so.1 (the NVIDIA driver)" in line
    assert 'libcudnn.so.8 (pip install "nvidia-cudnn-cu11==8.9.6.50")' in line
    assert "--gpu none" in line
    assert "libcudart" not in line
    found = json.loads(run_python(site, "-m", "bort.process.cuda_libraries", driver=False).stdout)
    assert len(found["found"]) == len(LIBRARIES) - 1
    assert len(found["missing"]) == 2
    assert all("cannot open shared object" in reason for reason in found["missing"].values())


@needs_gcc
def test_an_installed_cuda_serves_where_a_package_is_missing(
    stand_in: Path, tmp_path: Path
) -> None:
    site = tmp_path / "packages"
    shutil.copytree(stand_in, site)
    folder = site / "nvidia" / "curand" / "lib"
    (folder / "libcurand.so.10").rename(site / "driver" / "libcurand.so.10")
    done = run_python(site, "-c", "import bort.gluon, mxnet; print(mxnet.library.compute())")
    assert done.stdout.strip().isdigit(), done.stderr


def test_without_a_gpu_build_nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: List[str] = []
    monkeypatch.setattr(cuda_libraries, "gpu_build", lambda: None)
    monkeypatch.setattr(cuda_libraries, "_error_of", loaded.append)
    load_cuda_libraries()
    assert examine_cuda() == {"build": None, "found": [], "missing": {}}
    assert loaded == []


def test_cuda_10_has_no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_libraries, "gpu_build", lambda: "mxnet-cu101")
    monkeypatch.setattr(cuda_libraries, "_error_of", lambda path: f"{path}: not found")
    with pytest.raises(InputError, match=r"mxnet-cu101 .* loaded: libcuda.so.1 \(the NVIDIA driv"):
        load_cuda_libraries()
    assert list(examine_cuda()["missing"]) == ["libcuda.so.1 (the NVIDIA driver)"]


def test_the_gpu_build_is_known_by_its_package(tmp_path: Path, monkeypatch) -> None:
    assert gpu_build() is None  # the tests run on the build for CPUs
    folder = tmp_path / "mxnet_cu101-1.9.1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: mxnet-cu101\nVersion: 1.9.1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert gpu_build() == "mxnet-cu101"
