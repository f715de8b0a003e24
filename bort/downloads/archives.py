"""Safe extraction of untrusted zip and tar archives."""

from __future__ import annotations

import gzip
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, Callable, Iterator, NamedTuple, Optional, Set

from bort.errors import InputError, WorkError

MAXIMUM_UNPACKED_BYTES = 4 << 30
MAXIMUM_ENTRIES = 200_000
_BLOCK = 1 << 20
_DAMAGE = (
    zipfile.BadZipFile, gzip.BadGzipFile, tarfile.TarError, zlib.error, EOFError, ValueError
)  # fmt: skip


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
    `..`, backslashes, links, devices, encrypted files, a repeated name, more bytes than
    `maximum_bytes` (announced or real), more than 200 000 entries.

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
    seen: Set[str] = set()
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
    except _DAMAGE as error:
        raise InputError(f"{archive}: is damaged: {error}") from error
    except NotImplementedError as error:
        raise InputError(f"{archive}: cannot be unpacked: {error}") from error
    return written


def _entries(archive: Path) -> Iterator[_Entry]:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as source:
            for info in source.infolist():
                yield _zip_entry(source, info)
        return
    with gzip.open(archive) as raw:
        with tarfile.open(fileobj=raw, mode="r|") as source_tar:
            for member in source_tar:
                yield _tar_entry(source_tar, member)
        # The checksum is at the end of the stream, which the tar reader does not reach.
        while raw.read(_BLOCK):
            pass


def _zip_entry(source: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Entry:
    kind = stat.S_IFMT(info.external_attr >> 16)
    refusal = ""
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        refusal = "is a link or a device"
    elif info.flag_bits & 1:
        refusal = "is encrypted"
    # orig_filename is the name as stored in the archive, before zipfile normalises it
    return _Entry(
        info.orig_filename, info.file_size, info.is_dir(), refusal, lambda: source.open(info)
    )


def _tar_entry(source: tarfile.TarFile, member: tarfile.TarInfo) -> _Entry:
    refusal = "" if member.isfile() or member.isdir() else "is a link or a device"
    return _Entry(
        member.name, member.size, member.isdir(), refusal, lambda: source.extractfile(member)
    )


def _check(archive: Path, entry: _Entry, count: int, seen: Set[str]) -> None:
    path = PurePosixPath(entry.name)
    refusal = entry.refusal
    if not refusal:
        if path.is_absolute() or ".." in path.parts or set("\\:\0") & set(entry.name):
            refusal = "leads out of the folder"
        elif not entry.is_folder and str(path) in seen:
            refusal = "comes twice"
        elif count > MAXIMUM_ENTRIES:
            refusal = f"is one of more than {MAXIMUM_ENTRIES} entries"
    if refusal:
        raise InputError(f"{archive}: {entry.name!r} {refusal}: the archive is refused")
    seen.add(str(path))


def _write(archive: Path, entry: _Entry, target: Path) -> None:
    source = entry.open()
    if source is None:
        raise InputError(f"{archive}: {entry.name!r} cannot be read")
    left = entry.size
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with source, target.open("xb") as stream:
            for block in iter(lambda: source.read(_BLOCK), b""):
                left -= len(block)
                if left < 0:
                    raise InputError(f"{archive}: {entry.name!r} is longer than declared")
                stream.write(block)
    except gzip.BadGzipFile:
        raise  # also an OSError, but not caused by the disk
    except OSError as error:
        raise WorkError(f"{target}: cannot be written: {error.strerror or error}") from error
    if left:
        raise InputError(f"{archive}: {entry.name!r} is shorter than declared")
