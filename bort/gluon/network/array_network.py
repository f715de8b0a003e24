"""Conversions between Gluon networks and the descriptions and arrays of `bort.network`."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

import mxnet as mx
import numpy as np

from bort.gluon.network.classifier import BortClassifier
from bort.gluon.network.model import BortModel
from bort.gluon.network.networks import HeadedNetwork, Network, encoder_of
from bort.gluon.network.parameters import collect_arrays, set_parameters
from bort.gluon.network.span_model import BortSpanModel
from bort.network.array_network import ArrayNetwork
from bort.network.description import ModelDescription
from bort.network.head import HeadDescription
from bort.network.parameter_names import HEAD_PREFIXES

_ENCODER = "bort."


def describe_network(
    network: Network, *, labels: Tuple[str, ...] = (), **known: Any
) -> ModelDescription:
    """Return the description of a Gluon network.

    Args:
        network: a model, a classifier or a span model.
        labels: names of a classifier's outputs.
        known: fields of `ModelDescription` that cannot be read from the network, such as `task` and
            `vocabulary_fingerprint`.
    """
    model = encoder_of(network)
    head: Optional[HeadDescription] = None
    if isinstance(network, HeadedNetwork):
        head = HeadDescription(
            network.head,
            network.num_classes,
            labels,
            network.dropout,
            network.problem_type,
            network.unit,
        )
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
    return model if description.head is None else with_head(model, description.head)


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
    has_head = isinstance(network, HeadedNetwork)
    arrays = {
        _ENCODER + name if has_head and not name.startswith(HEAD_PREFIXES) else name: array
        for name, array in source.arrays.items()
    }
    network.collect_params().setattr("grad_req", grad_req)
    set_parameters(network, arrays, "the network", context)
    return network


def headed_network(
    source: ArrayNetwork,
    head: HeadDescription,
    seed: int,
    context: Optional[mx.Context] = None,
) -> HeadedNetwork:
    """Return a Gluon network with a head and the weights of a network, for training.

    Args:
        source: a network whose head has the kind and number of outputs of `head`, or a network
            without head, which gets a new one.
        head: description of the head.
        seed: seed of MXNet's generator, which draws the weights of a new head.
        context: device of the weights; the CPU by default.
    """
    if source.description.head is not None:
        network = as_network(source.replace(head=head), context, grad_req="write")
        assert isinstance(network, HeadedNetwork)
        return network
    model = as_network(source, context, grad_req="write")
    mx.random.seed(seed)
    network = with_head(model, head)
    network.initialize(ctx=context)
    return network


def with_head(model: BortModel, head: HeadDescription) -> HeadedNetwork:
    """Return a network of an encoder and a described head, whose weights are not initialised.

    Args:
        model: the encoder.
        head: description of the head.

    Raises:
        InputError: a value of the description is out of its range.
    """
    if head.is_span:
        return BortSpanModel(model, head.dropout)
    return BortClassifier(
        model,
        head.num_classes,
        head.dropout,
        head.kind,
        problem_type=head.problem_type,
        unit=head.unit,
    )
