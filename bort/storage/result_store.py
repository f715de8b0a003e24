"""`ResultStore`: results on disk, appended durably as JSON lines, one file per rank."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Callable, Dict, Generic, Iterator, Mapping, Protocol, TypeVar

from bort.errors import InputError, WorkError
from bort.storage.files import sync_folder
from bort.storage.json_fields import JsonFields
from bort.storage.json_text import parse_json
from bort.storage.text_lines import (
    LARGEST_TEXT_BYTES,
    NotTextError,
    decode_text,
    read_content,
)

_Key = TypeVar("_Key")


class _Row(Protocol):
    """A result that is a line of a store."""

    def as_dict(self) -> Mapping[str, Any]:
        """Return the JSON-ready fields of the line."""


_Value = TypeVar("_Value", bound=_Row)


class ResultStore:
    """Records of a run in its folder: `<name>-rank<n>.jsonl`, a JSON object per line.

    Every rank writes its own file and reads those of all ranks. A last line without an end is
    incomplete because the run was killed: readers skip it, and the next `append` removes it.

    Args:
        folder: folder of the run.
        rank: rank whose file `append` writes.
        name: prefix of the files' names.
    """

    def __init__(self, folder: Path, rank: int, name: str = "results") -> None:
        self.folder = folder
        self._pattern = f"{name}-rank*.jsonl"
        self._path = folder / f"{name}-rank{rank}.jsonl"

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one record and wait until it is on disk.

        Raises:
            WorkError: the disk refuses.
        """
        line = json.dumps(record, allow_nan=False) + "\n"
        try:
            is_new = not self._path.exists()
            if not is_new:
                _cut_torn_line(self._path)
            with self._path.open("ab") as stream:
                stream.write(line.encode("utf-8"))
                stream.flush()
                os.fsync(stream.fileno())
            if is_new:
                sync_folder(self.folder)
        except OSError as error:
            raise WorkError(
                f"{self._path}: cannot be written: {error.strerror or error}"
            ) from error

    def records(self) -> Iterator[JsonFields]:
        """Yield the records of all ranks; their errors name file and line.

        Raises:
            InputError: a line is not a JSON object; the message names file and line.
        """
        for path in sorted(self.folder.glob(self._pattern)):
            complete, _, _ = read_content(path, LARGEST_TEXT_BYTES).rpartition(b"\n")
            for number, line in enumerate(complete.split(b"\n"), start=1):
                if not line.strip():
                    continue
                where = f"{path}, line {number}"
                try:
                    record = parse_json(decode_text(line), where)
                except NotTextError as error:
                    raise InputError(f"{where}: is not valid JSON: {error}") from error
                yield JsonFields.of(record, where)


class KeyedStore(Generic[_Key, _Value]):
    """Results by key, in files `<name>-rank<n>.jsonl` of a folder, a line each.

    Implements `bort.storage.shared_work.KeptResults`.

    Args:
        folder: folder of the run.
        rank: rank whose file `append` writes.
        name: prefix of the files' names.
        read: returns the result in the fields of a line.
        key: returns the key of a result.
    """

    def __init__(
        self,
        folder: Path,
        rank: int,
        name: str,
        read: Callable[[JsonFields], _Value],
        key: Callable[[_Value], _Key],
    ) -> None:
        self._store = ResultStore(folder, rank, name)
        self._read, self._key = read, key

    def append(self, key: _Key, value: _Value) -> None:
        """Append one result and wait until it is on disk.

        Raises:
            WorkError: the file cannot be written.
        """
        assert key == self._key(value)
        self._store.append(value.as_dict())

    def load(self) -> Dict[_Key, _Value]:
        """Return the results of all ranks.

        Raises:
            InputError: a line is damaged; the message names file and line.
        """
        found: Dict[_Key, _Value] = {}
        places: Dict[_Key, str] = {}
        for record in self._store.records():
            value = self._read(record)
            key = self._key(value)
            if key in found:
                self.repeated(record.source, places[key], value)
            else:
                found[key], places[key] = value, record.source
        return found

    def repeated(self, second: str, first: str, value: _Value) -> None:
        """Take the first of two results of the same key; a subclass may refuse them instead.

        Args:
            second: file and line of the second result.
            first: file and line of the first one.
            value: the second result.
        """


def _cut_torn_line(path: Path) -> None:
    """Remove a last line without an end, so that the next record does not continue it."""
    with path.open("rb+") as stream:
        size = stream.seek(0, os.SEEK_END)
        if size == 0:
            return
        stream.seek(size - 1)
        if stream.read(1) != b"\n":
            stream.seek(0)
            stream.truncate(stream.read().rfind(b"\n") + 1)
