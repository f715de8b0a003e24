"""Tests of Adam's update in NumPy against its formula in double precision."""

from __future__ import annotations

import numpy as np
import pytest

from bort.training.adam import _BLOCK, AdamSettings, adam_update

SETTINGS = AdamSettings(
    learning_rate=3e-3, gradient_scale=0.25, decay=0.1, epsilon=1e-6, beta1=0.9, beta2=0.999
)


def _state(size: int):
    generator = np.random.default_rng(0)
    weights, gradients, mean = generator.normal(size=(3, size)).astype(np.float32)
    return weights, gradients, mean, mean**2


@pytest.mark.parametrize("size", [0, 1, 1000, 2 * _BLOCK + 17])
def test_an_update_is_the_formula(size):
    weights, gradients, mean, variance = _state(size)
    w, g, m, v = (array.astype(np.float64) for array in (weights, gradients, mean, variance))
    adam_update(weights, gradients, mean, variance, SETTINGS)
    scaled = 0.25 * g
    m = 0.9 * m + 0.1 * scaled
    v = 0.999 * v + 0.001 * scaled**2
    w -= 3e-3 * (m / (np.sqrt(v) + 1e-6) + 0.1 * w)
    np.testing.assert_allclose(mean, m, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(variance, v, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(weights, w, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(gradients, g.astype(np.float32))


@pytest.mark.parametrize("size", [1, _BLOCK, 5 * _BLOCK + 3])
@pytest.mark.parametrize("threads", [2, 3, 16])
def test_threads_do_not_change_the_bits(size, threads):
    alone, together = _state(size), _state(size)
    adam_update(*alone, SETTINGS)
    adam_update(*together, SETTINGS, threads)
    for one, other in zip(alone, together):
        np.testing.assert_array_equal(one, other)
