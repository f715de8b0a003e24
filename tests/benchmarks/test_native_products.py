"""The products of a step are complete, and the bound of the speed-up follows from their shares."""

from __future__ import annotations

import pytest

from benchmarks.native_products import (
    MXNET_BF16,
    MXNET_FP32,
    PYTORCH_BF16,
    Product,
    products_of,
    speed_ups,
)
from bort.architecture import get_architecture

PRODUCT = Product("proj", 4, 1, 128, 64, 64)


@pytest.mark.parametrize("name", ["bort_4_8_768_1024", "3-12-192-768-384"])
def test_the_products_have_all_multiply_adds_of_a_forward_pass(name):
    architecture = get_architecture(name)
    encoder, decoder = products_of(architecture, 8, 128, 20)
    for predictions, products in ((0, encoder), (20, [*encoder, *decoder])):
        found = sum(p.count * p.matrices * p.rows * p.inputs * p.outputs for p in products)
        assert found == architecture.multiply_adds(8, 128, predictions)


def test_the_bound_is_that_of_a_step_with_the_fastest_products():
    alone = {PRODUCT: {MXNET_FP32: 0.25, MXNET_BF16: 0.2, PYTORCH_BF16: 0.125}}
    found = speed_ups({MXNET_FP32: 2.0, MXNET_BF16: 1.6}, alone)
    assert found["share_of_products"] == 0.5
    assert found["product_speed_up"] == 2
    assert found["bound"] == pytest.approx(4 / 3)
    assert found["bound_without_products"] == 2
    assert found["speed_up_by_mxnet_bf16"] == 1.25


def test_a_product_that_bf16_makes_slower_stays_in_fp32():
    found = speed_ups({MXNET_FP32: 2.0}, {PRODUCT: {MXNET_FP32: 0.25, PYTORCH_BF16: 0.5}})
    assert found["bound"] == 1
    assert "speed_up_by_mxnet_bf16" not in found
