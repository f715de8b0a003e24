"""The place of an output: links, devices and pipes, and checks before work."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import NamedTuple, Optional, Union

from bort.errors import InputError
from bort.storage.unfinished import is_being_written, remove_remains

_PathLike = Union[str, "os.PathLike[str]"]

_MOST_LINKS = 40  # as in Linux


class OutputPlace(NamedTuple):
    """The place that a path stands for.

    Attributes:
        path: the path after all links.
        mode: type and permissions of what is there; None if there is nothing.
        descriptor: an open descriptor of this process, as in `/dev/stdout`; None for other paths.
    """

    path: Path
    mode: Optional[int]
    descriptor: Optional[int] = None

    @property
    def is_written_through(self) -> bool:
        """Whether bytes go straight to what is there: a device, a pipe, a socket, a descriptor."""
        if self.descriptor is not None:
            return True
        return self.mode is not None and not (stat.S_ISREG(self.mode) or self.is_folder)

    @property
    def is_folder(self) -> bool:
        """Whether a folder is there."""
        return self.mode is not None and stat.S_ISDIR(self.mode)

    def open(self) -> int:
        """Return a descriptor that writes through to what is there.

        Raises:
            OSError: the system refuses.
        """
        if self.descriptor is not None:
            return os.dup(self.descriptor)
        return os.open(self.path, os.O_WRONLY)


def find_place(path: Path) -> OutputPlace:
    """Return the place that a path stands for; a link to nothing stands for the path it names.

    Raises:
        OSError: the links form a loop, or a part of the path cannot be read.
    """
    place = path
    own = f"/proc/{os.getpid()}/fd"
    for _ in range(_MOST_LINKS):
        if not os.path.islink(place):
            break
        parent = os.path.realpath(place.parent)
        if parent == own and place.name.isdigit():
            return OutputPlace(place, os.fstat(int(place.name)).st_mode, int(place.name))
        place = Path(parent, os.readlink(place))
    else:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    try:
        return OutputPlace(place, os.stat(place).st_mode)
    except FileNotFoundError:
        return OutputPlace(place, None)


def check_output_file(path: _PathLike) -> None:
    """Check before work that a file can be written at `path`.

    Raises:
        InputError: a folder is there, or the file cannot be created or written.
    """
    try:
        place = find_place(Path(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    if place.is_folder:
        raise InputError(f"{path}: is a folder, expected the name of a file")
    if place.descriptor is not None:
        return
    if place.is_written_through:
        if not os.access(place.path, os.W_OK):
            raise InputError(f"{path}: cannot be written: {os.strerror(errno.EACCES)}")
        return
    _check_folder(path, place.path.parent)


def check_output_folder(path: _PathLike) -> None:
    """Check before work that files can be written into the folder `path`, which may not exist yet.

    What killed writers left next to it is removed.

    Raises:
        InputError: it is a file or cannot be written, or it cannot be created.
    """
    place = Path(os.path.realpath(path))
    if os.path.lexists(place) and not place.is_dir():
        raise InputError(f"{path}: is a file, expected a folder")
    remove_remains(place.parent)
    _check_folder(path, place)


def check_new_folder(path: _PathLike) -> None:
    """Check before work that a new folder can be written at `path`.

    What killed writers left next to it is removed.

    Raises:
        InputError: `path` exists and is no empty folder, it cannot be created, or another process
            is writing it.
    """
    place = Path(path)
    remove_remains(place.parent)
    if place.is_symlink() or (place.exists() and not is_empty_folder(place)):
        raise InputError(f"{path}: exists already; name a new folder, or move that one away")
    _check_folder(path, place.parent)
    check_target(place)


def check_target(target: Path) -> None:
    """Check that a new folder can be renamed to `target`.

    Raises:
        InputError: `target` is a mount point, or another process writes the same folder.
    """
    if os.path.ismount(target):
        raise InputError(f"{target}: is a mount point, name a new folder inside it")
    if is_being_written(target):
        raise InputError(f"{target}: another process is writing this folder")


def is_empty_folder(path: Path) -> bool:
    """Return whether `path` is a folder without entries."""
    return path.is_dir() and not any(path.iterdir())


def _check_folder(path: _PathLike, folder: Path) -> None:
    """Check that a folder can be written, or else created in the nearest one that exists."""
    while not os.path.lexists(folder):
        folder = folder.parent
    if not folder.is_dir():
        raise InputError(f"{path}: cannot be written: {folder} is no folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{path}: cannot be written: {folder} is read-only")
