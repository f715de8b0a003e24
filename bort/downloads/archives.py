"""Safe extraction of untrusted zip and tar archives."""

from __future__ import annotations

import gzip
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, Any, Callable, Iterator, NamedTuple, Optional, Set

from bort.errors import InputError, WorkError

MAXIMUM_UNPACKED_BYTES = 4 << 30
MAXIMUM_ENTRIES = 200_000
LARGEST_DIRECTORY_BYTES = 32 << 20
"""Maximum size of the list of entries of a zip, which is read as a whole."""

LARGEST_HEADER_BYTES = 1 << 20
"""Maximum size of a long name or of another header of a tar, which is read as a whole."""

_LONGEST_NAME_BYTES = 255
_BLOCK = 1 << 20
_LARGEST_END_BYTES = 16 << 20
_ENCRYPTED = 0x1 | 0x40  # flags of a zip: encryption, strong encryption
DAMAGE = (
    zipfile.BadZipFile, gzip.BadGzipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError,
    ValueError, struct.error, IndexError, KeyError, OverflowError, TypeError, AttributeError,
    RuntimeError,
)  # fmt: skip
"""Errors of the readers: their packages do not document what damaged content raises."""


class _Entry(NamedTuple):
    name: str
    size: int
    is_folder: bool
    refusal: str
    open: Callable[[], Optional[IO[bytes]]]


def extract(
    archive: Path,
    folder: Path,
    rename: Callable[[str], Optional[str]],
    maximum_bytes: int = MAXIMUM_UNPACKED_BYTES,
) -> int:
    """Extract the wanted files of a zip or tar archive.

    Every entry is checked, wanted or not, and one bad entry refuses the archive: absolute paths,
    `..`, backslashes, links, devices, sparse and encrypted files, a repeated name, a name that is
    too long, more bytes than `maximum_bytes` (announced or real), more than 200 000 entries.

    Args:
        archive: a `.zip` or a gzipped tar.
        folder: an empty folder.
        rename: returns the name under `folder` of a file in the archive, None to leave it out.
        maximum_bytes: limit for the extracted size of all files together.

    Returns:
        The number of files written.

    Raises:
        InputError: an entry is bad; the message names the archive and the entry. The folder may
            then hold some files.
        WorkError: the disk refused.
    """
    written = 0
    budget = maximum_bytes
    seen = _Seen()
    try:
        for count, entry in enumerate(_entries(archive), start=1):
            _check(archive, entry, count, seen)
            budget -= entry.size
            if budget < 0:
                raise InputError(
                    f"{archive}: {entry.name!r}: unpacks to more than {maximum_bytes} bytes"
                )
            target = None if entry.is_folder else rename(entry.name)
            if target is not None:
                _write(archive, entry, folder / target)
                written += 1
    except NotImplementedError as error:
        raise InputError(f"{archive}: cannot be unpacked: {error}") from error
    except DAMAGE as error:
        raise InputError(f"{archive}: is damaged: {error}") from error
    except OSError as error:
        # bz2 reports damaged content as an OSError without an error number.
        what = "cannot be read" if error.errno else "is damaged"
        raise InputError(f"{archive}: {what}: {error.strerror or error}") from error
    return written


def _entries(archive: Path) -> Iterator[_Entry]:
    if archive.suffix == ".zip":
        _check_directory(archive)
        with zipfile.ZipFile(archive) as source:
            for info in source.infolist():
                yield _zip_entry(source, info)
        return
    with gzip.open(archive) as raw:
        with tarfile.open(fileobj=raw, mode="r|", tarinfo=_BoundedInfo) as source_tar:
            for member in source_tar:
                yield _tar_entry(source_tar, member)
        # The checksum is at the end of the stream, which the tar reader does not reach.
        rest = 0
        for block in iter(lambda: raw.read(_BLOCK), b""):
            rest += len(block)
            if rest > _LARGEST_END_BYTES:
                raise InputError(f"{archive}: holds more than {rest} bytes behind its last entry")


class _BoundedInfo(tarfile.TarInfo):
    """A header of a tar that is refused if the next one is too large to be read as a whole."""

    def _proc_member(self, source: tarfile.TarFile) -> Any:
        kinds = (
            *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
            *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
        )
        if self.type in kinds and self.size > LARGEST_HEADER_BYTES:
            raise tarfile.ReadError(f"a header has {self.size} bytes")
        return super()._proc_member(source)  # type: ignore[misc]


def _check_directory(archive: Path) -> None:
    """Refuse a zip whose list of entries is too large to be read."""
    with open(archive, "rb") as stream:
        end: Any = zipfile._EndRecData(stream)  # type: ignore[attr-defined]
    if end and end[5] > LARGEST_DIRECTORY_BYTES:
        raise InputError(
            f"{archive}: its list of entries has {end[5]} bytes, allowed are "
            f"{LARGEST_DIRECTORY_BYTES}"
        )


def _zip_entry(source: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Entry:
    kind = stat.S_IFMT(info.external_attr >> 16)
    refusal = ""
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        refusal = "is a link or a device"
    elif info.flag_bits & _ENCRYPTED:
        refusal = "is encrypted"
    # orig_filename is the name as stored in the archive, before zipfile normalises it
    return _Entry(
        info.orig_filename, info.file_size, info.is_dir(), refusal, lambda: source.open(info)
    )


def _tar_entry(source: tarfile.TarFile, member: tarfile.TarInfo) -> _Entry:
    refusal = "" if member.isfile() or member.isdir() else "is a link or a device"
    if member.issparse():
        refusal = "is a sparse file"
    return _Entry(
        member.name, member.size, member.isdir(), refusal, lambda: source.extractfile(member)
    )


class _Seen:
    """The paths of the entries so far."""

    def __init__(self) -> None:
        self.files: Set[PurePosixPath] = set()
        self.folders: Set[PurePosixPath] = set()

    def refusal(self, path: PurePosixPath, is_folder: bool) -> str:
        """Return why a path cannot follow the others, "" if it can; add it."""
        if not is_folder and path in self.files:
            return "comes twice"
        folders = {path, *path.parents} if is_folder else set(path.parents)
        if (not is_folder and path in self.folders) or folders & self.files:
            return "is a file and a folder"
        self.folders |= folders
        if not is_folder:
            self.files.add(path)
        return ""


def _check(archive: Path, entry: _Entry, count: int, seen: _Seen) -> None:
    path = PurePosixPath(entry.name)
    refusal = entry.refusal
    if not refusal:
        is_itself = not path.parts and not entry.is_folder
        if path.is_absolute() or ".." in path.parts or set("\\:\0") & set(entry.name):
            refusal = "leads out of the folder"
        elif is_itself or max(map(_name_bytes, path.parts), default=0) > _LONGEST_NAME_BYTES:
            refusal = f"has no name or one of more than {_LONGEST_NAME_BYTES} bytes"
        elif count > MAXIMUM_ENTRIES:
            refusal = f"is one of more than {MAXIMUM_ENTRIES} entries"
        elif entry.size < 0:
            refusal = f"has a size of {entry.size} bytes"
        else:
            refusal = seen.refusal(path, entry.is_folder)
    if refusal:
        name = repr(entry.name[:_LONGEST_NAME_BYTES])
        raise InputError(f"{archive}: {name} {refusal}: the archive is refused")


def _name_bytes(name: str) -> int:
    return len(name.encode("utf-8", "surrogatepass"))


def _write(archive: Path, entry: _Entry, target: Path) -> None:
    source = entry.open()
    if source is None:
        raise InputError(f"{archive}: {entry.name!r} cannot be read")
    left = entry.size
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with source, target.open("xb") as stream:
            for block in iter(lambda: _read(source), b""):
                left -= len(block)
                if left < 0:
                    raise InputError(f"{archive}: {entry.name!r} is longer than declared")
                stream.write(block)
    except _ReadError as error:
        raise InputError(f"{archive}: {entry.name!r} is damaged: {error}") from error
    except OSError as error:
        raise WorkError(f"{target}: cannot be written: {error.strerror or error}") from error
    if left:
        raise InputError(f"{archive}: {entry.name!r} is shorter than declared")


class _ReadError(Exception):
    """An `OSError` of reading an archive; one of writing has its own message."""


def _read(source: IO[bytes]) -> bytes:
    try:
        return source.read(_BLOCK)
    except OSError as error:
        raise _ReadError(str(error)) from error
