"""Tests of the encoder's dense layers: `exact` is Gluon's own layer, `fast` rounds to bf16."""

from __future__ import annotations

from typing import Any, List

import mxnet as mx
import numpy as np
import pytest
from mxnet.gluon import nn

from bort.architecture import Architecture
from bort.gluon.network.dense import EncoderDense, use_math
from bort.gluon.network.model import BortModel
from bort.training.arithmetic import EXACT_MATH, FAST_MATH
from tests.gluon.network.network_samples import PRE_NORM, SMALL, make_model, needs_bf16

ROUNDING = 2**-8
"""Largest relative error of a number that is rounded to 8 significant bits."""

NARROW = Architecture(1, 1, 3, 5, vocabulary_size=20, maximum_length=24)


def graph_of(model: BortModel) -> str:
    """Return the graph of encoding and logits as JSON."""
    inputs = [mx.sym.var(name) for name in ("ids", "lengths", "positions")]
    return str(mx.sym.Group(model(*inputs)).tojson(remove_amp_cast=False))


def dense_layers(model: BortModel) -> List[Any]:
    found: List[Any] = []
    model.apply(lambda block: found.append(block) if isinstance(block, EncoderDense) else None)
    return found


def as_plain(model: BortModel) -> BortModel:
    """Make every layer of the encoder Gluon's own."""
    for layer in dense_layers(model):
        layer.__class__ = nn.Dense
    return model


@pytest.mark.parametrize("sizes", [SMALL, PRE_NORM])
def test_exact_is_the_graph_of_gluons_own_layers(sizes: Architecture) -> None:
    graphs = []
    for change in (lambda model: model, as_plain):
        with mx.name.NameManager():
            graphs.append(graph_of(change(make_model(sizes, prefix="model_"))))
    assert graphs[0] == graphs[1]
    assert "amp_cast" not in graphs[0]


@pytest.mark.parametrize("sizes", [SMALL, PRE_NORM])
def test_fast_changes_the_six_products_of_every_layer_and_exact_restores_them(
    sizes: Architecture,
) -> None:
    model = make_model(sizes)
    assert len(dense_layers(model)) == 6 * sizes.depth
    use_math(model, FAST_MATH)
    # three inputs and one output of each layer
    assert graph_of(model).count('"amp_cast"') == 4 * 6 * sizes.depth
    use_math(model, EXACT_MATH)
    assert "amp_cast" not in graph_of(model)


def passed(
    math: str, rows: int, inputs: int, outputs: int, passes: int = 1, **compiled: bool
) -> List[np.ndarray]:
    """Return the output of a layer and the gradients of x, weight and bias.

    Args:
        passes: number of equal passes; those after the first one add their gradients.
        compiled: how the layer is compiled; nothing: it is not.
    """
    generator = np.random.default_rng(3)
    layer = EncoderDense(outputs, inputs, prefix="layer_")
    layer.initialize()
    for parameter in layer.collect_params().values():
        parameter.set_data(mx.nd.array(generator.normal(size=parameter.shape)))
    use_math(layer, math)
    if compiled:
        layer.hybridize(**compiled)
    x = mx.nd.array(generator.normal(size=(2, rows, inputs)))
    gradient = mx.nd.array(generator.normal(size=(2, rows, outputs)))
    x.attach_grad()
    if passes > 1:
        layer.collect_params().setattr("grad_req", "add")
    for _ in range(passes):
        with mx.autograd.record():
            output = layer(x)
        output.backward(gradient)
    return [a.asnumpy() for a in (output, x.grad, layer.weight.grad(), layer.bias.grad())]


@needs_bf16
@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(64, 96, 48), (5, 7, 3), (1, 1, 1)])
def test_fast_rounds_a_layer_and_its_gradients(rows: int, inputs: int, outputs: int) -> None:
    exact, fast = (
        passed(math, rows, inputs, outputs, static_alloc=True) for math in (EXACT_MATH, FAST_MATH)
    )
    for one, other in zip(exact, fast):
        assert other.dtype == np.float32
        difference = np.linalg.norm(other - one) / np.linalg.norm(one)
        # Both factors of a product are rounded, and so is the sum.
        assert difference < 3.1 * ROUNDING
        # Only the 16 upper bits of a number that was rounded to bf16 are set.
        assert not (other.view(np.uint32) & 0xFFFF).any()
    assert any((one != other).any() for one, other in zip(exact, fast))


@needs_bf16
@pytest.mark.parametrize(
    "compiled", [{}, {"static_alloc": True}, {"static_alloc": True, "static_shape": True}]
)
def test_gradients_of_parameters_are_added(compiled: Any) -> None:
    """The gradient of `amp_cast` alone is lost where it is to be added."""
    once, thrice = (passed(FAST_MATH, 6, 32, 48, passes, **compiled) for passes in (1, 3))
    for one, three in zip(once[2:], thrice[2:]):
        assert np.abs(one).max() > 0
        np.testing.assert_allclose(three, 3 * one, rtol=1e-6)


@needs_bf16
@pytest.mark.parametrize("sizes", [SMALL, PRE_NORM, NARROW])
def test_a_whole_model_is_rounded_and_exact_again_afterwards(sizes: Architecture) -> None:
    model = make_model(sizes)
    model.hybridize(static_alloc=True)
    ids = mx.nd.array(np.random.default_rng(1).integers(0, 20, (3, 16)), dtype="int32")
    exact = model(ids).asnumpy()
    use_math(model, FAST_MATH)
    fast = model(ids).asnumpy()
    assert 0 < np.linalg.norm(fast - exact) / np.linalg.norm(exact) < 4 * ROUNDING
    use_math(model, EXACT_MATH)
    np.testing.assert_array_equal(model(ids).asnumpy(), exact)
