"""Model folders: `model.json` describes a trained network, `model.safetensors` holds its weights.

This module reads and writes them without a framework; `bort.gluon.network.model_folder` loads them
as Gluon networks.
"""

from __future__ import annotations

from typing import Mapping

import numpy as np
import safetensors.numpy

from bort.network.array_network import ArrayNetwork, places_of
from bort.network.description import CLASSIFIER, ModelDescription
from bort.storage.array_files import read_safetensors
from bort.storage.files import PathLike
from bort.storage.json_fields import errors_naming
from bort.storage.sealed_folder import SealedFile, SealedFolder, SealedFormat

MODEL_DESCRIPTION_FILE = "model.json"
MODEL_WEIGHTS_FILE = "model.safetensors"
_ENCODER_PREFIX = "bort."
"""Prefix of the names of a classifier's encoder in the file."""

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
    is_classifier = description.purpose == CLASSIFIER
    stored = {_stored_name(name, is_classifier): array for name, array in arrays.items()}
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


def _description_in(sealed: SealedFolder) -> ModelDescription:
    return ModelDescription.from_dict(sealed.record, str(sealed.source))


def _stored_name(name: str, is_classifier: bool) -> str:
    if is_classifier and not name.startswith("classifier."):
        return _ENCODER_PREFIX + name
    return name
