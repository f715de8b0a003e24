"""`ArrayNetwork`: a trained network as a description and NumPy arrays, without a framework."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Optional

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.network.description import ModelDescription
from bort.network.parameter_names import HEAD_PREFIXES, ParameterRow, places, shape_of


@dataclass(frozen=True)
class ArrayNetwork:
    """A network as arrays.

    Attributes:
        description: description of the network.
        arrays: float32, by the names of `bort.network.parameter_names` (those of a `BortModel`; a
            model with a head also has those of the head); the tied decoder matrix occurs once.

    Raises:
        InputError: an array is missing, unknown, not finite, or has another shape or type; the
            message names it.
    """

    description: ModelDescription
    arrays: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        if self.architecture.depth > len(self.arrays):
            # Checked first: with a damaged depth, making all names might never end.
            raise InputError(
                f"{len(self.arrays)} parameters do not fit {self.architecture.depth} layers"
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
        """Sizes of the network."""
        return self.description.architecture

    def places(self) -> Iterator[ParameterRow]:
        """Return the rows of the table of parameters that this network has."""
        return places_of(self.description)

    def replace(
        self, arrays: Optional[Mapping[str, np.ndarray]] = None, **changes: Any
    ) -> ArrayNetwork:
        """Return a checked copy with other arrays or with some fields of its description changed.

        Args:
            arrays: all arrays of the copy; None keeps them.
            changes: fields of `ModelDescription`.
        """
        return ArrayNetwork(
            self.description.replace(**changes), self.arrays if arrays is None else arrays
        )

    def encoder_alone(self) -> ArrayNetwork:
        """Return the network without decoder and head."""
        dropped = ("decoder.", *HEAD_PREFIXES)
        arrays = {k: array for k, array in self.arrays.items() if not k.startswith(dropped)}
        return ArrayNetwork(self.description.encoder_alone(), arrays)


def places_of(description: ModelDescription) -> Iterator[ParameterRow]:
    """Return the rows of the table of parameters that a described network has."""
    return places(
        description.architecture,
        decoder=description.has_decoder,
        tied=description.tied_decoder,
        pooler=description.has_pooler,
        head="" if description.head is None else description.head.kind,
    )
