"""`publish`: a result as a plain folder that its user may change."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Mapping

from bort.errors import InputError, WorkError
from bort.stages.store import Result
from bort.storage.file_tree import tree_hashes
from bort.storage.files import PathLike, new_folder


def publish(result: Result, target: PathLike, *, part: str = "", replace: bool = False) -> None:
    """Copy the files of a result, without its record, into a folder that appears at once.

    The copy has no links to the result, so changes to it are safe.

    Args:
        result: a finished result.
        target: path of the folder.
        part: folder of the result that is copied; by default all of it.
        replace: replace a folder at `target`, unless it holds the same files already.

    Raises:
        InputError: a file of the result was changed since it was made, the result has no such
            part, or `target` exists and `replace` is false.
        WorkError: the system refuses a write.
    """
    result.check()
    before = f"{part}/" if part else ""
    files = {
        name[len(before) :]: digest
        for name, digest in result.hashes.items()
        if name.startswith(before)
    }
    if part and not files:
        raise InputError(f"{result.folder / part}: is no folder of the stage's result")
    if replace and _holds(Path(target), files):
        return
    with new_folder(target, replace=replace) as folder:
        try:
            for name in files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(result.folder / part / name, folder / name)
        except OSError as error:
            raise WorkError(f"{target}: cannot be written: {error.strerror or error}") from error


def _holds(folder: Path, files: Mapping[str, str]) -> bool:
    try:
        return folder.is_dir() and tree_hashes(folder) == files
    except InputError:  # a link that the user made, for example
        return False
