"""The libraries that MXNet's build for GPUs links to: where they are, and loading them beforehand.

`mxnet-cu112` contains no CUDA, cuDNN or NCCL. NVIDIA's packages on the package index put them into
`nvidia/*/lib`, where the dynamic loader does not look. The loader takes a library that is in the
process already by its name, so each one is loaded by its path before MXNet is imported. No
environment variable is needed, and other processes see nothing of it.

`python -m bort.process.cuda_libraries` prints `examine_cuda()` as JSON.
"""

from __future__ import annotations

import ctypes
import json
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from bort.errors import InputError

CU112 = "mxnet-cu112"
GPU_BUILDS = (CU112, "mxnet-cu101")
"""Packages that install MXNet for GPUs. NVIDIA has no packages of CUDA 10.1."""

DRIVER = "libcuda.so.1"
"""The library of the NVIDIA driver, which every GPU build links to and no package contains."""


@dataclass(frozen=True)
class CudaLibrary:
    """A library that `mxnet-cu112` links to.

    Attributes:
        name: its name for the dynamic loader.
        folder: the folder of its package, inside the namespace package `nvidia`.
        requirement: its package with the version that the set-up installs.
    """

    name: str
    folder: str
    requirement: str


LIBRARIES: Tuple[CudaLibrary, ...] = (
    CudaLibrary("libcudart.so.11.0", "cuda_runtime", "nvidia-cuda-runtime-cu11==11.8.89"),
    CudaLibrary("libnvrtc.so.11.2", "cuda_nvrtc", "nvidia-cuda-nvrtc-cu11==11.8.89"),
    CudaLibrary("libnvToolsExt.so.1", "nvtx", "nvidia-nvtx-cu11==11.8.86"),
    CudaLibrary("libcublasLt.so.11", "cublas", "nvidia-cublas-cu11==11.11.3.6"),
    CudaLibrary("libcublas.so.11", "cublas", "nvidia-cublas-cu11==11.11.3.6"),
    CudaLibrary("libcufft.so.10", "cufft", "nvidia-cufft-cu11==10.9.0.58"),
    CudaLibrary("libcurand.so.10", "curand", "nvidia-curand-cu11==10.3.0.86"),
    CudaLibrary("libcusparse.so.11", "cusparse", "nvidia-cusparse-cu11==11.7.5.86"),
    CudaLibrary("libcusolver.so.11", "cusolver", "nvidia-cusolver-cu11==11.4.1.48"),
    CudaLibrary("libcudnn.so.8", "cudnn", "nvidia-cudnn-cu11==8.9.6.50"),
    CudaLibrary("libnccl.so.2", "nccl", "nvidia-nccl-cu11==2.21.5"),
)
"""What `mxnet-cu112` links to, each behind those that it links to itself."""


def gpu_build() -> Optional[str]:
    """Return the name of the installed package of MXNet for GPUs, None without one."""
    for name in GPU_BUILDS:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        return name
    return None


def load_cuda_libraries() -> None:
    """Load the libraries of the installed GPU build of MXNet; do nothing without such a build.

    A library that no package contains is searched where the dynamic loader looks, as that of an
    installed CUDA.

    Raises:
        InputError: a library cannot be loaded; names all of those and what installs them.
    """
    build = gpu_build()
    missing = [] if build is None else [text for text, error in _load(build) if error is not None]
    if missing:
        raise InputError(
            f"{build} needs libraries that cannot be loaded: {', '.join(missing)}; "
            "scripts/setup_environment.sh --gpu none installs MXNet for CPUs"
        )


def examine_cuda() -> Dict[str, Any]:
    """Return JSON-ready facts: the GPU build, the libraries found, and those missing with a reason.

    Both are empty without a GPU build. The libraries stay in this process.
    """
    build = gpu_build()
    found: List[str] = []
    missing: Dict[str, str] = {}
    for text, error in [] if build is None else _load(build):
        if error is None:
            found.append(text)
        else:
            missing[text] = error
    return {"build": build, "found": found, "missing": missing}


def _load(build: str) -> List[Tuple[str, Optional[str]]]:
    """Return each library, with what installs it if it cannot be loaded, and the loader's error."""
    results = []
    error = _error_of(DRIVER)
    results.append((DRIVER if error is None else f"{DRIVER} (the NVIDIA driver)", error))
    for library in LIBRARIES if build == CU112 else ():
        error = _error_of(_path_of(library))
        help_text = "" if error is None else f' (pip install "{library.requirement}")'
        results.append((library.name + help_text, error))
    return results


def _path_of(library: CudaLibrary) -> str:
    """Return the path of a library in its package, else its name, for the loader's own search."""
    packages = util.find_spec("nvidia")
    for place in (packages.submodule_search_locations or ()) if packages else ():
        path = Path(place) / library.folder / "lib" / library.name
        if path.is_file():
            return str(path)
    return library.name


def _error_of(path: str) -> Optional[str]:
    try:
        # The symbols stay private: MXNet finds a library by its name, and another framework in
        # this process may use another version of it.
        ctypes.CDLL(path, mode=ctypes.RTLD_LOCAL)
    except OSError as error:
        return str(error)
    return None


if __name__ == "__main__":
    print(json.dumps(examine_cuda()))
