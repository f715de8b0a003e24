"""Locks of files and folders that end with the process that holds them."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
import weakref
from pathlib import Path
from typing import Iterator, Optional, Sequence

from bort.errors import InputError, WorkError
from bort.ranks import Communicator, on_rank_0
from bort.storage.removal import Removal

log = logging.getLogger(__name__)

RUN_LOCK = ".lock"
"""Name of the lock file in a run's folder; it is no part of the folder's content."""

_SECONDS_BETWEEN_LOOKS = 0.05


class FileLock:
    """A lock of a file, held through a descriptor of its own.

    The kernel releases the lock when this process ends, however it ends. A forked child does not
    hold it.

    Attributes:
        works: whether the file system has locks; without them, nothing is locked.
    """

    def __init__(self) -> None:
        self._descriptor = -1
        self.works = True
        _held.add(self)

    def take(self, path: Path, *, is_shared: bool = False) -> bool:
        """Lock a file; see `lock_file`. Return False where that returns None."""
        self.release()
        # The attribute holds the descriptor before it is locked, so that an interrupted call leaves
        # no lock that nothing can release.
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        except PermissionError:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
            fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            return False
        except OSError as error:
            log.debug("%s: cannot be locked: %s", path, error.strerror or error)
            self.works = False
        if not self.is_of(path):
            self.release()
            return False
        return True

    def is_of(self, path: Path) -> bool:
        """Return whether this is the lock of the file that is called `path` now."""
        try:
            return os.path.samestat(os.stat(path), os.fstat(self._descriptor))
        except OSError:
            return False

    def release(self) -> None:
        """Give up the lock; in a forked child, close the child's copy of the descriptor."""
        # Closing releases the lock when the last copy is closed; LOCK_UN in a child would release
        # the lock of its parent.
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


_held: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _release_in_child() -> None:
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_release_in_child)


def lock_file(path: Path, *, is_shared: bool = False) -> Optional[FileLock]:
    """Lock a file that exists.

    Args:
        path: path of the file.
        is_shared: whether the file may have other shared locks; without, the lock is exclusive.

    Returns:
        The lock; None if another process or another part of this one holds it, or if the file was
        removed meanwhile.

    Raises:
        OSError: the file does not exist or cannot be opened.
    """
    lock = FileLock()
    return lock if lock.take(path, is_shared=is_shared) else None


def lock_to_remove(path: Path, lock: FileLock) -> Optional[FileLock]:
    """Return a lock with which a file of this process can be removed.

    Args:
        path: path of the file, which may not exist, or no longer.
        lock: the lock of the file, if it was locked already.

    Returns:
        `lock`, or a new lock of a file that nobody holds; None if there is nothing to remove.
    """
    if lock.is_of(path):
        return lock
    try:
        return lock_file(path)
    except OSError:
        return None


@contextlib.contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; a second process is refused.

    The folder is created if it does not exist. If the block ends with an error, a folder that was
    created here and that is still empty is removed, and so are the parents created for it.

    Raises:
        InputError: another process holds the folder, or `folder` is a file.
        WorkError: the folder or its lock file cannot be created.
    """
    place = Path(os.path.realpath(folder))
    if os.path.lexists(place) and not place.is_dir():
        raise InputError(f"{folder}: is a file, expected a folder")
    held = _HeldFile(place / RUN_LOCK)
    try:
        try:
            held.make_folder()
            is_mine = held.take()
        except OSError as error:
            reason = error.strerror or error
            raise WorkError(f"{folder}: cannot be written: {reason}") from error
        if not is_mine:
            raise InputError(f"{folder}: another process is using this folder")
        _warn_without_locks(folder, held.lock)
        yield
        held.is_removed = True  # what a killed process left is removed by the first success
    finally:
        held.end()


@contextlib.contextmanager
def hold_file(path: Path, *, is_shared: bool = False) -> Iterator[bool]:
    """Hold a lock file, which is created if it does not exist; yields whether that worked.

    An exclusive holder removes the file at the end.

    Args:
        path: path of the lock file, in a folder that exists.
        is_shared: as of `lock_file`.

    Raises:
        WorkError: the file cannot be created.
    """
    held = _HeldFile(path)
    try:
        try:
            is_mine = held.take(is_shared)
        except OSError as error:
            raise WorkError(f"{path}: cannot be written: {error.strerror or error}") from error
        if is_mine:
            held.is_removed = not is_shared
            _warn_without_locks(path, held.lock)
        yield is_mine
    finally:
        held.end()


@contextlib.contextmanager
def wait_for_file(path: Path, *, is_shared: bool = False) -> Iterator[None]:
    """Hold a lock file after waiting until that is possible; see `hold_file`."""
    while True:
        with hold_file(path, is_shared=is_shared) as is_mine:
            if is_mine:
                yield
                return
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def is_held(path: Path) -> bool:
    """Return whether a living process holds a lock file exclusively."""
    try:
        lock = lock_file(path, is_shared=True)
    except OSError:
        return False
    if lock is None:
        return path.exists()
    lock.release()
    return False


@contextlib.contextmanager
def hold_run_folder(folder: Path, communicator: Communicator) -> Iterator[None]:
    """Hold the folder of a run for all its ranks: rank 0 holds it; see `hold_folder`."""
    with contextlib.ExitStack() as stack:
        on_rank_0(communicator, lambda: stack.enter_context(hold_folder(folder)))
        yield


def _warn_without_locks(path: Path, lock: FileLock) -> None:
    if not lock.works:
        log.warning(
            "%s: the file system has no locks, so a second process is not noticed here", path
        )


class _HeldFile:
    """A lock file of this process, with the folders that were created for it.

    Attributes:
        lock: the lock of the file.
        is_removed: whether `end` removes the file.
        end: gives up the lock; removes the file if `is_removed`, and folders that are empty.
    """

    def __init__(self, path: Path) -> None:
        self.lock = FileLock()
        self.is_removed = False
        self._path = path
        self._folders: Sequence[Path] = ()
        self.end = Removal(self._end)

    def make_folder(self) -> None:
        """Create the folder of the file with its parents."""
        self._folders = _missing_folders(self._path.parent)
        for folder in reversed(self._folders):
            folder.mkdir(exist_ok=True)

    def take(self, is_shared: bool = False) -> bool:
        """Create the file or open the one that exists, and lock it; return whether that worked.

        A new file is removed at the end, unless its lock is shared.
        """
        for _ in range(100):  # it disappears when its holder has finished
            self.is_removed = not is_shared
            try:
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666))
            except FileExistsError:
                self.is_removed = False
            try:
                is_mine = self.lock.take(self._path, is_shared=is_shared)
            except FileNotFoundError:
                continue
            if is_mine or self._path.exists():
                return is_mine
        return False

    def _end(self) -> None:
        if self.is_removed:
            lock = lock_to_remove(self._path, self.lock)
            if lock is not None:
                with contextlib.suppress(OSError):
                    self._path.unlink()
                lock.release()
        self.lock.release()
        for folder in self._folders:
            try:
                folder.rmdir()  # refuses a folder with content
            except FileNotFoundError:
                continue
            except OSError:
                return


def _missing_folders(folder: Path) -> Sequence[Path]:
    """Return a folder and its parents as far as they do not exist, deepest first."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    return missing
