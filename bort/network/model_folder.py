"""Model folders: `model.json` describes a trained network, `model.safetensors` holds its weights.

This module reads and writes them without a framework; `bort.gluon.network.model_folder` loads them
as Gluon networks.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Mapping, Optional

import numpy as np
import safetensors.numpy

from bort.errors import InputError
from bort.network.array_network import ArrayNetwork, places_of
from bort.network.description import ModelDescription
from bort.network.parameter_names import HEAD_PREFIXES
from bort.storage.array_files import read_safetensors
from bort.storage.files import PathLike, sha256_of_file
from bort.storage.json_fields import errors_naming
from bort.storage.sealed_folder import SealedFile, SealedFolder, SealedFormat

MODEL_DESCRIPTION_FILE = "model.json"
MODEL_WEIGHTS_FILE = "model.safetensors"
VOCABULARY_FOLDER = "vocabulary"
_ENCODER_PREFIX = "bort."
"""Prefix of the names of the encoder in the file, in a network with a head."""

_FILES_OF_OTHERS = (".safetensors", ".params", ".json", ".txt", ".model")

_MODEL_FOLDER = SealedFormat(
    MODEL_DESCRIPTION_FILE,
    "the description of a model",
    lambda record: [SealedFile(record["weights"]["file"], record["weights"]["sha256"])],
    version=1,
)


def write_model_folder(
    folder: PathLike, description: ModelDescription, arrays: Mapping[str, np.ndarray]
) -> None:
    """Write the weights, then the description with their SHA-256, each atomically.

    If the writer is interrupted in between, the folder has no description, or an old one whose
    SHA-256 does not match; `read_model_folder` refuses both. The caller saves the vocabulary.

    Args:
        folder: created if it does not exist.
        description: description of the network.
        arrays: its weights, by the names of `bort.network.parameter_names`.
    """
    assert set(arrays) == {place.gluon for place in places_of(description)}
    has_head = description.head is not None
    stored = {_stored_name(name, has_head): array for name, array in arrays.items()}
    writer = _MODEL_FOLDER.writer(folder)
    digest = writer.write(MODEL_WEIGHTS_FILE, safetensors.numpy.save(stored))
    weights = {"file": MODEL_WEIGHTS_FILE, "sha256": digest}
    writer.seal({**description.as_dict(), "weights": weights})


def read_description(folder: PathLike) -> ModelDescription:
    """Read the description in a folder, without the weights.

    Raises:
        InputError: the file or a field is missing or malformed; the message names it.
    """
    return _description_in(_MODEL_FOLDER.open(folder))


def read_model_folder(folder: PathLike) -> ArrayNetwork:
    """Read a folder, and check its weights against the SHA-256 in its description.

    Raises:
        InputError: a file is missing or damaged, or a field or parameter does not fit; the message
            names it.
    """
    sealed = _MODEL_FOLDER.open(folder)
    description = _description_in(sealed)
    (weights,) = map(sealed.verified, sealed.files)
    arrays = {
        name[len(_ENCODER_PREFIX) :] if name.startswith(_ENCODER_PREFIX) else name: np.asarray(
            array, np.float32
        )
        for name, array in read_safetensors(weights).items()
    }
    with errors_naming(str(weights)):
        return ArrayNetwork(description, arrays)


def fingerprint_of_model(source: Optional[str]) -> Optional[str]:
    """Return a fingerprint of the file or folder that a model comes from; None for None.

    That of a model folder is the SHA-256 of its description, which holds that of the weights. That
    of another folder covers its weights, settings and vocabulary.

    Raises:
        InputError: `source` does not exist or cannot be read.
    """
    if source is None:
        return None
    path = Path(source)
    if not path.exists():
        raise InputError(f"{source}: no such file or folder")
    description = path / MODEL_DESCRIPTION_FILE
    try:
        if not path.is_dir():
            return sha256_of_file(path)
        if description.is_file():
            return sha256_of_file(description)
        digest = hashlib.sha256()
        for file in sorted(path.iterdir()):
            if file.suffix in _FILES_OF_OTHERS and file.is_file():
                digest.update(f"{file.name} {sha256_of_file(file)}\n".encode())
    except OSError as error:
        raise InputError(f"{source}: cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()


def _description_in(sealed: SealedFolder) -> ModelDescription:
    return ModelDescription.from_dict(sealed.record, str(sealed.source))


def _stored_name(name: str, has_head: bool) -> str:
    if has_head and not name.startswith(HEAD_PREFIXES):
        return _ENCODER_PREFIX + name
    return name
