"""Model folders of Gluon networks: saving and loading (see `bort.network.model_folder`)."""

from __future__ import annotations

from typing import Optional, Tuple

import mxnet as mx

from bort.formats.network_folder import read_network_folder
from bort.gluon.network.array_network import arrays_of, as_network, describe_network
from bort.gluon.network.networks import Network
from bort.network.description import ModelDescription
from bort.network.model_folder import write_model_folder
from bort.storage.files import PathLike


def save_model_folder(
    folder: PathLike, network: Network, description: Optional[ModelDescription] = None
) -> None:
    """Write a network as a model folder.

    Args:
        folder: the model folder; it is created if it does not exist.
        network: a `BortModel`, `BortClassifier` or `BortSpanModel`; a tied weight is stored once.
        description: description to store; None describes the network itself.
    """
    write_model_folder(folder, description or describe_network(network), arrays_of(network))


def load_model_folder(
    folder: PathLike,
    context: Optional[mx.Context] = None,
    *,
    grad_req: str = "write",
) -> Tuple[Network, ModelDescription]:
    """Load the network of a model folder or of a Hugging Face folder.

    Args:
        folder: holds `model.json`, or Hugging Face's `config.json`, and `model.safetensors`.
        context: device of the weights; the CPU by default.
        grad_req: gradient request of all parameters; `null` allocates no gradients.

    Returns:
        The network and its description.

    Raises:
        InputError: a file is missing, damaged, or does not fit the description.
    """
    network = read_network_folder(folder)
    return as_network(network, context, grad_req=grad_req), network.description
