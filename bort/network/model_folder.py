"""The folder that a trained network lives in: `model.json` says what it is, `model.safetensors`
holds it. Written and read here without a framework; `bort.gluon.network.model_folder` makes
networks of it.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Optional

import numpy as np
import safetensors.numpy

from bort.architecture import Architecture
from bort.errors import InputError
from bort.network.array_network import ArrayNetwork
from bort.storage.array_files import read_safetensors
from bort.storage.files import PathLike
from bort.storage.sealed_folder import SealedFile, SealedFormat

DESCRIPTION_FILE = "model.json"
WEIGHTS_FILE = "model.safetensors"
ENCODER_PREFIX = "bort."
"""Of the names of a classifier's encoder."""

_FORMAT = 1
_MODEL_FOLDER = SealedFormat(
    DESCRIPTION_FILE,
    "the description of a model",
    lambda record: [SealedFile(record["weights"]["file"], record["weights"]["sha256"])],
    version=_FORMAT,
)


class StoredModel(NamedTuple):
    """What a folder holds.

    Attributes:
        description: all fields of `model.json`; of `weights` and `extra` it is known that they
            are there.
        arrays: by the names under which they are stored.
        source: path of the description, for errors.
        weights: path of the weights, for errors.
    """

    description: Dict[str, Any]
    arrays: Dict[str, np.ndarray]
    source: str
    weights: str

    @property
    def extra(self) -> Dict[str, Any]:
        """What the writer added: task, labels, fingerprint of the vocabulary, …"""
        return dict(self.description["extra"])


def write_model_files(
    folder: PathLike, arrays: Mapping[str, np.ndarray], fields: Mapping[str, Any]
) -> None:
    """Write weights, then the description with their SHA-256, each atomically.

    A folder that is interrupted in between has no description, or the old one whose SHA-256 does
    not match; either is refused by `read_model_files`.
    """
    writer = _MODEL_FOLDER.writer(folder)
    digest = writer.write(WEIGHTS_FILE, safetensors.numpy.save(dict(arrays)))
    weights = {"file": WEIGHTS_FILE, "sha256": digest}
    writer.seal({"format": _FORMAT, **fields, "weights": weights})


def write_model_folder(folder: PathLike, network: ArrayNetwork) -> None:
    """Write a network as the folder that `read_model_folder` reads.

    The vocabulary is the caller's to save. See `write_model_files` for what an interruption leaves.

    Args:
        folder: made if it does not exist.
        network: what to write.
    """
    head: Optional[Dict[str, Any]] = None
    if network.head is not None:
        head = {
            "num_classes": network.num_classes,
            "head": network.head,
            "dropout": network.head_dropout,
        }
    fields = {
        "architecture": network.architecture.as_dict(),
        "dropout": network.dropout,
        "layer_norm_eps": network.layer_norm_eps,
        "decoder_layer_norm_eps": network.decoder_layer_norm_eps,
        "use_decoder": network.has_decoder,
        "use_pooler": network.has_pooler,
        "classifier": head,
        "extra": dict(network.extra),
    }
    arrays = {
        name if head is None or name.startswith("classifier.") else ENCODER_PREFIX + name: array
        for name, array in network.arrays.items()
    }
    write_model_files(folder, arrays, fields)


def read_model_files(folder: PathLike) -> StoredModel:
    """Read a folder and compare its weights with the SHA-256 in its description.

    Raises:
        InputError: names the file that is missing or damaged.
    """
    sealed = _MODEL_FOLDER.open(folder)
    try:
        dict(sealed.record["extra"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{sealed.source}: a field is missing or malformed: {error}") from error
    weights = sealed.verified(sealed.record["weights"]["file"])
    arrays = read_safetensors(weights)
    return StoredModel(sealed.record, arrays, str(sealed.source), str(weights))


def read_model_folder(folder: PathLike) -> ArrayNetwork:
    """Read a folder as arrays, without MXNet.

    Raises:
        InputError: names the file that is missing, damaged, or does not fit.
    """
    stored = read_model_files(folder)
    arrays = {
        name[len(ENCODER_PREFIX) :] if name.startswith(ENCODER_PREFIX) else name: np.asarray(
            array, np.float32
        )
        for name, array in stored.arrays.items()
    }
    fields = stored.description
    try:
        head = fields["classifier"] or {}
        values: Dict[str, Any] = {
            "layer_norm_eps": float(fields["layer_norm_eps"]),
            "decoder_layer_norm_eps": float(fields["decoder_layer_norm_eps"]),
            "dropout": float(fields["dropout"]),
            "head": head["head"] if head else None,
            "num_classes": head["num_classes"] if head else 0,
            "head_dropout": float(head["dropout"]) if head else 0.1,
        }
        architecture = Architecture.from_dict(fields["architecture"], stored.source)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{stored.source}: a field is missing or malformed: {error}") from error
    try:
        return ArrayNetwork(architecture, arrays, extra=stored.extra, **values)
    except InputError as error:
        raise InputError(f"{stored.weights}: {error}") from error
