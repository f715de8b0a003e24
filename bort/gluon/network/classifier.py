"""`BortClassifier`: a classifier or regressor on top of a `BortModel`."""

from __future__ import annotations

from typing import Any, FrozenSet, Optional

import mxnet as mx
from mxnet.gluon import nn

from bort.errors import InputError
from bort.gluon.network.model import INITIAL_SPREAD, BortModel
from bort.gluon.network.networks import HeadedNetwork
from bort.network.head import (
    CLASSIFIER_HEADS,
    RELEASE,
    TWO_LINEAR,
    UNSCALED,
    LabelUnit,
    check_problem_type,
    default_problem_type,
)


class BortClassifier(HeadedNetwork):
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
        problem_type: meaning of the outputs, see `bort.network.head.HeadDescription`; the training
            follows it.
        unit: unit of a regression's labels, see `bort.network.head.LabelUnit`; a new last layer
            starts in it.

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
        problem_type: str = "",
        unit: LabelUnit = UNSCALED,
    ) -> None:
        super().__init__(model, prefix, params)
        if head not in CLASSIFIER_HEADS:
            raise InputError(f"head is {head!r}, allowed are {', '.join(CLASSIFIER_HEADS)}")
        if not 0 <= dropout < 1:
            raise InputError(f"dropout is {dropout!r}, allowed is 0 to below 1")
        if num_classes < 1:
            raise InputError(f"num_classes is {num_classes!r}, allowed is at least 1")
        self.head = head
        self.dropout = dropout
        self.num_classes = num_classes
        self.problem_type = problem_type or default_problem_type(head, num_classes)
        check_problem_type(self.problem_type, num_classes)
        self.unit = unit
        hidden = model.architecture.hidden
        with self.name_scope():
            self.classifier = nn.HybridSequential(prefix="classifier_")
            with self.classifier.name_scope():
                self.classifier.add(nn.Dropout(dropout))
                spread: Any = mx.init.Uniform(0.5 * unit.scale)
                if head == RELEASE:
                    self.classifier.add(nn.Dense(hidden, in_units=hidden, activation="tanh"))
                    self.classifier.add(nn.Dropout(dropout))
                    spread = None
                    if unit.scale != 1.0:
                        spread = mx.init.Normal(INITIAL_SPREAD * unit.scale)
                if head == TWO_LINEAR:
                    self.classifier.add(nn.Dense(hidden, in_units=hidden))
                    self.classifier.add(nn.Dropout(dropout))
                self.classifier.add(
                    nn.Dense(
                        num_classes,
                        in_units=hidden,
                        weight_initializer=spread,
                        bias_initializer=mx.init.Constant(unit.mean),
                    )
                )

    def names_of_outputs(self) -> FrozenSet[str]:
        """See `HeadedNetwork.names_of_outputs`."""
        last = len(self.classifier) - 1
        return frozenset(f"classifier.{last}.{name}" for name in ("weight", "bias"))

    def read(self, F: Any, encoded: Any, valid_lengths: Any) -> Any:
        """Return the outputs (B, num_classes); see `HeadedNetwork.read`."""
        first = F.slice_axis(encoded, axis=1, begin=0, end=1).reshape((0, -1))
        return self.classifier(first)
