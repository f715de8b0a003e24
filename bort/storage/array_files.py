"""Readers of array files that check the declared size before they allocate memory."""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from pathlib import Path
from typing import IO, Any, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np
import safetensors
import safetensors.numpy

from bort.errors import InputError

_npy: Any = np.lib.format  # has no type hints
_READ_HEADER = {
    (1, 0): (2, _npy.read_array_header_1_0),
    (2, 0): (4, _npy.read_array_header_2_0),
}
"""Bytes of the header's length, and NumPy's reader, by version of the format."""

_LARGEST_ARRAY_HEADER = 10_000
"""Largest header of an array that is parsed, in bytes; that of an array of numbers takes 128."""

LARGEST_ARCHIVE_BYTES = 4 << 30
"""Maximum size of the unpacked arrays of an `.npz` file."""

_LARGEST_RATIO, _SMALL_BYTES = 200, 64 << 20

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
            header = _read_array_header(stream, str(path), size)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        mode: Any = "r" if mapped and header.size else None
        array: np.ndarray = np.load(path, mode, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    return array


def read_npz(path: Path, names: Sequence[str]) -> Dict[str, np.ndarray]:
    """Read arrays of an `.npz` file without Python objects.

    Args:
        path: path of the file.
        names: names of the arrays to read; those that the file lacks are left out.

    Raises:
        InputError: the file cannot be read or is damaged, holds something else than numbers, or
            unpacks to far more than its own size.
    """
    found: Dict[str, np.ndarray] = {}
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            with zipfile.ZipFile(stream) as archive:
                members = {info.filename: info for info in archive.infolist()}
                wanted = {n: members[f"{n}.npy"] for n in names if f"{n}.npy" in members}
                if min((info.header_offset for info in members.values()), default=0) > 0:
                    raise InputError(f"{path}: is damaged: bytes precede its first array")
                unpacked = sum(info.file_size for info in wanted.values())
                allowed = min(max(_SMALL_BYTES, _LARGEST_RATIO * size), LARGEST_ARCHIVE_BYTES)
                if unpacked > allowed:
                    raise InputError(
                        f"{path}: its arrays unpack to {unpacked} bytes, allowed are {allowed}"
                    )
                for name, info in wanted.items():
                    with archive.open(info) as member:
                        where = f"{path}: {name!r}"
                        header = _read_array_header(member, where, info.file_size)
                        values = np.frombuffer(member.read(), header.dtype)
                    order: Any = "F" if header.is_fortran else "C"
                    found[name] = values.reshape(header.shape, order=order)
    except InputError:
        raise
    except OSError as error:
        what = "cannot be read" if error.errno else "is damaged or not an .npz file"
        raise InputError(f"{path}: {what}: {error.strerror or error}") from error
    except MemoryError as error:
        raise InputError(f"{path}: its arrays do not fit into the memory") from error
    except Exception as error:  # the package zipfile does not document what damage raises
        raise InputError(f"{path}: is damaged or not an .npz file: {_short(error)}") from error
    return found


class _ArrayHeader(NamedTuple):
    """The header of an array, checked against the size of its file."""

    shape: Tuple[int, ...]
    dtype: np.dtype
    is_fortran: bool
    size: int


def _read_array_header(stream: IO[bytes], where: str, size: int) -> _ArrayHeader:
    """Read the header of an array at the start of a stream of `size` bytes.

    Raises:
        InputError: the header is damaged, declares another size or anything but numbers.
    """
    try:
        magic = stream.read(_npy.MAGIC_LEN)
        width, read_header = _READ_HEADER[_npy.read_magic(io.BytesIO(magic))]
        length = stream.read(width)
        declared = int.from_bytes(length, "little")
        if declared > _LARGEST_ARRAY_HEADER:
            raise ValueError("the header is too long")
        begin = len(magic) + width + declared
        text = io.BytesIO(length + stream.read(declared))
        shape, is_fortran, dtype = read_header(text)
    except OSError:
        raise
    except Exception as error:  # NumPy does not document what its parser raises
        raise InputError(f"{where}: is damaged: it is not an array of numbers") from error
    if dtype.hasobject:
        raise InputError(f"{where}: holds Python objects, which are not read")
    if dtype.kind not in "biuf" or any(type(n) is not int or n < 0 for n in shape):
        raise InputError(f"{where}: is damaged: it is not an array of numbers")
    count = math.prod(shape)
    is_possible = max(shape, default=0) <= size  # an empty array may declare any other extent
    if begin + count * dtype.itemsize != size or not is_possible:
        raise InputError(
            f"{where}: is damaged: it has {size} bytes, its header declares {dtype.str} {shape}"
        )
    return _ArrayHeader(shape, dtype, is_fortran, count)


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
