"""The NVIDIA GPUs of this machine by the driver, and whether MXNet has machine code for them.

`mxnet-cu112` 1.9.1 holds machine code for a few compute capabilities and no PTX code, from which
the driver could compile for others. Code for capability x.y runs on x.z with z ≥ y.
"""

from __future__ import annotations

import ctypes
from typing import Dict, List, NamedTuple, Tuple

from bort.process.cuda_libraries import CU112, DRIVER, gpu_build

COMPILED_FOR = ((5, 0), (6, 0), (7, 0), (8, 0), (8, 6))
"""The compute capabilities that `mxnet-cu112` was compiled for."""

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_…
_LONGEST_NAME = 256


class Gpu(NamedTuple):
    """A GPU.

    Attributes:
        name: the name by the driver.
        capability: its compute capability, major and minor.
    """

    name: str
    capability: Tuple[int, int]

    def __str__(self) -> str:
        """Return the name and the capability, for messages."""
        return f"{self.name}, compute capability {self.capability[0]}.{self.capability[1]}"

    @property
    def has_kernels(self) -> bool:
        """Whether `mxnet-cu112` has machine code for this GPU."""
        major, minor = self.capability
        return any(major == one and minor >= least for one, least in COMPILED_FOR)


def gpus_without_kernels() -> Dict[int, Gpu]:
    """Return the GPUs that the installed MXNet has no machine code for, by index.

    What other builds than `mxnet-cu112` hold is not known; the result is empty then.
    """
    gpus = gpus_of_driver() if gpu_build() == CU112 else []
    return {index: gpu for index, gpu in enumerate(gpus) if not gpu.has_kernels}


def gpus_of_driver() -> List[Gpu]:
    """Return the GPUs that the driver shows to this process; [] without a driver or a GPU."""
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError:
        return []
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return []
    return [_gpu(driver, index) for index in range(count.value)]


def _gpu(driver: ctypes.CDLL, index: int) -> Gpu:
    name = ctypes.create_string_buffer(_LONGEST_NAME)
    driver.cuDeviceGetName(name, _LONGEST_NAME, index)
    numbers = []
    for attribute in (_MAJOR, _MINOR):
        number = ctypes.c_int(0)
        driver.cuDeviceGetAttribute(ctypes.byref(number), attribute, index)
        numbers.append(number.value)
    return Gpu(name.value.decode("utf-8", "replace"), (numbers[0], numbers[1]))
