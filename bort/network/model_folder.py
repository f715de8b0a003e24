"""The folder that a trained network lives in: `model.json` says what it is, `model.safetensors`
holds it. Written and read here without a framework; `bort.gluon.network.model_folder` makes
networks of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping, NamedTuple, Optional

import numpy as np
import safetensors
import safetensors.numpy

from bort.architecture import Architecture
from bort.errors import InputError
from bort.network.array_network import ArrayNetwork
from bort.storage.files import PathLike, atomic_write, read_json, sha256_of_file, write_json

DESCRIPTION_FILE = "model.json"
WEIGHTS_FILE = "model.safetensors"
ENCODER_PREFIX = "bort."
"""Of the names of a classifier's encoder."""

_FORMAT = 1


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
    target = Path(folder)
    with atomic_write(target / WEIGHTS_FILE) as stream:
        stream.write(safetensors.numpy.save(dict(arrays)))
    weights = {"file": WEIGHTS_FILE, "sha256": sha256_of_file(target / WEIGHTS_FILE)}
    write_json(target / DESCRIPTION_FILE, {"format": _FORMAT, **fields, "weights": weights})


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
    source = Path(folder) / DESCRIPTION_FILE
    description = read_json(source)
    if not isinstance(description, dict) or description.get("format") != _FORMAT:
        raise InputError(f"{source}: is not the description of a model (format {_FORMAT})")
    try:
        weights = Path(folder) / description["weights"]["file"]
        stated = description["weights"]["sha256"]
        dict(description["extra"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{source}: a field is missing or malformed: {error}") from error
    if weights.parent != Path(folder):
        raise InputError(f"{source}: names the weights {weights}, which lie outside the folder")
    if not weights.is_file():
        raise InputError(f"{weights}: no such file")
    if sha256_of_file(weights) != stated:
        raise InputError(f"{weights}: is damaged: its SHA-256 is not the one in {source}")
    try:
        arrays = safetensors.numpy.load_file(weights)
    except (safetensors.SafetensorError, ValueError) as error:
        raise InputError(f"{weights}: is not a safetensors file: {error}") from error
    return StoredModel(description, arrays, str(source), str(weights))


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
