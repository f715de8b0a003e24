"""Unfinished files and folders: their hidden names, and the removal of what killed processes left.

An unfinished file is called `.unfinished-<name>-<random>` and is locked by its process. An
unfinished folder has such a name too; the file `.unfinished-<name>-<random>.lock` next to it exists
longer than the folder and is locked by its process. A file that nobody has locked is left by a
process that was killed, on this or on another machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
from pathlib import Path
from typing import Tuple

from bort.storage.locks import FileLock, lock_file

UNFINISHED = ".unfinished-"
"""Prefix of the names of files and folders that are not complete yet."""

_LOCK = ".lock"
_RANDOM = r"[0-9a-f]{8}"
_LONGEST_NAME = 200  # bytes; file systems allow 255 for the whole name
_ATTEMPTS = 100


def new_unfinished_file(folder: Path, name: str) -> Tuple[Path, int, FileLock]:
    """Create a locked file that will be called `name`, with the permissions of a new file.

    Returns:
        Its path, a descriptor to write to, and its lock.

    Raises:
        OSError: the system refuses.
    """
    return _create(folder, name, "")


def new_unfinished_folder(folder: Path, name: str) -> Tuple[Path, FileLock]:
    """Create an empty folder that will be called `name`; `remove_unfinished_folder` removes it.

    Returns:
        Its path, and its lock.

    Raises:
        OSError: the system refuses.
    """
    lock_path, descriptor, lock = _create(folder, name, _LOCK)
    os.close(descriptor)
    place = _folder_of(lock_path)
    try:
        place.mkdir()
    except OSError:
        _unlink(lock_path)
        lock.release()
        raise
    return place, lock


def remove_unfinished_folder(folder: Path, lock: FileLock) -> None:
    """Remove an unfinished folder, if it was not renamed, and then its lock."""
    _remove_folder(folder)
    _unlink(folder.with_name(folder.name + _LOCK))
    lock.release()


def is_being_written(target: Path) -> bool:
    """Return whether a living process writes the folder that will be called `target`."""
    pattern = re.compile(rf"{re.escape(UNFINISHED + _shortened(target.name))}-{_RANDOM}{_LOCK}")
    for path in _entries(target.parent):
        if pattern.fullmatch(path.name):
            with contextlib.suppress(OSError):
                lock = lock_file(path)
                if lock is None:
                    return path.exists()
                lock.release()
    return False


def remove_remains(folder: Path) -> None:
    """Remove the unfinished files and folders in `folder` whose processes are dead.

    Nothing is removed where the file system has no locks.
    """
    pattern = re.compile(rf"{re.escape(UNFINISHED)}.*-{_RANDOM}({_LOCK})?", re.DOTALL)
    for path in _entries(folder):
        if not pattern.fullmatch(path.name) or path.is_symlink() or not path.is_file():
            continue
        try:
            lock = lock_file(path)
        except OSError:
            continue  # another user's, or another process was faster
        if lock is None:
            continue
        if lock.works:
            if path.name.endswith(_LOCK):
                _remove_folder(_folder_of(path))
            _unlink(path)
        lock.release()


def remove_unfinished(folder: Path, name: str) -> None:
    """Remove the unfinished folders in a folder that no other process writes to.

    The names that version 0.2.0 gave to such folders are recognised too.

    Args:
        folder: folder that holds them.
        name: regular expression that matches the final names of the folders to remove.
    """
    remove_remains(folder)
    pattern = re.compile(rf"{re.escape(UNFINISHED)}{name}-[^-.]+|\.{name}-making")
    for path in _entries(folder):
        if pattern.fullmatch(path.name):
            _remove_folder(path)


def _create(folder: Path, name: str, suffix: str) -> Tuple[Path, int, FileLock]:
    for _ in range(_ATTEMPTS):
        beginning = UNFINISHED + _shortened(name)
        path = folder / f"{beginning}-{secrets.token_hex(4)}{suffix}"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            continue
        try:
            lock = lock_file(path)
        except FileNotFoundError:
            lock = None
        if lock is not None:
            return path, descriptor, lock
        os.close(descriptor)  # another process took it for the remains of a dead one
    raise FileExistsError(f"no free name in {_ATTEMPTS} attempts")


def _folder_of(lock_path: Path) -> Path:
    return lock_path.with_name(lock_path.name[: -len(_LOCK)])


def _shortened(name: str) -> str:
    if len(os.fsencode(name)) <= _LONGEST_NAME:
        return name
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:32]


def _entries(folder: Path) -> Tuple[Path, ...]:
    try:
        return tuple(folder.iterdir())
    except OSError:
        return ()


def _remove_folder(path: Path) -> None:
    if path.is_symlink():
        _unlink(path)
    else:
        shutil.rmtree(path, ignore_errors=True)


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
