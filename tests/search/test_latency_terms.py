"""Tests of the terms of an inference time, by times whose coefficients are known."""

from __future__ import annotations

import numpy as np
import pytest

from bort.architecture import Architecture
from bort.search.latency_terms import (
    LATENCY_TERMS,
    fit_relative,
    fit_terms,
    sum_of_terms,
    term_values,
)
from bort.search.sizes import sizes_of
from tests.search.latency_samples import LENGTH, TRUE, drawn_sizes, true_seconds


def test_the_terms_by_hand():
    values = term_values(sizes_of([Architecture(2, 3, 5, 7, qkv=6)]), 11)
    expected = [2 * 11 * 5 * 6, 2 * 11 * 5 * 7, 2 * 121 * 6, 2 * 121 * 3, 2 * 11 * 5]
    assert values.tolist() == [[*expected, 2 * 11 * 7, 11 * 5, 2, 1]]
    assert len(LATENCY_TERMS) == 9


def test_the_products_are_the_multiply_adds():
    one = Architecture(3, 4, 8, 16, qkv=12, maximum_length=32)
    projections, feed_forward, attention = term_values(sizes_of([one]), 32)[0, :3]
    counted = 4 * projections + 2 * feed_forward + 2 * attention
    assert counted == 32 * one.multiply_adds_per_token(32)


def test_known_coefficients_are_found_again():
    sizes = drawn_sizes(100)
    found = fit_terms(sizes, true_seconds(sizes), LENGTH)
    for name, value in TRUE.items():
        assert found[name] == pytest.approx(value, rel=1e-6), name


def test_noise_changes_predictions_less_than_the_times():
    sizes, others = drawn_sizes(150), drawn_sizes(60, seed=1)
    noise = np.exp(np.random.default_rng(0).normal(0, 0.05, 150))
    found = fit_terms(sizes, true_seconds(sizes) * noise, LENGTH)
    errors = sum_of_terms(found, others, LENGTH) / true_seconds(others) - 1
    assert np.abs(errors).mean() < 0.02


def test_a_coefficient_is_never_negative():
    sizes = drawn_sizes(100)
    # A machine on which a long feed-forward part would cost less than nothing.
    seconds = true_seconds(sizes) * (1 - 0.9 * sizes[:, 3] / 3072)
    assert min(fit_terms(sizes, seconds, LENGTH).values()) >= 0


def test_errors_are_relative():
    # One of these two times has to be wrong: by the same share, not by the same seconds.
    values = np.array([[1.0], [1.0]])
    found = fit_relative(values, np.array([1.0, 100.0]))[0]
    assert found == pytest.approx(1.01 / 1.0001, rel=1e-9), "the minimum of Σ (c / t − 1)²"


def test_equal_sizes_have_equal_times_in_any_table():
    sizes = drawn_sizes(50)
    every = sum_of_terms(TRUE, sizes, LENGTH)
    assert [sum_of_terms(TRUE, sizes[n : n + 1], LENGTH)[0] for n in range(50)] == every.tolist()
