"""The kinds of Gluon networks that a model folder can hold, and their heads."""

from __future__ import annotations

from typing import Union

from bort.gluon.network.classifier import BortClassifier
from bort.gluon.network.model import BortModel
from bort.gluon.network.span_model import BortSpanModel
from bort.network.head import HeadDescription

HeadedNetwork = Union[BortClassifier, BortSpanModel]
"""A network with a head; `bort` is its encoder."""

Network = Union[BortModel, BortClassifier, BortSpanModel]
"""The networks that a model folder can hold."""

HEADED = (BortClassifier, BortSpanModel)
"""The classes of `HeadedNetwork`, for `isinstance`."""


def encoder_of(network: Network) -> BortModel:
    """Return the encoder of a network: the network itself if it has no head."""
    return network.bort if isinstance(network, HEADED) else network


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
    return BortClassifier(model, head.num_classes, head.dropout, head.kind)
