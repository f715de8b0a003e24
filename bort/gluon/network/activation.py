"""The activations of `bort.network.activations` in Gluon."""

from __future__ import annotations

from typing import Any

from mxnet.gluon import HybridBlock

from bort.network.activations import (
    ERF,
    QUICK,
    QUICK_SCALE,
    RELU,
    TANH,
    TANH_CUBE,
    TANH_SCALE,
    function_of,
)


def activate(F: Any, x: Any, function: str) -> Any:
    """Apply a function to an array of any shape."""
    if function == ERF:
        return F.LeakyReLU(x, act_type="gelu")
    if function == TANH:
        inner = (x + TANH_CUBE * x * x * x) * TANH_SCALE
        return 0.5 * x * (1 + F.tanh(inner))
    if function == RELU:
        return F.relu(x)
    return x * F.sigmoid(QUICK_SCALE * x if function == QUICK else x)


class Activation(HybridBlock):
    """An activation without parameters.

    Args:
        name: name of the activation, see `bort.network.activations`.

    Raises:
        InputError: the name is unknown.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._function = function_of(name)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Apply the activation to an array of any shape."""
        return activate(F, x, self._function)
