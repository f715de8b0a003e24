"""Tests of the layer norm in NumPy against its formula in double precision."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from bort.network.layer_norm import _BLOCK, layer_norm, layer_norm_gradients

EPSILON = 1e-3
SIZES = [(1, 1), (3, 5), (700, 24), (2 * _BLOCK // 768 + 7, 768), (3, _BLOCK + 1)]


def _arguments(size):
    generator = np.random.default_rng(0)
    x, gradient = generator.normal(2, 3, (2, *size)).astype(np.float32)
    gamma, beta = generator.normal(1, 1, (2, size[1])).astype(np.float32)
    return x, gamma, beta, gradient


def _run(size, threads=1):
    """The output and the gradients of x, γ and β."""
    x, gamma, beta, gradient = _arguments(size)
    output, of_x = np.full((2, *size), np.nan, np.float32)
    mean, scale = np.full((2, size[0]), np.nan, np.float32)
    layer_norm(x, gamma, beta, EPSILON, output, mean, scale, threads)
    further = layer_norm_gradients(gradient, x, gamma, mean, scale, of_x, threads)
    return [output, of_x, *further]


def _formula(x, gamma, beta):
    centred = x - x.mean(axis=1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + EPSILON) * gamma + beta


@pytest.mark.parametrize("size", SIZES)
def test_the_output_is_the_formula(size):
    x, gamma, beta, _ = (array.astype(np.float64) for array in _arguments(size))
    np.testing.assert_allclose(_run(size)[0], _formula(x, gamma, beta), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", SIZES[1:4])
def test_the_gradients_are_the_slopes_of_the_formula(size):
    arguments = [array.astype(np.float64) for array in _arguments(size)]
    gradient = arguments.pop()
    generator = np.random.default_rng(1)
    for index, ours in enumerate(_run(size)[1:]):
        direction = generator.normal(size=arguments[index].shape)
        ahead, behind = (
            _formula(*(a + sign * 1e-5 * direction * (i == index) for i, a in enumerate(arguments)))
            for sign in (1, -1)
        )
        slope = (gradient * (ahead - behind)).sum() / 2e-5
        np.testing.assert_allclose((ours * direction).sum(), slope, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("threads", [2, 3, 16])
@pytest.mark.parametrize("size", [(1, 5), (4 * _BLOCK // 96 + 1, 96)])
def test_threads_do_not_change_the_bits(size, threads):
    for alone, together in zip(_run(size), _run(size, threads)):
        np.testing.assert_array_equal(alone, together)


def test_equal_rows_have_the_offset():
    x, gamma, beta = np.full((4, 8), 3, np.float32), np.ones(8, np.float32), np.ones(8, np.float32)
    output, of_x = np.empty((2, 4, 8), np.float32)
    mean, scale = np.empty((2, 4), np.float32)
    layer_norm(x, gamma, beta, EPSILON, output, mean, scale)
    np.testing.assert_array_equal(output, np.ones((4, 8)))
    layer_norm_gradients(x, x, gamma, mean, scale, of_x)
    np.testing.assert_allclose(of_x, 0, atol=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_numbers_that_overflow_warn_of_nothing(threads):
    size = SIZES[3]
    x, gamma, beta, gradient = _arguments(size)
    x *= np.float32(1e30)
    output, of_x = np.empty((2, *size), np.float32)
    mean, scale = np.empty((2, size[0]), np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer_norm(x, gamma, beta, EPSILON, output, mean, scale, threads)
        layer_norm_gradients(gradient, x, gamma, mean, scale, of_x, threads)
    assert not np.isfinite(scale).all() or (scale == 0).any()
