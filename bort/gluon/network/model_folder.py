"""A trained network as a folder, and back; the files are `bort.network.model_folder`'s."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Tuple, Union

import mxnet as mx

from bort.architecture import Architecture
from bort.errors import InputError
from bort.gluon.network.classifier import BortClassifier
from bort.gluon.network.model import BortModel
from bort.gluon.network.parameters import collect_arrays, set_parameters
from bort.network.model_folder import read_model_files, write_model_files
from bort.storage.files import PathLike

Network = Union[BortModel, BortClassifier]


def save_model_folder(
    folder: PathLike, network: Network, extra: Optional[Mapping[str, Any]] = None
) -> None:
    """Write weights, then the description with their SHA-256, each atomically.

    A folder that is interrupted in between has no description, or the old one whose SHA-256 does
    not match; either is refused by `load_model_folder`. The vocabulary is the caller's to save.

    Args:
        folder: made if it does not exist.
        network: a `BortModel` or a `BortClassifier`; a tied weight is stored once.
        extra: JSON-ready values kept under `extra`, such as the vocabulary's fingerprint.
    """
    model = network.bort if isinstance(network, BortClassifier) else network
    description: Dict[str, Any] = {
        "architecture": model.architecture.as_dict(),
        "dropout": model.dropout,
        "layer_norm_eps": model.layer_norm_eps,
        "decoder_layer_norm_eps": model.decoder_layer_norm_eps,
        "use_decoder": model.decoder is not None,
        "use_pooler": model.pooler is not None,
        "classifier": None,
        "extra": dict(extra or {}),
    }
    if isinstance(network, BortClassifier):
        description["classifier"] = {
            "num_classes": network.num_classes,
            "head": network.head,
            "dropout": network.dropout,
        }
    write_model_files(folder, collect_arrays(network), description)


def load_model_folder(
    folder: PathLike,
    context: Optional[mx.Context] = None,
    *,
    grad_req: str = "write",
    use_decoder: bool = True,
) -> Tuple[Network, Dict[str, Any]]:
    """Read a folder that `save_model_folder` wrote.

    Args:
        folder: holds `model.json` and `model.safetensors`.
        context: where the weights go; the CPU by default.
        grad_req: `null` allocates no gradients.
        use_decoder: False leaves a decoder in the folder unread.

    Returns:
        the network and `extra`.

    Raises:
        InputError: names the file that is missing, damaged, or does not fit.
    """
    stored = read_model_files(folder)
    try:
        network, ignore = _build(stored.description, stored.source, use_decoder)
    except (KeyError, TypeError) as error:
        raise InputError(f"{stored.source}: a field is missing or malformed: {error}") from error
    arrays = {name: value for name, value in stored.arrays.items() if not name.startswith(ignore)}
    network.collect_params().setattr("grad_req", grad_req)
    set_parameters(network, arrays, stored.weights, context)
    return network, stored.extra


def _build(
    description: Mapping[str, Any], source: str, use_decoder: bool
) -> Tuple[Network, Tuple[str, ...]]:
    """The network of a description, and the beginnings of names that it has no place for."""
    decoder = bool(description["use_decoder"]) and use_decoder
    model = BortModel(
        Architecture.from_dict(description["architecture"], source),
        dropout=description["dropout"],
        use_decoder=decoder,
        use_pooler=description["use_pooler"],
        layer_norm_eps=description["layer_norm_eps"],
        decoder_layer_norm_eps=description["decoder_layer_norm_eps"],
    )
    ignore = ("\0",) if decoder else ("decoder.", "bort.decoder.")
    head = description["classifier"]
    if head is None:
        return model, ignore
    return BortClassifier(model, head["num_classes"], head["dropout"], head["head"]), ignore
