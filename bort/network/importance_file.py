"""The file of a network's importance: its scores, and what they were measured on."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

import numpy as np
import safetensors.numpy

from bort.architecture import Architecture
from bort.errors import InputError
from bort.network.importance import Importance
from bort.storage.array_files import read_safetensors
from bort.storage.json_fields import JsonFields, errors_naming
from bort.storage.sealed_folder import SealedFile, SealedFormat

IMPORTANCE_FILE, IMPORTANCE_SCORES_FILE = "importance.json", "importance.safetensors"

IMPORTANCE_FORMAT = SealedFormat(
    IMPORTANCE_FILE,
    "the record of importance",
    lambda record: [SealedFile(record["scores"]["file"], record["scores"]["sha256"])],
    version="bort-importance-1",
)


def write_importance(folder: Path, importance: Importance, key: Mapping[str, Any]) -> None:
    """Write the scores, then their record with the SHA-256, each atomically.

    Args:
        folder: created if it does not exist; it may hold other files.
        importance: the scores.
        key: JSON-ready values that tell the network, and the batches it was measured on.
    """
    scores = {field.name: getattr(importance, field.name) for field in fields(importance)}
    arrays = {name: np.asarray(array) for name, array in scores.items() if array is not None}
    writer = IMPORTANCE_FORMAT.writer(folder)
    digest = writer.write(IMPORTANCE_SCORES_FILE, safetensors.numpy.save(arrays))
    writer.seal({"key": dict(key), "scores": {"file": IMPORTANCE_SCORES_FILE, "sha256": digest}})


def stored_key(folder: Path) -> Optional[Dict[str, Any]]:
    """Return what the scores in a folder were measured on; None if the folder holds none.

    Raises:
        InputError: the record is damaged.
    """
    if not IMPORTANCE_FORMAT.is_in(folder):
        return None
    sealed = IMPORTANCE_FORMAT.open(folder)
    return dict(JsonFields.of(sealed.record, str(sealed.source)).fields("key").values)


def copy_importance(source: Path, target: Path) -> None:
    """Copy the scores of a folder to another, and their record last.

    Raises:
        InputError: a file is missing or damaged.
    """
    sealed = IMPORTANCE_FORMAT.open(source)
    writer = IMPORTANCE_FORMAT.writer(target)
    for name in sealed.files:
        writer.write(name, sealed.verified(name).read_bytes())
    writer.seal({name: value for name, value in sealed.record.items() if name != "format"})


def read_importance(
    folder: Path, sizes: Architecture, key: Mapping[str, Any]
) -> Optional[Importance]:
    """Read the scores in a folder.

    Args:
        folder: the folder.
        sizes: sizes of the network.
        key: see `write_importance`.

    Returns:
        The scores; None if the folder holds none, or those of another key.

    Raises:
        InputError: a file is missing or damaged, or its arrays are not those of `sizes`.
    """
    if not IMPORTANCE_FORMAT.is_in(folder):
        return None
    sealed = IMPORTANCE_FORMAT.open(folder)
    if JsonFields.of(sealed.record, str(sealed.source)).fields("key").values != key:
        return None
    (path,) = map(sealed.verified, sealed.files)
    arrays = read_safetensors(path)
    shapes: Dict[str, Any] = {
        "hidden": (sizes.hidden,),
        "intermediate": (sizes.depth, sizes.intermediate),
        "attention": (sizes.depth, sizes.qkv),
        "layers": (sizes.depth,),
    }
    for name, shape in shapes.items():
        found = arrays[name].shape if name in arrays else None
        if found != shape and not (name == "layers" and found is None):
            raise InputError(f"{path}: {name} has shape {found}, expected {shape}")
    with errors_naming(str(path)):
        return Importance(**{name: arrays[name] for name in shapes if name in arrays})
