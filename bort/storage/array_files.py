"""Readers of array files that check the declared size before they allocate memory."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np
import safetensors
import safetensors.numpy

from bort.errors import InputError

_npy: Any = np.lib.format  # has no type hints
_READ_HEADER = {(1, 0): _npy.read_array_header_1_0, (2, 0): _npy.read_array_header_2_0}

_LARGEST_HEADER = 2**24
"""Largest header of a safetensors file that is read, in bytes; 1,000 tensors take about 2^17."""


class StoredTensor(NamedTuple):
    """The place of a tensor in a safetensors file.

    Attributes:
        dtype: its type in the file's own words, such as `F32`.
        shape: its extents.
        begin: its first byte in the file.
        size: its number of bytes.
    """

    dtype: str
    shape: Tuple[int, ...]
    begin: int
    size: int


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
    """Read all tensors of a safetensors file.

    Raises:
        InputError: the file cannot be read or is not a safetensors file.
    """
    read_safetensors_header(path)
    try:
        return dict(safetensors.numpy.load_file(path))
    except (safetensors.SafetensorError, OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: is not a safetensors file: {error}") from error


def read_safetensors_header(path: Path) -> Dict[str, StoredTensor]:
    """Return names and places of the tensors of a safetensors file, without reading them.

    Raises:
        InputError: the file cannot be read; the header is too large, damaged or has a name twice;
            or the tensors do not fill the file without gaps and overlaps.
    """
    what = "is not a safetensors file"
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            length = int.from_bytes(stream.read(8), "little")
            if size < 8 or length > size - 8:
                raise InputError(
                    f"{path}: {what}: it has {size} bytes, its header declares {length}"
                )
            if length > _LARGEST_HEADER:
                raise InputError(
                    f"{path}: its header has {length} bytes, allowed are {_LARGEST_HEADER}"
                )
            header = json.loads(stream.read(length).decode("utf-8"), object_pairs_hook=_no_twice)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: {what}: its header is damaged ({_short(error)})") from error
    if not isinstance(header, dict):
        raise InputError(f"{path}: {what}: its header is not an object")
    tensors: Dict[str, StoredTensor] = {}
    try:
        for name, fields in header.items():
            if name != "__metadata__":
                tensors[name] = _stored_tensor(fields, 8 + length)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: {what}: the entry of {_short(name)} is damaged") from error
    end = 8 + length
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].begin):
        if tensor.begin != end:
            raise InputError(f"{path}: {what}: {_short(name)} does not begin where another ends")
        end += tensor.size
    if end != size:
        raise InputError(f"{path}: {what}: it has {size} bytes, its header declares {end}")
    return tensors


def _stored_tensor(fields: Any, data_begin: int) -> StoredTensor:
    begin, end = fields["data_offsets"]
    shape, dtype = tuple(fields["shape"]), fields["dtype"]
    if not all(type(number) is int and number >= 0 for number in (begin, end, *shape)):
        raise ValueError("a number is no count")
    digits = "".join(filter(str.isdigit, dtype.split("_")[0]))
    bits = int(digits) if digits else 8  # BOOL has no number
    if begin > end or math.prod(shape) * bits != 8 * (end - begin):
        raise ValueError("the shape does not fit the size")
    return StoredTensor(dtype, shape, data_begin + begin, end - begin)


def _no_twice(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    values: Dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            raise ValueError(f"the name {_short(name)} stands twice")
        values[name] = value
    return values


def _short(value: Any) -> str:
    text = str(value) if isinstance(value, Exception) else repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
