"""The two files of a shard: NumPy arrays that are appended to and read through a memory map.

`<split>-00000.tokens.npy` holds the concatenated token ids of all N sequences (uint16 or int32).
`<split>-00000.offsets.npy` holds where each sequence begins and where the last one ends (int64,
(N + 1,)). A thread syncs the files to disk while they grow, so that little is left to wait for at
the end.
"""

from __future__ import annotations

import struct
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, BinaryIO, Dict, Mapping, Union

import numpy as np

from bort.errors import InputError
from bort.storage.array_files import read_npy
from bort.storage.early_sync import EarlySync
from bort.storage.json_fields import JsonFields
from bort.storage.sealed_folder import SealedFile, SealedWriter

_HEADER_BYTES = 128
_TYPES = ("<u2", "<i4", "<i8")
_BUFFER_BYTES = 1 << 18
Buffer = Union[bytes, memoryview]


class ArrayAppender:
    """A one-dimensional `.npy` file that grows; `close` writes its final length.

    Args:
        folder: the folder of the file.
        name: its name.
        dtype: type of its values.
        thread: syncs what was appended to disk.
    """

    def __init__(self, folder: SealedWriter, name: str, dtype: np.dtype, thread: Executor) -> None:
        self.count = 0
        self._folder = folder
        self._name = name
        self._dtype = dtype
        self._stream: BinaryIO = (folder.folder / name).open("wb", buffering=_BUFFER_BYTES)
        self._stream.write(self._header())
        self._sync = EarlySync(self._stream, thread)

    def append(self, content: Buffer) -> None:
        """Append values of the file's type, given as bytes.

        Raises:
            OSError: the system refuses a write, or refused one that was appended earlier.
        """
        self._stream.write(content)
        self.count += len(content) // self._dtype.itemsize
        self._sync.wrote(len(content))

    def close(self) -> Dict[str, Any]:
        """Finish the file and return its record for the manifest."""
        self._sync.wait()
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
        """Close the unfinished file after an error, ignoring further errors."""
        for end in (self._sync.wait, self._stream.close):
            try:
                end()
            except OSError:
                pass

    def _header(self) -> bytes:
        """Return NumPy's header, format 1.0, padded to `_HEADER_BYTES`."""
        start = b"\x93NUMPY\x01\x00" + struct.pack("<H", _HEADER_BYTES - 10)
        fields = f"{{'descr': '{self._dtype.str}', 'fortran_order': False, 'shape': "
        text = f"{fields}({self.count},), }}"
        return start + text.encode("ascii").ljust(_HEADER_BYTES - 11) + b"\n"


class ShardWriter:
    """A writer that appends sequences to one shard.

    Args:
        folder: the folder of the corpus.
        split: name of the shard's split.
        number: its number in the split.
        dtype: type of its token ids.
        thread: syncs what was appended to disk.
    """

    def __init__(
        self, folder: SealedWriter, split: str, number: int, dtype: np.dtype, thread: Executor
    ) -> None:
        name = f"{split}-{number:05d}"
        self._tokens = ArrayAppender(folder, f"{name}.tokens.npy", dtype, thread)
        self._offsets = ArrayAppender(folder, f"{name}.offsets.npy", np.dtype("<i8"), thread)
        self._end = 0
        self._offsets.append(np.zeros(1, dtype="<i8").tobytes())

    def append(self, tokens: Buffer, lengths: np.ndarray) -> None:
        """Append sequences.

        Args:
            tokens: the ids of all sequences, concatenated, as bytes of the shard's type.
            lengths: int64 (N,), tokens of each sequence.
        """
        self._tokens.append(tokens)
        ends = np.cumsum(lengths, dtype="<i8") + self._end
        if len(ends):
            self._end = int(ends[-1])
            self._offsets.append(ends.tobytes())

    def close(self) -> Dict[str, Any]:
        """Finish both files and return their records for the manifest."""
        return {"tokens": self._tokens.close(), "offsets": self._offsets.close()}

    def abandon(self) -> None:
        """Close both files after an error."""
        self._tokens.abandon()
        self._offsets.abandon()


def sealed_file(record: Mapping[str, Any]) -> SealedFile:
    """Return name, hash and size of the file that a record of the manifest describes."""
    fields = JsonFields.of(record, "a shard")
    count, kind = fields.integer("count", 0), fields.text("dtype")
    if kind not in _TYPES:
        raise InputError(f"a shard: dtype is {kind!r}, allowed are {', '.join(_TYPES)}")
    size = _HEADER_BYTES + count * np.dtype(kind).itemsize
    return SealedFile(fields.text("file"), fields.text("sha256"), size)


def open_array(path: Path, record: Mapping[str, Any]) -> np.ndarray:
    """Open a shard's array as a memory map and check its type and length.

    Args:
        path: the `.npy` file.
        record: the file's record in the manifest.

    Raises:
        InputError: type or length differ from the record; names the file.
    """
    array = read_npy(path, mapped=True)
    if array.ndim != 1 or array.dtype.str != record["dtype"] or len(array) != record["count"]:
        raise InputError(
            f"{path}: is damaged, it holds {array.dtype.str} {array.shape} "
            f"where {record['dtype']} ({record['count']},) was written"
        )
    return array
