"""Activations in Gluon against their definitions in float64, and their derivatives."""

from __future__ import annotations

import math

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd
from scipy.special import erf, expit

from bort.errors import InputError
from bort.gluon.network.activation import Activation
from bort.network.activations import FUNCTIONS

DEFINITIONS = {
    "erf": lambda x: x * 0.5 * (1 + erf(x / math.sqrt(2))),
    "tanh": lambda x: x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "quick": lambda x: x * expit(1.702 * x),
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x * expit(x),
}


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_values_and_derivatives(name: str, hybrid: bool) -> None:
    block = Activation(name)
    if hybrid:
        block.hybridize()
    points = np.linspace(-6, 6, 97) + 0.01
    x = mx.nd.array(points, dtype="float32")
    x.attach_grad()
    with autograd.record():
        y = block(x)
    y.backward()
    function = DEFINITIONS[FUNCTIONS[name]]
    np.testing.assert_allclose(y.asnumpy(), function(points), atol=2e-6)
    slope = (function(points + 1e-5) - function(points - 1e-5)) / 2e-5
    np.testing.assert_allclose(x.grad.asnumpy(), slope, atol=1e-5)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InputError, match="activation is 'mish'"):
        Activation("mish")
