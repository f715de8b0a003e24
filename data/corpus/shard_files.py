"""The files of a shard: two plain NumPy arrays, written by appending, read through a memory map.

`<split>-00000.tokens.npy` holds the token ids of all sequences one after the other (uint16 or
int32), `<split>-00000.offsets.npy` where each begins and the last ends (int64, N + 1).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO, Dict, Mapping, Union

import numpy as np

from bort.errors import InputError
from bort.storage.array_files import read_npy
from bort.storage.sealed_folder import SealedFile, SealedWriter

_HEADER_BYTES = 128
_BUFFER_BYTES = 1 << 18
Buffer = Union[bytes, memoryview]


class ArrayAppender:
    """A one-dimensional `.npy` file that grows; its length is filled in when it is closed."""

    def __init__(self, folder: SealedWriter, name: str, dtype: np.dtype) -> None:
        self.count = 0
        self._folder = folder
        self._name = name
        self._dtype = dtype
        self._stream: BinaryIO = (folder.folder / name).open("wb", buffering=_BUFFER_BYTES)
        self._stream.write(self._header())

    def append(self, content: Buffer) -> None:
        """Append values, given as bytes."""
        self._stream.write(content)
        self.count += len(content) // self._dtype.itemsize

    def close(self) -> Dict[str, Any]:
        """Finish the file; returns its record for the manifest."""
        self._stream.seek(0)
        self._stream.write(self._header())
        self._stream.close()
        return {
            "file": self._name,
            "count": self.count,
            "dtype": self._dtype.str,
            "sha256": self._folder.include(self._name),
        }

    def abandon(self) -> None:
        """Close without finishing, after an error; what cannot be written is let go."""
        try:
            self._stream.close()
        except OSError:
            pass

    def _header(self) -> bytes:
        """NumPy's header, format 1.0, at a fixed size whatever the length."""
        start = b"\x93NUMPY\x01\x00" + struct.pack("<H", _HEADER_BYTES - 10)
        fields = f"{{'descr': '{self._dtype.str}', 'fortran_order': False, 'shape': "
        text = f"{fields}({self.count},), }}"
        return start + text.encode("ascii").ljust(_HEADER_BYTES - 11) + b"\n"


class ShardWriter:
    """Appends sequences to one shard."""

    def __init__(self, folder: SealedWriter, split: str, number: int, dtype: np.dtype) -> None:
        name = f"{split}-{number:05d}"
        self._tokens = ArrayAppender(folder, f"{name}.tokens.npy", dtype)
        self._offsets = ArrayAppender(folder, f"{name}.offsets.npy", np.dtype("<i8"))
        self._end = 0
        self._offsets.append(np.zeros(1, dtype="<i8").tobytes())

    def append(self, tokens: Buffer, lengths: np.ndarray) -> None:
        """Append sequences: their ids as bytes, and the int64 length of each."""
        self._tokens.append(tokens)
        ends = np.cumsum(lengths, dtype="<i8") + self._end
        if len(ends):
            self._end = int(ends[-1])
            self._offsets.append(ends.tobytes())

    def close(self) -> Dict[str, Any]:
        """Finish both files; returns their records for the manifest."""
        return {"tokens": self._tokens.close(), "offsets": self._offsets.close()}

    def abandon(self) -> None:
        """Close both files after an error."""
        self._tokens.abandon()
        self._offsets.abandon()


def sealed_file(record: Mapping[str, Any]) -> SealedFile:
    """The file that one of the manifest's records describes."""
    size = _HEADER_BYTES + int(record["count"]) * np.dtype(record["dtype"]).itemsize
    return SealedFile(record["file"], record["sha256"], size)


def open_array(path: Path, record: Mapping[str, Any]) -> np.ndarray:
    """Map a shard's array and compare type and length with the manifest's record.

    Raises:
        InputError: the file is not what the record says; names it.
    """
    array = read_npy(path, mapped=True)
    if array.ndim != 1 or array.dtype.str != record["dtype"] or len(array) != record["count"]:
        raise InputError(
            f"{path}: is damaged, it holds {array.dtype.str} {array.shape} "
            f"where {record['dtype']} ({record['count']},) was written"
        )
    return array
