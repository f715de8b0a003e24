"""The files of a folder and of the folders in it: their names and their SHA-256."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Dict, NoReturn, Tuple

from bort.errors import InputError
from bort.storage.files import PathLike, sha256_of_file


def tree_files(folder: PathLike, *, linked: bool = False) -> Tuple[str, ...]:
    """Return the paths of all files in a folder, from there, sorted, with "/" between folders.

    Args:
        folder: the folder.
        linked: take links to files as files, as in the cache of Hugging Face.

    Raises:
        InputError: the folder is missing or cannot be read, or it holds another link, a device, a
            pipe or a socket; the message names it.
    """
    found = []
    for parent, folders, names in os.walk(folder, onerror=_refuse):
        for name in (*folders, *names):
            path = Path(parent, name)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) or (linked and path.is_file()):
                found.append(path.relative_to(folder).as_posix())
            elif not stat.S_ISDIR(mode):
                what = "a link" if stat.S_ISLNK(mode) else "a device, a pipe or a socket"
                raise InputError(f"{path}: is {what}, allowed are files and folders")
    return tuple(sorted(found))


def tree_hashes(folder: PathLike, *, linked: bool = False) -> Dict[str, str]:
    """Return the SHA-256 of all files in a folder by their paths; see `tree_files`.

    Raises:
        InputError: as in `tree_files`, or a file cannot be read.
    """
    try:
        names = tree_files(folder, linked=linked)
        return {name: sha256_of_file(Path(folder, name)) for name in names}
    except OSError as error:
        _refuse(error)


def _refuse(error: OSError) -> NoReturn:
    raise InputError(f"{error.filename}: cannot be read: {error.strerror or error}") from error
