"""The state of a model folder: whether its files changed, by time or by content."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import List, Tuple

from bort.errors import InputError
from bort.storage.files import PathLike, sha256_of_file

_SUFFIXES = frozenset(
    (
        ".bin",
        ".bpe",
        ".json",
        ".model",
        ".onnx",
        ".params",
        ".safetensors",
        ".txt",
        ".vocab",
        ".xml",
    )
)
"""File name extensions of models and vocabularies; notes and logs in a folder do not matter."""

FolderState = Tuple[Tuple[str, int, int], ...]


def folder_state(folder: PathLike) -> FolderState:
    """Return name, size and time of modification (ns) of the files of a model.

    Args:
        folder: a model folder; files in its direct subfolders count, such as the vocabulary.

    Raises:
        InputError: the folder is missing or cannot be read.
    """
    state = []
    try:
        for path in _files(Path(folder)):
            status = path.stat()
            state.append((str(path.relative_to(folder)), status.st_size, status.st_mtime_ns))
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror or error}") from error
    return tuple(state)


def folder_digest(folder: PathLike) -> str:
    """Return the SHA-256 over the names and contents of the files that `folder_state` lists.

    Raises:
        InputError: the folder is missing or cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for path in _files(Path(folder)):
            digest.update(f"{path.relative_to(folder)} {sha256_of_file(path)}\n".encode())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()


def _files(folder: Path) -> List[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        beside = _listed(path) if path.is_dir() else [path]
        found += [one for one in beside if one.suffix in _SUFFIXES and one.is_file()]
    return found


def _listed(folder: Path) -> List[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:  # no model has files in a folder that cannot be read
        return []
