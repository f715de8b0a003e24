"""Locks of files and folders that end with the process that holds them."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
import weakref
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

from bort.errors import InputError, WorkError
from bort.ranks import Communicator, on_rank_0

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

    def __init__(self, descriptor: int, works: bool) -> None:
        self._descriptor = descriptor
        self.works = works
        _held.add(self)

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
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except PermissionError:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    works = True
    try:
        kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError as error:
        log.debug("%s: cannot be locked: %s", path, error.strerror or error)
        works = False
    lock = FileLock(descriptor, works)
    if not _is_same_file(path, descriptor):
        lock.release()
        return None
    return lock


def _is_same_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


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
    path = place / RUN_LOCK
    created: List[Path] = []
    try:
        created = _make_folders(place)
        is_new, lock = _take(path)
    except OSError as error:
        _remove_folders(created)
        raise WorkError(f"{folder}: cannot be written: {error.strerror or error}") from error
    if lock is None:
        raise InputError(f"{folder}: another process is using this folder")
    _warn_without_locks(folder, lock)
    try:
        yield
        is_new = True  # what a killed process left is removed by the first success
    finally:
        if is_new:
            with contextlib.suppress(OSError):
                path.unlink()
        lock.release()
        _remove_folders(created)


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
    try:
        _, lock = _take(path, is_shared)
    except OSError as error:
        raise WorkError(f"{path}: cannot be written: {error.strerror or error}") from error
    if lock is None:
        yield False
        return
    _warn_without_locks(path, lock)
    try:
        yield True
    finally:
        if not is_shared:
            with contextlib.suppress(OSError):
                path.unlink()
        lock.release()


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


def _take(path: Path, is_shared: bool = False) -> Tuple[bool, Optional[FileLock]]:
    """Create a lock file or open the one that exists, and lock it; (is it new, the lock)."""
    for _ in range(100):  # it disappears when its holder has finished
        is_new = True
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666))
        except FileExistsError:
            is_new = False
        try:
            lock = lock_file(path, is_shared=is_shared)
        except FileNotFoundError:
            continue
        if lock is not None or path.exists():
            return is_new, lock
    return False, None


def _make_folders(folder: Path) -> List[Path]:
    """Create a folder with its parents, and return those that did not exist, deepest first."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
    return missing


def _remove_folders(folders: List[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()  # refuses a folder with content
        except OSError:
            return
