"""`HeadedNetwork`: a `BortModel` with a head; and the networks that a model folder can hold."""

from __future__ import annotations

import warnings
from typing import Any, FrozenSet, Optional, Union

import mxnet as mx
from mxnet.gluon import HybridBlock

from bort.gluon.network.model import INITIAL_SPREAD, BortModel
from bort.gluon.network.partial_graph import PartialGraph
from bort.network.head import UNSCALED, LabelUnit


class HeadedNetwork(HybridBlock):
    """An encoder with a head: the base of `BortClassifier` and `BortSpanModel`.

    A subclass makes the head's layers and computes them in `read`.

    Args:
        model: the encoder; its decoder is not used.
        prefix: prefix of the Gluon parameter names.
        params: a Gluon parameter dictionary to share with.

    Attributes:
        bort: the encoder.
        head: kind of the head, one of `bort.network.head.HEAD_KINDS`.
        dropout: dropout probability before every dense layer of the head.
        num_classes: number of outputs.
        problem_type: meaning of the outputs, see `bort.network.head.HeadDescription`.
        unit: unit of a regression's labels in training; its outputs do not depend on it.
    """

    head: str
    dropout: float
    num_classes: int
    problem_type: str
    unit: LabelUnit = UNSCALED

    def __init__(
        self, model: BortModel, prefix: Optional[str] = None, params: Optional[Any] = None
    ) -> None:
        super().__init__(prefix=prefix, params=params)
        self.bort = model

    def initialize(
        self,
        init: Any = None,
        ctx: Any = None,
        verbose: bool = False,
        force_reinit: bool = False,
    ) -> None:
        """Draw the initial weights that are not set yet: N(0, 0.02²), or as `head` defines."""
        init = mx.init.Normal(INITIAL_SPREAD) if init is None else init
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*already initialized.*")
            super().initialize(init, ctx, verbose, force_reinit)

    def __call__(self, input_ids: Any, valid_lengths: Any = None, token_types: Any = None) -> Any:
        """Return the head's outputs for token ids (B, L); see `BortModel.__call__`."""
        return super().__call__(input_ids, valid_lengths, token_types)

    def hybrid_forward(
        self, F: Any, input_ids: Any, valid_lengths: Any = None, token_types: Any = None
    ) -> Any:
        """See `__call__`."""
        return self.answer_with_attention(F, input_ids, valid_lengths, token_types)[0]

    def answer_with_attention(
        self, F: Any, input_ids: Any, valid_lengths: Any = None, token_types: Any = None
    ) -> Any:
        """Return (outputs, encoded, query, key, value); see `BortModel.encode_with_attention`."""
        embedded = self.bort.word_embed(input_ids)
        encoded, *attention = self.bort.encode_with_attention(
            F, embedded, input_ids, valid_lengths, token_types
        )
        return (self.read(F, encoded, valid_lengths), encoded, *attention)

    def read(self, F: Any, encoded: Any, valid_lengths: Any) -> Any:
        """Return the head's outputs for encoded tokens (B, L, H).

        Args:
            F: the operators.
            encoded: (B, L, H), zero at padding.
            valid_lengths: (B,), number of tokens in every row that are not padding; None: all.
        """
        raise NotImplementedError

    def names_of_outputs(self) -> FrozenSet[str]:
        """Return the structural names of the parameters of the last layer."""
        raise NotImplementedError


class OutputsWithFeatures(PartialGraph):
    """A network with a head as a function of a batch, with the features of its last layer.

    Args:
        network: the network.
    """

    def __init__(self, network: HeadedNetwork) -> None:
        super().__init__()
        self.network = network

    def hybrid_forward(
        self, F: Any, input_ids: Any, lengths: Any, token_types: Optional[Any] = None
    ) -> Any:
        """Return outputs, encoding, query, key and value."""
        return self.network.answer_with_attention(F, input_ids, lengths, token_types)


Network = Union[BortModel, HeadedNetwork]
"""The networks that a model folder can hold."""


def encoder_of(network: Network) -> BortModel:
    """Return the encoder of a network: the network itself if it has no head."""
    return network.bort if isinstance(network, HeadedNetwork) else network


def token_embeddings(network: Network) -> FrozenSet[str]:
    """Return the structural names of a network's embeddings of tokens, tied ones too."""
    table = encoder_of(network).word_embed[0].weight
    named = network._collect_params_with_prefix()
    return frozenset(name for name, parameter in named.items() if parameter is table)
