"""Tests of the layer norm in Gluon against MXNet's own."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd
from mxnet.gluon import HybridBlock

from bort.gluon.network.layer_norm import LayerNorm

HIDDEN = 24


class _Twice(HybridBlock):
    """A layer norm that is applied twice, and whose input is used twice."""

    def __init__(self, in_numpy: bool) -> None:
        super().__init__()
        with self.name_scope():
            self.norm = LayerNorm(HIDDEN, 1e-5)
        if not in_numpy:
            self.norm._trains_on_cpu = lambda: False

    def hybrid_forward(self, F, x):
        return self.norm(x + self.norm(x))


def _network(in_numpy, request):
    network = _Twice(in_numpy)
    network.initialize()
    network.norm.gamma.set_data(mx.nd.array(np.linspace(0.5, 2, HIDDEN)))
    network.norm.beta.set_data(mx.nd.array(np.linspace(-1, 1, HIDDEN)))
    network.collect_params().setattr("grad_req", request)
    return network


def _passes(network, passes=1):
    """The output, and the gradients after some passes."""
    x = mx.nd.array(np.random.default_rng(0).normal(3, 2, (3, 5, HIDDEN)))
    x.attach_grad()
    for _ in range(passes):
        with autograd.record():
            y = network(x)
        y.backward(mx.nd.array(np.random.default_rng(1).normal(0, 1, y.shape)))
    norm = network.norm
    return [a.asnumpy() for a in (y, x.grad, norm.gamma.grad(), norm.beta.grad())]


@pytest.mark.parametrize("request_", ["write", "add"])
@pytest.mark.parametrize("flags", [None, {}, {"static_alloc": True, "static_shape": True}])
def test_outputs_and_gradients_are_those_of_mxnets_own(flags, request_):
    found = []
    for in_numpy in (True, False):
        network = _network(in_numpy, request_)
        if flags is not None:
            network.hybridize(**flags)
        found.append(_passes(network, passes=2))
    for ours, theirs in zip(*found):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-5)


def test_the_input_alone_may_have_a_gradient_that_is_added():
    network = _network(True, "write")
    x = mx.nd.array(np.random.default_rng(0).normal(3, 2, (3, 5, HIDDEN)))
    x.attach_grad("add")
    gradients = []
    for _ in range(2):
        with autograd.record():
            y = network.norm(x)
        y.backward(mx.nd.array(np.random.default_rng(1).normal(0, 1, y.shape)))
        gradients.append(x.grad.asnumpy())
    np.testing.assert_allclose(gradients[1], 2 * gradients[0], rtol=1e-5, atol=1e-6)


def test_a_prediction_has_the_bits_of_the_forward_pass():
    network = _network(True, "write")
    network.hybridize(static_alloc=True)
    x = mx.nd.array(np.random.default_rng(0).normal(3, 2, (3, 5, HIDDEN)))
    with autograd.record():
        trained = network(x)
    with autograd.predict_mode():
        np.testing.assert_array_equal(network(x).asnumpy(), trained.asnumpy())


def test_without_gradients_mxnets_operator_runs():
    fixed = _network(True, "null")
    x = mx.nd.array(np.random.default_rng(0).normal(3, 2, (3, 5, HIDDEN)))
    np.testing.assert_array_equal(fixed(x).asnumpy(), _network(False, "write")(x).asnumpy())


def test_other_shapes_follow_in_the_same_graph():
    network, plain = _network(True, "write"), _network(False, "write")
    network.hybridize(static_alloc=True)
    for shape in ((2, 7), (5, 3), (4,)):
        x = mx.nd.array(np.random.default_rng(0).normal(3, 2, (*shape, HIDDEN)))
        np.testing.assert_allclose(network(x).asnumpy(), plain(x).asnumpy(), rtol=1e-5, atol=2e-5)
