"""A trained network without a framework: its arrays by name, and all that they do not say."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Dict, Iterator, Mapping, Optional, Tuple

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.network.parameter_names import Place, places, shape_of

LINEAR, TWO_LINEAR, RELEASE = "linear", "two_linear", "release"
HEADS = (RELEASE, LINEAR, TWO_LINEAR)


@dataclass(frozen=True)
class ArrayNetwork:
    """A network as arrays.

    Attributes:
        architecture: the sizes.
        arrays: float32, by the names of `bort.network.parameter_names` (those of a `BortModel`; of
            a classifier also `classifier.…`); the tied decoder matrix is there once.
        layer_norm_eps: ε of the layer norms in the encoder.
        decoder_layer_norm_eps: ε of the decoder's.
        dropout: probability of dropping in training; 0 to below 1.
        head: of a classifier: `release`, `linear` or `two_linear`; None for a model without one.
        num_classes: outputs of the head, 1 for a regression; 0 without a head.
        head_dropout: probability of dropping in the head.
        extra: JSON-ready: labels, task, metrics, fingerprint of the vocabulary, provenance.

    Raises:
        InputError: names the array that is missing, unknown, of another shape or type, or not
            finite.
    """

    architecture: Architecture
    arrays: Mapping[str, np.ndarray]
    layer_norm_eps: float = 1e-5
    decoder_layer_norm_eps: float = 1e-5
    dropout: float = 0.1
    head: Optional[str] = None
    num_classes: int = 0
    head_dropout: float = 0.1
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.head is not None and self.head not in HEADS:
            raise InputError(f"head is {self.head!r}, allowed are {', '.join(HEADS)}")
        if (self.head is None) != (self.num_classes == 0):
            raise InputError(f"num_classes is {self.num_classes} and head is {self.head!r}")
        labels = self.extra.get("labels") or []
        if not isinstance(labels, (list, tuple)) or not all(isinstance(x, str) for x in labels):
            raise InputError(f"labels are {labels!r}, allowed is a list of names")
        if self.labels and len(self.labels) != self.num_classes:
            raise InputError(f"{self.num_classes} outputs have {len(self.labels)} labels")
        if self.architecture.depth > len(self.arrays):
            # Said before all their names are made, which for a damaged depth might never end.
            raise InputError(
                f"{len(self.arrays)} parameters are not those of {self.architecture.depth} layers"
            )
        expected = {place.gluon: place for place in self.places()}
        for name in self.arrays:
            if name not in expected:
                raise InputError(f"parameter {name!r} has no place in this network")
        for name, place in expected.items():
            if name not in self.arrays:
                raise InputError(f"parameter {name!r} is missing")
            array = self.arrays[name]
            shape = shape_of(place, self.architecture, self.num_classes)
            if array.shape != shape:
                raise InputError(f"parameter {name!r} has shape {array.shape}, expected {shape}")
            if array.dtype != np.float32:
                raise InputError(f"parameter {name!r} is {array.dtype}, allowed is float32")
            if not np.isfinite(array).all():
                raise InputError(f"parameter {name!r} holds a number that is not finite")

    @property
    def has_decoder(self) -> bool:
        """Whether it has the masked-token decoder."""
        return any(name.startswith("decoder.") for name in self.arrays)

    @property
    def has_pooler(self) -> bool:
        """Whether it has a pooler of its own."""
        return any(name.startswith("pooler.") for name in self.arrays)

    @property
    def labels(self) -> Tuple[str, ...]:
        """Names of a classifier's outputs, () if they are not known or it is a regression."""
        return tuple(map(str, self.extra.get("labels") or ()))

    def places(self) -> Iterator[Place]:
        """The rows of the table of parameters that this network fills."""
        return places(
            self.architecture,
            decoder=self.has_decoder,
            pooler=self.has_pooler,
            head=self.head or "",
        )

    def replace(self, **changes: Any) -> ArrayNetwork:
        """A copy with some fields changed, checked again."""
        return dataclasses.replace(self, **changes)

    def encoder_alone(self) -> ArrayNetwork:
        """The network without decoder and head."""
        dropped = ("decoder.", "classifier.")
        arrays = {k: v for k, v in self.arrays.items() if not k.startswith(dropped)}
        return self.replace(arrays=arrays, head=None, num_classes=0, extra=_unlabelled(self.extra))


def _unlabelled(extra: Mapping[str, Any]) -> Dict[str, Any]:
    return {name: value for name, value in extra.items() if name != "labels"}
