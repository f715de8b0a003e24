"""Atomic writing of files and folders, JSON files, and the SHA-256 of a file."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import re
import stat
from pathlib import Path
from typing import Any, BinaryIO, Iterator, Union

from bort.errors import InputError, WorkError
from bort.storage.json_text import parse_json
from bort.storage.outputs import (
    OutputPlace,
    check_new_folder,
    check_target,
    find_place,
    is_empty_folder,
)
from bort.storage.text_lines import NotTextError, decode_text, read_content
from bort.storage.unfinished import (
    UnfinishedFile,
    UnfinishedFolder,
    remove_remains,
    remove_unfinished,
)

PathLike = Union[str, "os.PathLike[str]"]

LARGEST_JSON_BYTES = 1 << 26
"""Maximum size of a JSON file; its values take up to 30 times as much memory."""

_MANY_FILES = 64
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux: <fcntl.h>, <linux/fs.h>


@contextlib.contextmanager
def atomic_write(path: PathLike) -> Iterator[BinaryIO]:
    """Open a binary file that appears under `path` only when the block ends without an error.

    The bytes go to an unfinished file in the same folder, which is synced to disk and then renamed.
    On an error the unfinished file is removed, and an existing file under `path` is untouched. An
    existing file keeps its permissions; those of a new file follow the umask. A link is followed.
    The bytes go straight to a device, a pipe or a socket, which cannot be replaced.

    Raises:
        WorkError: the system refuses a write (a full disk, a read-only folder, a folder at `path`).
    """
    target = Path(path)
    try:
        place = find_place(target)
        if place.is_folder:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with _written_through(place) if place.is_written_through else _replaced(place) as stream:
            yield stream
    except OSError as error:
        raise WorkError(f"{target}: cannot be written: {error.strerror or error}") from error


@contextlib.contextmanager
def _written_through(place: OutputPlace) -> Iterator[BinaryIO]:
    with os.fdopen(place.open(), "wb") as stream:
        yield stream


@contextlib.contextmanager
def _replaced(place: OutputPlace) -> Iterator[BinaryIO]:
    folder = place.path.parent
    folder.mkdir(parents=True, exist_ok=True)
    remove_remains(folder)
    unfinished = UnfinishedFile(folder, place.path.name)
    try:
        descriptor = unfinished.create()
        with os.fdopen(descriptor, "wb") as stream:
            if place.mode is not None:
                os.fchmod(descriptor, stat.S_IMODE(place.mode))
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(unfinished.path, place.path)
        sync_folder(folder)
    finally:
        unfinished.remove()


@contextlib.contextmanager
def new_folder(path: PathLike, *, replace: bool = False, clean: bool = False) -> Iterator[Path]:
    """Create a folder that appears under `path` only when the block ends without an error.

    The folder has a temporary name next to `path` at first. It is then synced with all its files
    and renamed.

    Args:
        path: final path of the folder.
        replace: replace a folder at `path`, which stays unchanged until the block ends.
        clean: first remove temporary folders of killed calls for the same `path`, those of version
            0.2.0 included. Not allowed if two processes can write the same folder.

    Raises:
        InputError: `path` exists and `replace` is false, though an empty folder may exist; or
            another process is writing the same folder.
        WorkError: the system refuses a write.
    """
    target = Path(path)
    if replace:
        check_target(target)
    else:
        check_new_folder(target)
    with temporary_folder(target, clean=clean) as folder:
        try:
            yield folder
            move_into_place(folder, target, replace=replace)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST) and not replace:
                raise InputError(
                    f"{target}: exists already, another process has finished it meanwhile"
                ) from error
            raise WorkError(f"{target}: cannot be written: {error.strerror or error}") from error


@contextlib.contextmanager
def temporary_folder(target: PathLike, *, clean: bool = False) -> Iterator[Path]:
    """Create an empty folder next to `target`, which is removed when the block ends.

    `move_into_place` can turn a folder inside it into `target`.

    Args:
        target: determines the place and the temporary name; see `bort.storage.unfinished`.
        clean: as in `new_folder`.

    Raises:
        WorkError: the folder cannot be created.
    """
    place = Path(target)
    unfinished = UnfinishedFolder(place.parent, place.name)
    try:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if clean:
                remove_unfinished(place.parent, re.escape(place.name))
            remove_remains(place.parent)
            unfinished.create()
        except OSError as error:
            raise WorkError(f"{place}: cannot be created: {error.strerror or error}") from error
        yield unfinished.path
    finally:
        unfinished.remove()


def move_into_place(source: PathLike, target: PathLike, *, replace: bool = False) -> None:
    """Sync a finished folder with all its files, and rename it to its final name.

    Args:
        source: the folder; in the same file system as `target`.
        target: its final path, where there is nothing or an empty folder.
        replace: swap `source` with a folder at `target`, in one step if the system can; the new
            folder gets the permissions of the old one.

    Raises:
        OSError: the system refuses.
    """
    _sync_tree(source)
    place = Path(target)
    if replace and os.path.lexists(place) and not is_empty_folder(place):
        if place.is_dir():
            os.chmod(source, stat.S_IMODE(place.stat().st_mode))
        _swap(Path(source), place)
    else:
        os.replace(source, place)
    sync_folder(place.parent)


def remove_folder(folder: PathLike) -> None:
    """Remove a folder with everything in it; a kill leaves all of it under its name, or nothing.

    Raises:
        WorkError: the system refuses.
    """
    place = Path(folder)
    with temporary_folder(place) as aside:
        try:
            os.rename(place, aside / place.name)
        except OSError as error:
            raise WorkError(f"{place}: cannot be removed: {error.strerror or error}") from error
        sync_folder(place.parent)


def write_json(path: PathLike, value: Any) -> None:
    """Write `value` in the format of `json_text`, atomically."""
    content = json_text(value)
    with atomic_write(path) as stream:
        stream.write(content)


def json_text(value: Any) -> bytes:
    """Return `value` as indented JSON in UTF-8 with sorted keys. NaN and infinity are refused."""
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n"
    return text.encode("utf-8")


def read_json(path: PathLike, *, may_repeat: bool = False) -> Any:
    """Read a JSON file in UTF-8; a byte order mark is skipped.

    Args:
        path: path of the file.
        may_repeat: see `parse_json`.

    Raises:
        InputError: the file is missing, unreadable, too large or not JSON, or breaks a rule of
            `parse_json`; the message names it.
    """
    content = read_content(Path(path), LARGEST_JSON_BYTES)
    try:
        text = decode_text(content)
    except NotTextError as error:
        line = f"line {error.line}: " if error.line else ""
        raise InputError(f"{path}: is not valid JSON: {line}{error}") from error
    return parse_json(text, str(path), may_repeat=may_repeat)


def content_hash(value: Any) -> str:
    """Return the SHA-256 of a JSON value in the format of `json_text`."""
    return hashlib.sha256(json_text(value)).hexdigest()


def sha256_of_file(path: PathLike) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits; read in blocks of 1 MiB."""
    return hash_of_file(path, "sha256")


def hash_of_file(path: PathLike, kind: str) -> str:
    """Return a hash of a file as hexadecimal digits; read in blocks of 1 MiB.

    Args:
        path: path of the file.
        kind: name of the hash in `hashlib`.
    """
    digest = hashlib.new(kind)
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def sync_folder(folder: PathLike) -> None:
    """Make renames inside `folder` durable (a no-op where folders cannot be opened)."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def move_files_into(source: Path, target: Path) -> None:
    """Sync a finished folder, and move each of its files into a folder that may exist.

    Files of the same name at `target` are replaced one by one; other files stay.

    Raises:
        OSError: the system refuses.
    """
    _sync_tree(source)
    for path in sorted(source.rglob("*")):
        if path.is_file():
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, place)
    for parent, _, _ in os.walk(target):
        sync_folder(parent)
    sync_folder(target.parent)


def move_file(source: PathLike, target: PathLike) -> None:
    """Sync a finished file, and rename it to its final name.

    Raises:
        OSError: the system refuses.
    """
    sync_file(source)
    os.replace(source, target)
    sync_folder(Path(target).parent)


def sync_file(path: PathLike) -> None:
    """Sync a file that other code wrote to disk.

    Raises:
        OSError: the system refuses.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_tree(folder: PathLike) -> None:
    """Sync all files in `folder` and the entries of all its folders."""
    found = [(parent, names) for parent, _, names in os.walk(folder)]
    if sum(len(names) for _, names in found) > _MANY_FILES:
        os.sync()  # 4 ms per file against 20 ms for the system, on the machine of benchmarks/
        return
    for parent, names in found:
        for name in names:
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                sync_file(path)
        sync_folder(parent)


def _swap(first: Path, second: Path) -> None:
    """Swap the names of two folders.

    If the system cannot do so in one step, `second` is called `.replaced-…` for a moment; a kill in
    that moment leaves it under that name.
    """
    if _exchange(first, second):
        return
    aside = second.with_name(f".replaced-{second.name}-{os.getpid()}")
    try:
        os.rename(second, aside)
        os.rename(first, second)
        os.rename(aside, first)
    except BaseException:  # a signal may stop the work between two of them
        if os.path.lexists(aside):
            os.rename(aside, first if os.path.lexists(second) else second)
        raise


def _exchange(first: Path, second: Path) -> bool:
    """Swap two names in one step; return False if the C library or file system cannot do it."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    names = os.fsencode(first), os.fsencode(second)
    return bool(renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0)
