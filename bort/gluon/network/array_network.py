"""Conversions between Gluon networks and the descriptions and arrays of `bort.network`."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

import mxnet as mx
import numpy as np

from bort.gluon.network.classifier import BortClassifier, Network
from bort.gluon.network.model import BortModel
from bort.gluon.network.parameters import collect_arrays, set_parameters
from bort.network.array_network import ArrayNetwork
from bort.network.description import ModelDescription
from bort.network.head import HeadDescription

_ENCODER = "bort."


def describe_network(
    network: Network, *, labels: Tuple[str, ...] = (), **known: Any
) -> ModelDescription:
    """Return the description of a Gluon network.

    Args:
        network: a model or a classifier.
        labels: names of a classifier's outputs.
        known: fields of `ModelDescription` that cannot be read from the network, such as `task` and
            `vocabulary_fingerprint`.
    """
    is_classifier = isinstance(network, BortClassifier)
    model = network.bort if is_classifier else network
    head: Optional[HeadDescription] = None
    if is_classifier:
        head = HeadDescription(network.head, network.num_classes, labels, network.dropout)
    return ModelDescription(
        model.architecture,
        head,
        has_decoder=model.decoder is not None,
        has_pooler=model.pooler is not None,
        layer_norm_eps=model.layer_norm_eps,
        decoder_layer_norm_eps=model.decoder_layer_norm_eps,
        activation=model.activation,
        tied_decoder=model.tied_decoder,
        dropout=model.dropout,
        **known,
    )


def build_network(description: ModelDescription) -> Network:
    """Return the Gluon network of a description; its weights are not initialised."""
    model = BortModel(
        description.architecture,
        dropout=description.dropout,
        use_decoder=description.has_decoder,
        use_pooler=description.has_pooler,
        layer_norm_eps=description.layer_norm_eps,
        decoder_layer_norm_eps=description.decoder_layer_norm_eps,
        activation=description.activation,
        tied_decoder=description.tied_decoder,
    )
    head = description.head
    if head is None:
        return model
    return BortClassifier(model, head.num_classes, head.dropout, head.kind)


def arrays_of(network: Network) -> Dict[str, np.ndarray]:
    """Return the weights of a Gluon network by the names of `bort.network.parameter_names`."""
    return {table_name(name): array for name, array in collect_arrays(network).items()}


def table_name(name: str) -> str:
    """Return the name in `bort.network.parameter_names` of a parameter's structural name."""
    return name[len(_ENCODER) :] if name.startswith(_ENCODER) else name


def as_arrays(network: Network) -> ArrayNetwork:
    """Return a Gluon network as an `ArrayNetwork`.

    Raises:
        InputError: a weight is not float32 or not finite.
    """
    return ArrayNetwork(describe_network(network), arrays_of(network))


def as_network(
    source: ArrayNetwork, context: Optional[mx.Context] = None, *, grad_req: str = "null"
) -> Network:
    """Return a Gluon network with the weights of an `ArrayNetwork`.

    Args:
        source: description and weights.
        context: device of the weights; the CPU by default.
        grad_req: gradient request of all parameters; `null` allocates no gradients.
    """
    network = build_network(source.description)
    is_classifier = isinstance(network, BortClassifier)
    arrays = {
        _ENCODER + name if is_classifier and not name.startswith("classifier.") else name: array
        for name, array in source.arrays.items()
    }
    network.collect_params().setattr("grad_req", grad_req)
    set_parameters(network, arrays, "the network", context)
    return network


def classifier_of(
    source: ArrayNetwork,
    head: HeadDescription,
    seed: int,
    context: Optional[mx.Context] = None,
) -> BortClassifier:
    """Return a Gluon classifier with the weights of a network, for training.

    Args:
        source: a classifier whose head has the kind and number of outputs of `head`, or a network
            without head, which gets a new one.
        head: description of the head.
        seed: seed of MXNet's generator, which draws the weights of a new head.
        context: device of the weights; the CPU by default.
    """
    if source.description.head is not None:
        network = as_network(source.replace(head=head), context, grad_req="write")
        assert isinstance(network, BortClassifier)
        return network
    model = as_network(source, context, grad_req="write")
    mx.random.seed(seed)
    classifier = BortClassifier(model, head.num_classes, head.dropout, head.kind)
    classifier.initialize(ctx=context)
    return classifier
