"""The allocator of the C library, told to keep freed memory for the next step of a training."""

from __future__ import annotations

import ctypes
import os
import platform

_TRIM_THRESHOLD, _MAPPED_BLOCKS = -1, -4
"""Numbers of the settings of glibc's `mallopt`."""

_VARIABLES = ("MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")
_TUNABLES, _MALLOC = "GLIBC_TUNABLES", "glibc.malloc"
_LARGEST = (1 << 31) - 1


def keep_freed_memory() -> bool:
    """Let this process keep the memory of freed arrays, so that it is not mapped again and again.

    glibc maps every large block anew and returns it when it is freed. In a training step this costs
    a page fault for every 4 kB of the logits and of other large arrays. The setting holds for the
    whole process, which keeps its largest size.

    Returns:
        Whether the setting was made. It is not made without glibc, or if the environment sets the
        allocator.
    """
    if any(os.environ.get(name) for name in _VARIABLES):
        return False
    if _MALLOC in os.environ.get(_TUNABLES, "") or platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    settings = ((_MAPPED_BLOCKS, 0), (_TRIM_THRESHOLD, _LARGEST))
    return all(library.mallopt(name, value) == 1 for name, value in settings)
