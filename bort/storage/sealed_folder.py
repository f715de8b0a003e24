"""Folders of files with a record, written last, that lists the SHA-256 of the files.

A format is a `SealedFormat`: the name of its record, and where the record lists the files. Its
`writer` puts the files into a folder one by one, each under a temporary name, synced and renamed,
and the record after them. Its `open` checks the record, and each file when it is asked for.

A writer that is killed leaves a folder without a record, or an old record that some files no longer
fit; both are refused. To keep the old folder whole until the new one is, write into the folder that
`bort.storage.files.new_folder` gives.
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
from bort.storage.files import (
    PathLike,
    atomic_write,
    read_json,
    sha256_of_file,
    sync_file,
    sync_folder,
    write_json,
)

_SHA256 = re.compile(r"[0-9a-f]{64}")


class SealedFile(NamedTuple):
    """One file as a record lists it.

    Attributes:
        name: the file's name; it lies beside the record.
        sha256: 64 hexadecimal digits.
        size: in bytes; None where the record does not say.
    """

    name: str
    sha256: str
    size: Optional[int] = None


@dataclass(frozen=True)
class SealedFormat:
    """One kind of sealed folder.

    Attributes:
        record_name: file name of the record.
        what: what the record is, as in "the description of a model"; for errors.
        listed: the files that a record lists. It may raise `KeyError`, `TypeError`,
            `AttributeError` or `ValueError` where a field is missing or malformed.
        version: what the record's field `format` must be; None for records without that field.
        damage: how an error calls a file whose SHA-256 is another one.
        advice: what an error about such a file ends with.
    """

    record_name: str
    what: str
    listed: Callable[[Mapping[str, Any]], Iterable[SealedFile]]
    version: Union[int, str, None] = None
    damage: str = "is damaged"
    advice: str = ""

    def is_in(self, folder: PathLike) -> bool:
        """Whether a folder has a record of this name, so that it was once complete."""
        return os.path.isfile(Path(folder) / self.record_name)

    def writer(self, folder: PathLike) -> SealedWriter:
        """A writer of one folder; the folder may exist."""
        return SealedWriter(self, Path(folder))

    def open(self, folder: PathLike) -> SealedFolder:
        """Read and check the record of a folder; no other file is touched yet.

        Raises:
            InputError: the record is missing, is of another format, or lists what no record lists.
                Names the file, the field and its value.
        """
        path = Path(folder) / self.record_name
        record = read_json(path)
        if not isinstance(record, dict):
            raise InputError(f"{path}: is not {self.what}: it holds no JSON object")
        if self.version is not None and record.get("format") != self.version:
            raise InputError(
                f"{path}: is not {self.what}: format is {record.get('format')!r}, "
                f"allowed is {self.version!r}"
            )
        return SealedFolder(self, Path(folder), record)

    def files_of(self, record: Mapping[str, Any], source: PathLike) -> Dict[str, SealedFile]:
        """The files that a record lists, by name, each entry checked.

        Args:
            record: the record's fields.
            source: path of the record, for errors.

        Raises:
            InputError: a field is missing or malformed; names it.
        """
        try:
            files = list(self.listed(record))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InputError(f"{source}: a field is missing or malformed: {error}") from error
        for file in files:
            name, digest, size = file
            if not _is_plain_name(name):
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


def _is_plain_name(name: Any) -> bool:
    return isinstance(name, str) and name not in ("", "..") and Path(name).name == name


class HashingStream:
    """A binary stream that knows the SHA-256 of what was written to it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()

    def write(self, content: Union[bytes, memoryview]) -> int:
        """Write `content`; returns its bytes."""
        self._digest.update(content)
        return int(self._stream.write(content))

    def hexdigest(self) -> str:
        """SHA-256 of everything written so far."""
        return self._digest.hexdigest()


class SealedWriter:
    """Puts files into a folder and seals them with a record.

    Attributes:
        folder: made when the first file is written, if it does not exist.
        hashes: SHA-256 of the files so far, by name, in the order of writing.
    """

    def __init__(self, kind: SealedFormat, folder: Path) -> None:
        self.folder = folder
        self.hashes: Dict[str, str] = {}
        self._kind = kind
        self._is_synced = True  # the names of the files; `atomic_write` sees to its own

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[HashingStream]:
        """Open a file to write to; it gets its name when the block ends without an error.

        Raises:
            WorkError: the system refuses a write.
        """
        with atomic_write(self.folder / name) as stream:
            hashing = HashingStream(stream)
            yield hashing
        self.hashes[name] = hashing.hexdigest()

    def write(self, name: str, content: bytes) -> str:
        """Write a whole file; returns its SHA-256.

        Raises:
            WorkError: the system refuses a write.
        """
        with self.open(name) as stream:
            stream.write(content)
        return self.hashes[name]

    def include(self, name: str) -> str:
        """Take in a file that something else wrote into the folder; returns its SHA-256.

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
            fields: JSON-ready; they list every file of this writer. The field `format` is added
                where the format has a version.

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
    """A folder whose record was read; its files are checked when they are asked for.

    Attributes:
        folder: where it lies.
        source: path of the record, for errors.
        record: all fields of the record.
        files: what the record lists, by name.

    Raises:
        InputError: the record lists what no record lists.
    """

    def __init__(self, kind: SealedFormat, folder: Path, record: Dict[str, Any]) -> None:
        self.folder = folder
        self.source = folder / kind.record_name
        self.record = record
        self.files = kind.files_of(record, self.source)
        self._kind = kind
        self._verified: Set[str] = set()

    def has(self, name: str) -> bool:
        """Whether a listed file is there and as large as the record says."""
        file = self._listed(name)
        path = self.folder / name
        return os.path.isfile(path) and file.size in (None, path.stat().st_size)

    def path(self, name: str) -> Path:
        """Path of a listed file; its presence and its size are checked, not its content.

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
        """Path of a listed file whose SHA-256 is the record's; the file is hashed once.

        Raises:
            InputError: as `path`, or the file's SHA-256 is another one.
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
        """Check presence, size and SHA-256 of all listed files.

        Raises:
            InputError: as `verified`.
        """
        for name in self.files:
            self.verified(name)

    def _listed(self, name: str) -> SealedFile:
        if name not in self.files:
            raise InputError(f"{self.source}: does not list {name!r}")
        return self.files[name]
