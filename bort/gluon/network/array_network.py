"""Between a Gluon network and its arrays: the glue that export and import need MXNet for."""

from __future__ import annotations

from pathlib import Path
from typing import Tuple

import mxnet as mx
import numpy as np
from mxnet import autograd

from bort.errors import InputError
from bort.gluon.network.classifier import BortClassifier
from bort.gluon.network.model import BortModel
from bort.gluon.network.model_folder import Network, load_model_folder, save_model_folder
from bort.gluon.network.parameters import collect_arrays, set_parameters
from bort.network.array_network import ArrayNetwork

_ENCODER = "bort."


def read_network(folder: Path) -> Tuple[Network, ArrayNetwork]:
    """Open a folder that `save_model_folder` wrote, as a network and as arrays.

    Raises:
        InputError: names the file that is missing, damaged, or does not fit.
    """
    network, extra = load_model_folder(folder, grad_req="null")
    try:
        return network, as_arrays(network, extra)
    except InputError as error:
        raise InputError(f"{folder}: {error}") from error


def as_arrays(network: Network, extra: object = None) -> ArrayNetwork:
    """The arrays of a network, and what its attributes say."""
    arrays = {
        name[len(_ENCODER) :] if name.startswith(_ENCODER) else name: array
        for name, array in collect_arrays(network).items()
    }
    is_classifier = isinstance(network, BortClassifier)
    model = network.bort if isinstance(network, BortClassifier) else network
    return ArrayNetwork(
        model.architecture,
        arrays,
        layer_norm_eps=model.layer_norm_eps,
        decoder_layer_norm_eps=model.decoder_layer_norm_eps,
        dropout=model.dropout,
        head=network.head if is_classifier else None,
        num_classes=network.num_classes if is_classifier else 0,
        head_dropout=network.dropout if is_classifier else 0.1,
        extra=dict(extra) if isinstance(extra, dict) else {},
    )


def as_network(source: ArrayNetwork) -> Network:
    """A Gluon network, without gradient buffers, that holds the arrays."""
    model = BortModel(
        source.architecture,
        dropout=source.dropout,
        use_decoder=source.has_decoder,
        use_pooler=source.has_pooler,
        layer_norm_eps=source.layer_norm_eps,
        decoder_layer_norm_eps=source.decoder_layer_norm_eps,
    )
    network: Network = model
    arrays = dict(source.arrays)
    if source.head is not None:
        network = BortClassifier(model, source.num_classes, source.head_dropout, source.head)
        arrays = {
            name if name.startswith("classifier.") else _ENCODER + name: array
            for name, array in arrays.items()
        }
    network.collect_params().setattr("grad_req", "null")
    set_parameters(network, arrays, "the imported network")
    return network


def write_network(folder: Path, source: ArrayNetwork) -> None:
    """Write arrays as a folder that `load_model_folder` reads."""
    save_model_folder(folder, as_network(source), source.extra)


def answers(network: Network, input_ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """What a network is for, computed for a batch.

    Args:
        network: a model or a classifier.
        input_ids: int (B, L).
        lengths: int (B,), tokens that count in every row.

    Returns:
        float32: outputs (B, C) of a classifier; logits (B, L, V) for every token of a model with a
        decoder; else the encoded tokens (B, L, H), zero at padding.

    Raises:
        InputError: an input that is too long.
    """
    ids = mx.nd.array(input_ids, dtype="int32")
    counts = mx.nd.array(lengths, dtype="float32")
    with autograd.predict_mode():
        if isinstance(network, BortClassifier):
            longest = network.bort.architecture.maximum_length
            if input_ids.shape[1] > longest:
                raise InputError(f"input is {input_ids.shape[1]} tokens long, allowed: {longest}")
            return network(ids, counts).asnumpy()
        if network.decoder is None:
            encoded = network(ids, counts)
            return (encoded[0] if isinstance(encoded, tuple) else encoded).asnumpy()
        positions = np.broadcast_to(np.arange(input_ids.shape[1]), input_ids.shape)
        return network(ids, counts, mx.nd.array(positions, dtype="int32"))[-1].asnumpy()
