"""Folders of files with a record, written last, that lists the SHA-256 of the files.

A format is a `SealedFormat`: the name of its record, and the place where the record lists the
files. Its `writer` writes the files into a folder one by one, each under a temporary name, synced
and renamed, and the record after them. Its `open` checks the record at once, and each file on
access.

A killed writer leaves a folder without a record, or an old record that no longer matches some
files; both are refused. To keep the old folder until the new one is complete, write into the folder
from `bort.storage.files.new_folder`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    Mapping,
    NamedTuple,
    Optional,
    Set,
    Union,
)

from bort.errors import InputError
from bort.storage.file_tree import tree_files
from bort.storage.files import (
    PathLike,
    atomic_write,
    read_json,
    sha256_of_file,
    sync_file,
    sync_folder,
    write_json,
)
from bort.storage.json_fields import errors_naming

_SHA256 = re.compile(r"[0-9a-f]{64}")


class SealedFile(NamedTuple):
    """One file in a record's list.

    Attributes:
        name: name of the file, which is next to the record; in a nested format, its path from
            there with "/" between folders.
        sha256: 64 hexadecimal digits.
        size: in bytes; None if the record does not list it.
    """

    name: str
    sha256: str
    size: Optional[int] = None


@dataclass(frozen=True)
class SealedFormat:
    """One kind of sealed folder.

    Attributes:
        record_name: file name of the record.
        what: description of the record in errors, as in "the description of a model".
        listed: returns the files that a record lists. It may raise `KeyError`, `TypeError`,
            `AttributeError` or `ValueError` if a field is missing or malformed.
        version: required value of the record's field `format`; None for records without it.
        damage: description of a file with another SHA-256 in errors.
        advice: end of the error about such a file.
        is_nested: whether files may be in folders next to the record.
    """

    record_name: str
    what: str
    listed: Callable[[Mapping[str, Any]], Iterable[SealedFile]]
    version: Union[int, str, None] = None
    damage: str = "is damaged"
    advice: str = ""
    is_nested: bool = False

    def is_in(self, folder: PathLike) -> bool:
        """Return whether a folder has a record of this name, so that it was once complete."""
        return os.path.isfile(Path(folder) / self.record_name)

    def writer(self, folder: PathLike) -> SealedWriter:
        """Return a writer of a folder, which may exist."""
        return SealedWriter(self, Path(folder))

    def open(self, folder: PathLike) -> SealedFolder:
        """Read and check the record of a folder, without reading other files.

        Raises:
            InputError: the record is missing, has another format, or has an invalid list of files;
                the message names the file, the field and its value.
        """
        path = Path(folder) / self.record_name
        record = read_json(path)
        if not isinstance(record, dict):
            raise InputError(f"{path}: is not {self.what}: it holds no JSON object")
        found = record.get("format")
        if self.version is not None and (type(found), found) != (type(self.version), self.version):
            raise InputError(
                f"{path}: is not {self.what}: format is {record.get('format')!r}, "
                f"allowed is {self.version!r}"
            )
        return SealedFolder(self, Path(folder), record)

    def files_of(self, record: Mapping[str, Any], source: PathLike) -> Dict[str, SealedFile]:
        """Return the files that a record lists, by name, each entry checked.

        Args:
            record: fields of the record.
            source: path of the record for error messages.

        Raises:
            InputError: a field is missing or malformed; the message names it.
        """
        try:
            with errors_naming(str(source)):
                files = list(self.listed(record))
        except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
            raise InputError(f"{source}: a field is missing or malformed: {error}") from error
        for file in files:
            name, digest, size = file
            if not self._is_allowed(name):
                raise InputError(f"{source}: the file name {name!r} leads out of the folder")
            if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
                raise InputError(
                    f"{source}: the SHA-256 of {name!r} is {digest!r}, allowed are 64 hexadecimal "
                    "digits"
                )
            if size is not None and (type(size) is not int or size < 0):
                raise InputError(
                    f"{source}: the size of {name!r} is {size!r}, allowed is a number of bytes"
                )
        return {file.name: file for file in files}

    def _is_allowed(self, name: Any) -> bool:
        if self.is_nested and isinstance(name, str):
            return all(map(_is_plain_name, name.split("/")))
        return _is_plain_name(name)


def _is_plain_name(name: Any) -> bool:
    if not isinstance(name, str) or "\0" in name or "\\" in name:
        return False
    return name not in ("", ".", "..") and Path(name).name == name


class HashingStream:
    """A binary stream that computes the SHA-256 of everything written to it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()

    def write(self, content: Union[bytes, memoryview]) -> int:
        """Write `content`; return its size in bytes."""
        self._digest.update(content)
        return int(self._stream.write(content))

    def hexdigest(self) -> str:
        """Return the SHA-256 of everything written so far."""
        return self._digest.hexdigest()


class SealedWriter:
    """Writes files into a folder and seals them with a record.

    Attributes:
        folder: created with the first file if it does not exist.
        hashes: SHA-256 of the files so far, by name, in the order of writing.
    """

    def __init__(self, kind: SealedFormat, folder: Path) -> None:
        self.folder = folder
        self.hashes: Dict[str, str] = {}
        self._kind = kind
        self._is_synced = True  # whether file names are on disk; `atomic_write` syncs its own

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[HashingStream]:
        """Open a file for writing, which gets its name when the block ends without an error.

        Raises:
            WorkError: the system refuses a write.
        """
        with atomic_write(self.folder / name) as stream:
            hashing = HashingStream(stream)
            yield hashing
        self.hashes[name] = hashing.hexdigest()

    def write(self, name: str, content: bytes) -> str:
        """Write a whole file; return its SHA-256.

        Raises:
            WorkError: the system refuses a write.
        """
        with self.open(name) as stream:
            stream.write(content)
        return self.hashes[name]

    def include(self, name: str) -> str:
        """Add a file that other code wrote into the folder; return its SHA-256.

        Raises:
            OSError: the file is missing, or the system refuses.
        """
        sync_file(self.folder / name)
        self._is_synced = False
        self.hashes[name] = sha256_of_file(self.folder / name)
        return self.hashes[name]

    def seal(self, fields: Mapping[str, Any]) -> None:
        """Write the record.

        Args:
            fields: JSON-ready; they list every file of this writer. If the format has a version,
                the field `format` is added.

        Raises:
            WorkError: the system refuses a write.
        """
        version, path = self._kind.version, self.folder / self._kind.record_name
        record = dict(fields) if version is None else {"format": version, **fields}
        listed = self._kind.files_of(record, path)
        assert self.hashes.items() <= {name: file.sha256 for name, file in listed.items()}.items()
        if not self._is_synced:
            sync_folder(self.folder)
        write_json(path, record)


class SealedFolder:
    """A folder whose record has been read; files are checked on access.

    Attributes:
        folder: path of the folder.
        source: path of the record for error messages.
        record: all fields of the record.
        files: the files that the record lists, by name.

    Raises:
        InputError: the record has an invalid list of files.
    """

    def __init__(self, kind: SealedFormat, folder: Path, record: Dict[str, Any]) -> None:
        self.folder = folder
        self.source = folder / kind.record_name
        self.record = record
        self.files = kind.files_of(record, self.source)
        self._kind = kind
        self._verified: Set[str] = set()

    def has(self, name: str) -> bool:
        """Return whether a listed file exists and has the size that the record lists."""
        file = self._listed(name)
        path = self.folder / name
        return os.path.isfile(path) and file.size in (None, path.stat().st_size)

    def path(self, name: str) -> Path:
        """Return the path of a listed file after checking its existence and size.

        Raises:
            InputError: the file is not listed, is missing, or has another size.
        """
        file = self._listed(name)
        path = self.folder / name
        if not os.path.isfile(path):
            raise InputError(f"{path}: is missing, {self.source} lists it")
        size = path.stat().st_size
        if file.size not in (None, size):
            raise InputError(
                f"{path}: is damaged: it has {size} bytes, {file.size} in {self.source}"
            )
        return path

    def verified(self, name: str) -> Path:
        """Return the path of a listed file after checking its SHA-256; each file is hashed once.

        Raises:
            InputError: as in `path`, or the file has another SHA-256.
        """
        path = self.path(name)
        if name in self._verified:
            return path
        try:
            found = sha256_of_file(path)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
        expected = self.files[name].sha256
        if found != expected:
            raise InputError(
                f"{path}: {self._kind.damage}: its SHA-256 is {found}, {expected} in "
                f"{self.source}{self._kind.advice}"
            )
        self._verified.add(name)
        return path

    def verify(self) -> None:
        """Check existence, size and SHA-256 of all listed files.

        Raises:
            InputError: as in `verified`.
        """
        for name in self.files:
            self.verified(name)

    def problems(self) -> Iterator[str]:
        """Yield one line for each file that is missing, damaged, or not listed by the record."""
        for name in self.files:
            try:
                self.verified(name)
            except InputError as error:
                yield str(error)
        try:
            found = tree_files(self.folder)
        except InputError as error:
            yield str(error)
            return
        for name in found:
            if name not in self.files and name != self._kind.record_name:
                yield f"{self.folder / name}: was added: {self.source} does not list it"

    def _listed(self, name: str) -> SealedFile:
        if name not in self.files:
            raise InputError(f"{self.source}: does not list {name!r}")
        return self.files[name]
