"""A reader of MXNet's `.params` files that does not need MXNet.

MXNet's own reader trusts the sizes in a file: a damaged header ends in a failed allocation, and a
truncated file in a message without the file's name. This reader checks every size against the file
before it uses the size.

The format, little-endian: the magic number 0x112, a reserved number, the number of arrays (all
uint64), the arrays, the number of names (uint64), the names (uint64 length and bytes each). An
array consists of version (uint32), storage type (int32, 0 is dense), rank (int32), sizes (int64
each), device (two int32), type (int32) and the values.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Dict

import numpy as np

from bort.errors import InputError
from bort.storage.files import PathLike

_MAGIC = 0x112
_VERSIONS = (0xF993FAC9, 0xF993FACA)
_TYPES = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64")
_MAXIMUM_RANK = 32
_LARGEST = 2**40  # extent of an array without values, whose size says nothing


def read_params(path: PathLike) -> Dict[str, np.ndarray]:
    """Read a `.params` file: arrays by name, read-only, backed by the file.

    Raises:
        InputError: the file is missing, empty, of another format, damaged or truncated; the
            message names it.
    """
    try:
        size = Path(path).stat().st_size
        content = np.memmap(path, dtype=np.uint8, mode="r") if size else np.zeros(0, np.uint8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    return _Reader(path, content).read()


class _Reader:
    """A position in the bytes of a file; every step is checked against its end."""

    def __init__(self, path: PathLike, content: np.ndarray) -> None:
        self.path = path
        self.content = content
        self.position = 0

    def read(self) -> Dict[str, np.ndarray]:
        if len(self.content) < 24 or self.numbers("<QQ")[0] != _MAGIC:
            raise InputError(f"{self.path}: is not an MXNet .params file")
        (count,) = self.numbers("<Q")
        if count > len(self.content):
            raise self.damaged(f"it states {count} arrays")
        arrays = [self.array() for _ in range(count)]
        (names,) = self.numbers("<Q")
        if names != count:
            raise self.damaged(f"it holds {count} arrays and {names} names")
        found = {self.name(): array for array in arrays}
        if len(found) != count:
            raise self.damaged("a name occurs twice")
        if self.position != len(self.content):
            raise self.damaged(f"{len(self.content) - self.position} bytes follow the last name")
        return found

    def array(self) -> np.ndarray:
        version, storage, rank = self.numbers("<Iii")
        if version not in _VERSIONS or storage != 0 or not 0 < rank <= _MAXIMUM_RANK:
            raise self.damaged("an array's header is not one of MXNet 1.x")
        shape = self.numbers(f"<{rank}q")
        _, _, kind = self.numbers("<iii")
        is_empty = 0 in shape
        if not 0 <= kind < len(_TYPES) or min(shape) < 0 or (is_empty and max(shape) > _LARGEST):
            raise self.damaged("an array's header is not one of MXNet 1.x")
        dtype = np.dtype(_TYPES[kind]).newbyteorder("<")
        size = dtype.itemsize
        for length in shape:
            size *= length
        return np.frombuffer(self.take(size), dtype).reshape(shape)

    def name(self) -> str:
        (length,) = self.numbers("<Q")
        try:
            name = bytes(self.take(length)).decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.damaged("a name is not text") from error
        return name[4:] if name.startswith(("arg:", "aux:")) else name

    def numbers(self, layout: str) -> tuple:
        return struct.unpack(layout, bytes(self.take(struct.calcsize(layout))))

    def take(self, size: int) -> np.ndarray:
        end = self.position + size
        if end > len(self.content):
            raise InputError(
                f"{self.path}: is truncated or damaged: it has {len(self.content)} bytes, "
                f"its content needs at least {end}"
            )
        part = self.content[self.position : end]
        self.position = end
        return part

    def damaged(self, reason: str) -> InputError:
        return InputError(f"{self.path}: is damaged: {reason} (at byte {self.position})")
