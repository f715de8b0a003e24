"""Updates of a regression's last layer in units of the labels."""

from __future__ import annotations

import contextlib
from typing import Iterator, List, Tuple

import mxnet as mx

from bort.gluon.network.networks import HeadedNetwork, Network
from bort.gluon.training.flat import FlatParameters
from bort.network.head import REGRESSION


def output_scale(network: Network) -> float:
    """Return the unit of a network's labels, 1 but for a regression; see `LabelUnit`."""
    if isinstance(network, HeadedNetwork) and network.problem_type == REGRESSION:
        return network.unit.scale
    return 1.0


class LabelUnits:
    """The last layer of a regression in units of its labels, while an optimizer updates it.

    Adam moves a weight by about the learning rate, whatever the gradient is, so a last layer whose
    outputs are to be around 10,000 would need millions of steps. In units of the labels it needs as
    many as for labels around 1. The unit is a power of two, so weights that no update touches keep
    their bits. The unit is our assumption.

    Args:
        network: a network whose parameters are views of `flat`.
        flat: its flat buffers.

    Attributes:
        scale: the unit, 1 but for a regression.
    """

    def __init__(self, network: Network, flat: FlatParameters) -> None:
        self.scale = output_scale(network)
        self._views: List[Tuple[mx.nd.NDArray, mx.nd.NDArray]] = []
        self._flat = flat
        if self.scale != 1.0:
            assert isinstance(network, HeadedNetwork)
            names = network.names_of_outputs()
            self._views = [
                (flat.view(flat.weights, slot), flat.view(flat.gradients, slot))
                for slot in flat.held_by(flat.gradients)
                if slot.name in names
            ]
            assert len(self._views) == len(names), "the last layer has weights and biases"

    @contextlib.contextmanager
    def during(self) -> Iterator[None]:
        """Hold weights and gradients of the last layer in units of the labels."""
        for weights, gradients in self._views:
            weights *= 1.0 / self.scale
            gradients *= self.scale
        try:
            yield
        finally:
            for weights, _ in self._views:
                weights *= self.scale
            if self._views:
                self._flat.publish()
