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

from bort.storage.locks import FileLock, lock_file, lock_to_remove
from bort.storage.removal import Removal

UNFINISHED = ".unfinished-"
"""Prefix of the names of files and folders that are not complete yet."""

_LOCK = ".lock"
_RANDOM = r"[0-9a-f]{8}"
_LONGEST_NAME = 200  # bytes; file systems allow 255 for the whole name
_ATTEMPTS = 100


class UnfinishedFile:
    """A locked file that will be called `name`, with the permissions of a new file.

    Args:
        folder: the folder of the file.
        name: its final name.

    Attributes:
        path: the file, once it is created.
        remove: removes the file, if it was not renamed, and gives up its lock.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._files = _NewFiles(folder, name, "")
        self.remove = Removal(self._files.remove)

    @property
    def path(self) -> Path:
        return self._files.path

    def create(self) -> int:
        """Create the file, and return a descriptor to write to.

        Raises:
            OSError: the system refuses.
        """
        return self._files.create()


class UnfinishedFolder:
    """An empty folder that will be called `name`.

    Args:
        folder: the folder that holds it.
        name: its final name.

    Attributes:
        path: the folder, once it is created.
        remove: removes the folder, if it was not renamed, and then its lock.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._files = _NewFiles(folder, name, _LOCK)
        self.remove = Removal(self._files.remove)

    @property
    def path(self) -> Path:
        return _folder_of(self._files.path)

    def create(self) -> None:
        """Create the folder.

        Raises:
            OSError: the system refuses.
        """
        os.close(self._files.create())
        self.path.mkdir()


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
            _remove(path)
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


class _NewFiles:
    """New names for a file, until one of them can be created and locked.

    Attributes:
        path: the last name. It is chosen before the file exists, so that `remove` finds the file
            whenever a signal stops the work.
    """

    def __init__(self, folder: Path, name: str, suffix: str) -> None:
        self._folder, self._name, self._suffix = folder, _shortened(name), suffix
        self._lock = FileLock()
        self.path = self._new_path()

    def create(self) -> int:
        for _ in range(_ATTEMPTS):
            try:
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                self.path = self._new_path()
                continue
            try:
                if self._lock.take(self.path):
                    return descriptor
            except FileNotFoundError:
                pass
            os.close(descriptor)  # another process took it for the remains of a dead one
            self.path = self._new_path()
        raise FileExistsError(f"no free name in {_ATTEMPTS} attempts")

    def remove(self) -> None:
        lock = lock_to_remove(self.path, self._lock)
        if lock is not None:
            _remove(self.path)
            lock.release()
        self._lock.release()

    def _new_path(self) -> Path:
        ending = f"{secrets.token_hex(4)}{self._suffix}"
        return self._folder / f"{UNFINISHED}{self._name}-{ending}"


def _remove(path: Path) -> None:
    """Remove an unfinished file, or an unfinished folder and then its lock."""
    if path.name.endswith(_LOCK):
        _remove_folder(_folder_of(path))
    _unlink(path)


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
