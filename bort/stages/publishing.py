"""`publish`: a result as a plain folder that its user may change."""

from __future__ import annotations

import shutil
from pathlib import Path

from bort.errors import InputError, WorkError
from bort.stages.store import Result
from bort.storage.file_tree import tree_hashes
from bort.storage.files import PathLike, new_folder


def publish(result: Result, target: PathLike, *, replace: bool = False) -> None:
    """Copy the files of a result, without its record, into a folder that appears at once.

    The copy has no links to the result, so changes to it are safe.

    Args:
        result: a finished result.
        target: path of the folder.
        replace: replace a folder at `target`, unless it holds the same files already.

    Raises:
        InputError: a file of the result was changed since it was made, or `target` exists and
            `replace` is false.
        WorkError: the system refuses a write.
    """
    result.check()
    if replace and _holds(Path(target), result):
        return
    with new_folder(target, replace=replace) as folder:
        try:
            for name in result.record["files"]:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(result.folder / name, folder / name)
        except OSError as error:
            raise WorkError(f"{target}: cannot be written: {error.strerror or error}") from error


def _holds(folder: Path, result: Result) -> bool:
    try:
        return folder.is_dir() and tree_hashes(folder) == result.hashes
    except InputError:  # a link that the user made, for example
        return False
