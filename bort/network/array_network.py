"""`ArrayNetwork`: a trained network without a framework, as a description and arrays by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Optional

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.network.description import ModelDescription
from bort.network.parameter_names import Place, places, shape_of


@dataclass(frozen=True)
class ArrayNetwork:
    """A network as arrays.

    Attributes:
        description: what the network is.
        arrays: float32, by the names of `bort.network.parameter_names` (those of a `BortModel`; of
            a classifier also `classifier.…`); the tied decoder matrix is there once.

    Raises:
        InputError: names the array that is missing, unknown, of another shape or type, or not
            finite.
    """

    description: ModelDescription
    arrays: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
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
            shape = shape_of(place, self.architecture, self.description.num_classes)
            if array.shape != shape:
                raise InputError(f"parameter {name!r} has shape {array.shape}, expected {shape}")
            if array.dtype != np.float32:
                raise InputError(f"parameter {name!r} is {array.dtype}, allowed is float32")
            if not np.isfinite(array).all():
                raise InputError(f"parameter {name!r} holds a number that is not finite")

    @property
    def architecture(self) -> Architecture:
        """The sizes."""
        return self.description.architecture

    def places(self) -> Iterator[Place]:
        """The rows of the table of parameters that this network fills."""
        return places_of(self.description)

    def replace(
        self, arrays: Optional[Mapping[str, np.ndarray]] = None, **changes: Any
    ) -> ArrayNetwork:
        """A copy, checked again, with other arrays or with some fields of its description changed.

        Args:
            arrays: all arrays of the copy; None for the same.
            changes: fields of `ModelDescription`.
        """
        return ArrayNetwork(
            self.description.replace(**changes), self.arrays if arrays is None else arrays
        )

    def encoder_alone(self) -> ArrayNetwork:
        """The network without decoder and head."""
        dropped = ("decoder.", "classifier.")
        arrays = {k: array for k, array in self.arrays.items() if not k.startswith(dropped)}
        return ArrayNetwork(self.description.encoder_alone(), arrays)


def places_of(description: ModelDescription) -> Iterator[Place]:
    """The rows of the table of parameters that a described network fills."""
    return places(
        description.architecture,
        decoder=description.has_decoder,
        pooler=description.has_pooler,
        head="" if description.head is None else description.head.kind,
    )
