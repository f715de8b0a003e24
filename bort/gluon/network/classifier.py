"""`BortClassifier`: a classifier or regressor on top of a `BortModel`."""

from __future__ import annotations

import warnings
from typing import Any, Optional

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from bort.errors import InputError
from bort.gluon.network.model import INITIAL_SPREAD, BortModel
from bort.network.head import CLASSIFIER_HEADS, RELEASE, TWO_LINEAR


class BortClassifier(HybridBlock):
    """A classifier (or regressor) on the first token's encoding.

    Source: arXiv 2010.10499, section 4.

    Args:
        model: the encoder; its decoder is not used.
        num_classes: number of outputs, at least 1; 1 for a regression.
        dropout: dropout probability before every dense layer of the head, in [0, 1).
        head: the classifier head. `release` is that of the original release: a dense layer of width
            H with tanh, then a dense layer to the classes. `linear` is that of the paper: one dense
            layer with weights from U(-0.5, 0.5). `two_linear` is that of the paper for CoLA:
            `linear` after a dense layer of width H without activation.
        prefix: prefix of the Gluon parameter names.
        params: a Gluon parameter dictionary to share with.

    Raises:
        InputError: an argument is out of its range.
    """

    def __init__(
        self,
        model: BortModel,
        num_classes: int = 2,
        dropout: float = 0.1,
        head: str = RELEASE,
        prefix: Optional[str] = None,
        params: Optional[Any] = None,
    ) -> None:
        super().__init__(prefix=prefix, params=params)
        if head not in CLASSIFIER_HEADS:
            raise InputError(f"head is {head!r}, allowed are {', '.join(CLASSIFIER_HEADS)}")
        if not 0 <= dropout < 1:
            raise InputError(f"dropout is {dropout!r}, allowed is 0 to below 1")
        if num_classes < 1:
            raise InputError(f"num_classes is {num_classes!r}, allowed is at least 1")
        self.head = head
        self.dropout = dropout
        self.num_classes = num_classes
        hidden = model.architecture.hidden
        self.bort = model
        with self.name_scope():
            self.classifier = nn.HybridSequential(prefix="classifier_")
            with self.classifier.name_scope():
                self.classifier.add(nn.Dropout(dropout))
                spread: Any = mx.init.Uniform(0.5)
                if head == RELEASE:
                    self.classifier.add(nn.Dense(hidden, in_units=hidden, activation="tanh"))
                    self.classifier.add(nn.Dropout(dropout))
                    spread = None
                if head == TWO_LINEAR:
                    self.classifier.add(nn.Dense(hidden, in_units=hidden))
                    self.classifier.add(nn.Dropout(dropout))
                self.classifier.add(
                    nn.Dense(num_classes, in_units=hidden, weight_initializer=spread)
                )

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
        """Return outputs (B, num_classes) for token ids (B, L); see `BortModel.__call__`."""
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
        first = F.slice_axis(encoded, axis=1, begin=0, end=1).reshape((0, -1))
        return (self.classifier(first), encoded, *attention)
