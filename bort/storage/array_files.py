"""Readers of array files that check the declared size before they allocate memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict

import numpy as np
import safetensors
import safetensors.numpy

from bort.errors import InputError

_npy: Any = np.lib.format  # has no type hints
_READ_HEADER = {(1, 0): _npy.read_array_header_1_0, (2, 0): _npy.read_array_header_2_0}


def read_npy(path: Path, *, mapped: bool = False) -> np.ndarray:
    """Read a `.npy` file without Python objects.

    Args:
        path: path of the file.
        mapped: map the file into memory instead of reading it.

    Raises:
        InputError: the file cannot be read, is not an array of numbers, or is shorter or longer
            than its header declares.
    """
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            try:
                shape, _, dtype = _READ_HEADER[_npy.read_magic(stream)](stream)
            except OSError:
                raise
            except Exception as error:  # NumPy does not document what its parser raises
                raise InputError(f"{path}: is damaged: it is not an array of numbers") from error
            begin = stream.tell()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    if dtype.hasobject:
        raise InputError(f"{path}: holds Python objects, which are not read")
    count = 1
    for extent in shape:
        count *= extent
    if begin + count * dtype.itemsize != size:
        raise InputError(
            f"{path}: is damaged: it has {size} bytes, its header declares {dtype.str} {shape}"
        )
    try:
        array: np.ndarray = np.load(path, "r" if mapped and count else None, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    return array


def read_safetensors(path: Path) -> Dict[str, np.ndarray]:
    """Read all tensors of a safetensors file; the package checks the sizes.

    Raises:
        InputError: the file cannot be read or is not a safetensors file.
    """
    try:
        return dict(safetensors.numpy.load_file(path))
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: is not a safetensors file: {error}") from error
