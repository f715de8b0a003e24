"""Files and folders that a reader sees whole or not at all, and the SHA-256 of a file."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, BinaryIO, Iterator, Union

from bort.errors import InputError, WorkError

PathLike = Union[str, "os.PathLike[str]"]

UNFINISHED = ".unfinished-"
"""Prefix of the name of every folder that is still being filled."""

_MANY_FILES = 64
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux: <fcntl.h>, <linux/fs.h>


@contextlib.contextmanager
def atomic_write(path: PathLike) -> Iterator[BinaryIO]:
    """Open a binary file that appears under `path` only when the block ends without an error.

    The bytes go to a temporary file in the same folder, are synced to the disk and then renamed;
    on any error the temporary file is removed and an existing file under `path` is untouched.

    Raises:
        WorkError: when the system refuses a write (a full disk, a read-only folder).
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise WorkError(f"{target}: cannot be written: {error.strerror or error}") from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
        sync_folder(target.parent)
    except OSError as error:
        _remove(temporary)
        raise WorkError(f"{target}: cannot be written: {error.strerror or error}") from error
    except BaseException:
        _remove(temporary)
        raise


@contextlib.contextmanager
def new_folder(path: PathLike, *, replace: bool = False, clean: bool = False) -> Iterator[Path]:
    """A folder that appears under `path` only when the block ends without an error.

    It is filled under a temporary name beside `path`, synced with all its files, and renamed.

    Args:
        path: the folder's final name.
        replace: a folder at `path` is replaced: until the block has ended it stays as it is.
        clean: remove first what killed calls for the same `path` left beside it. Not allowed where
            two processes can write the same folder.

    Raises:
        InputError: `path` exists already and `replace` is false; an empty folder may exist.
        WorkError: the system refuses a write.
    """
    target = Path(path)
    if not replace:
        check_new_folder(target)
    with temporary_folder(target, clean=clean) as folder:
        try:
            yield folder
            move_into_place(folder, target, replace=replace)
        except OSError as error:
            raise WorkError(f"{target}: cannot be written: {error.strerror or error}") from error


@contextlib.contextmanager
def temporary_folder(target: PathLike, *, clean: bool = False) -> Iterator[Path]:
    """An empty folder beside `target`, removed when the block ends.

    A folder that is made in it can become `target` with `move_into_place`.

    Args:
        target: gives the temporary name, `.unfinished-<name>-<random>`, and the place.
        clean: as in `new_folder`.

    Raises:
        WorkError: the folder cannot be made.
    """
    place = Path(target)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if clean:
            remove_unfinished(place.parent, re.escape(place.name))
        folder = Path(tempfile.mkdtemp(dir=place.parent, prefix=f"{UNFINISHED}{place.name}-"))
    except OSError as error:
        raise WorkError(f"{place}: cannot be made: {error.strerror or error}") from error
    try:
        yield folder
    finally:
        _remove_folder(folder)


def remove_unfinished(folder: Path, name: str) -> None:
    """Remove the temporary folders in `folder` that killed writes left, also version 0.2.0's.

    Args:
        folder: where the folders were to appear.
        name: regular expression of the names they were to have.
    """
    pattern = re.compile(rf"{re.escape(UNFINISHED)}{name}-[^-]+|\.{name}-making")
    for path in folder.iterdir():
        if pattern.fullmatch(path.name):
            _remove_folder(path)


def move_into_place(source: PathLike, target: PathLike, *, replace: bool = False) -> None:
    """Sync a finished folder with all its files, and give it its final name.

    Args:
        source: the folder; in the same file system as `target`.
        target: its name; nothing or an empty folder is there.
        replace: a folder at `target` is swapped with `source`, in one step where the system can.

    Raises:
        OSError: the system refuses.
    """
    _sync_tree(source)
    os.chmod(source, 0o755)
    if replace and os.path.lexists(target) and not _is_empty_folder(Path(target)):
        _swap(Path(source), Path(target))
    else:
        os.replace(source, target)
    sync_folder(Path(target).parent)


def check_new_folder(path: PathLike) -> None:
    """Raise `InputError` if there is something at `path`, an empty folder excepted.

    `new_folder` does so itself; long work is spared when it is known before it begins.
    """
    target = Path(path)
    if target.is_symlink() or (target.exists() and not _is_empty_folder(target)):
        raise InputError(f"{target}: exists already; name a new folder, or move that one away")


def write_json(path: PathLike, value: Any) -> None:
    """Write `value` as `json_text`, atomically."""
    content = json_text(value)
    with atomic_write(path) as stream:
        stream.write(content)


def json_text(value: Any) -> bytes:
    """`value` as indented JSON in UTF-8, keys in order. NaN and infinity are refused."""
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n"
    return text.encode("utf-8")


def read_json(path: PathLike) -> Any:
    """Read a JSON file.

    Raises:
        InputError: when the file is missing, unreadable or not JSON; names the file.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{path}: is not valid JSON: {error}") from error
    except RecursionError as error:
        raise InputError(f"{path}: is not valid JSON: it is nested too deeply") from error


def sha256_of_file(path: PathLike) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def sync_folder(folder: PathLike) -> None:
    """Make a rename inside `folder` durable (a no-op where folders cannot be opened)."""
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
    """Sync a finished folder, and give each of its files its name in a folder that may exist.

    Files that are at `target` already are replaced one by one, and others stay.

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
    """Sync a finished file, and give it its final name.

    Raises:
        OSError: the system refuses.
    """
    sync_file(source)
    os.replace(source, target)
    sync_folder(Path(target).parent)


def sync_file(path: PathLike) -> None:
    """Wait until a file that something else wrote is on the disk.

    Raises:
        OSError: the system refuses.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_tree(folder: PathLike) -> None:
    """Sync all files in `folder` and the names in all its folders."""
    found = [(parent, names) for parent, _, names in os.walk(folder)]
    if sum(len(names) for _, names in found) > _MANY_FILES:
        os.sync()  # 4 ms a file against 20 ms for the whole system, on the machine of benchmarks/
        return
    for parent, names in found:
        for name in names:
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                sync_file(path)
        sync_folder(parent)


def _swap(first: Path, second: Path) -> None:
    """Swap the names of two folders.

    Where the system cannot do so in one step, `second` is called `.replaced-…` for a moment; after
    a kill in that moment it is found there.
    """
    if _exchange(first, second):
        return
    aside = second.with_name(f".replaced-{second.name}-{os.getpid()}")
    os.rename(second, aside)
    try:
        os.rename(first, second)
    except OSError:
        os.rename(aside, second)
        raise
    os.rename(aside, first)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two names in one step; False where the C library or the file system has no such step."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    names = os.fsencode(first), os.fsencode(second)
    return bool(renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _remove_folder(path: Path) -> None:
    if path.is_symlink():
        _remove(path)
    else:
        shutil.rmtree(path, ignore_errors=True)


def _remove(path: PathLike) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
