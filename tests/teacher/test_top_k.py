"""Tests of top-k compression against float64 references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.teacher.top_k import (
    SMALLEST_REMAINDER,
    largest,
    log_sum_exp,
    measure_deviation,
    put_back,
    rest_logit,
)


def softmax(logits, temperature):
    scaled = logits.astype(np.float64) / temperature
    odds = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return odds / odds.sum(axis=-1, keepdims=True)


def kept(logits, k, temperature, dtype="float32"):
    """Return ids, logits and log-sum-exp as a cache stores them, and the restored logits (N, V)."""
    ids, values = largest(logits, k)
    values = values.astype(dtype)
    total = log_sum_exp(logits, temperature).astype(np.float32)
    rest = rest_logit(values, total, logits.shape[-1], temperature)
    again = put_back(ids[None], values[None], rest[None], logits.shape[-1])[0]
    return ids, values, total, again


@given(
    st.integers(1, 4),
    st.integers(2, 300),
    st.floats(0.25, 8),
    st.floats(0, 12),
    st.integers(0, 2**32 - 1),
    st.data(),
)
def test_the_words_kept_have_their_probabilities_and_the_rest_shares_the_rest(
    rows, size, temperature, spread, seed, data
):
    k = data.draw(st.integers(1, size - 1))
    logits = np.random.default_rng(seed).standard_normal((rows, size)).astype(np.float32) * spread
    ids, _, total, again = kept(logits.astype(np.float32), k, temperature)
    assert again.dtype == np.float32
    assert np.isfinite(again).all()
    exact, found = softmax(logits, temperature), softmax(again, temperature)
    # Log-sum-exp and rest logit are stored in float32, so a few units in the last place differ.
    rounding = 3 * 2.0**-24 * (2 + np.abs(logits).max() / temperature + np.log(size))
    np.testing.assert_allclose(log_sum_exp(again, temperature), total, atol=rounding)
    inside = np.zeros(logits.shape, bool)
    np.put_along_axis(inside, ids, True, axis=-1)
    np.testing.assert_allclose(found[inside], exact[inside], atol=rounding)
    for row in range(rows):
        others = again[row][~inside[row]]
        assert (others == others[0]).all()
        assert len(others) == size - k
        lowest_kept = logits[row][inside[row]].min()
        assert lowest_kept >= logits[row][~inside[row]].max()


def test_top_words_are_exact_to_a_millionth_for_a_large_vocabulary(random_generator):
    logits = (random_generator.standard_normal((20, 50265)) * 3).astype(np.float32)
    logits[:10, :40] += 12  # as confident as a trained teacher
    for temperature in (1.0, 2.0):
        ids, _, total, again = kept(logits, 64, temperature)
        exact, found = softmax(logits, temperature), softmax(again, temperature)
        top = np.take_along_axis(exact, ids, -1) - np.take_along_axis(found, ids, -1)
        assert np.abs(top).max() < 1e-6
        np.testing.assert_allclose(log_sum_exp(again, temperature), total, rtol=3e-7)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_measured_deviation_is_that_of_a_reference(random_generator, dtype, temperature):
    logits = (random_generator.standard_normal((7, 400)) * 4).astype(np.float32)
    ids, values, total, again = kept(logits, 12, temperature, dtype)
    exact, found = softmax(logits, temperature), softmax(again, temperature)
    divergence = (exact * (np.log(exact) - np.log(found))).sum(axis=-1)
    measured = measure_deviation(logits, ids, values, total, temperature)
    assert divergence.min() > 1e-4, "there is something to measure"
    np.testing.assert_allclose(measured.divergence, divergence, atol=1e-10)
    outside = 1 - np.take_along_axis(exact, ids, -1).sum(axis=-1)
    np.testing.assert_allclose(measured.outside, outside, atol=1e-12)


def test_equal_logits_are_taken_in_the_order_of_their_ids():
    logits = np.array(
        [[0, 5, 5, 5, 1, 5], [2, 2, 2, 2, 2, 2], [0, 1, 2, 3, 4, 5]], dtype=np.float32
    )
    ids, values = largest(logits, 3)
    assert ids.tolist() == [[1, 2, 3], [0, 1, 2], [5, 4, 3]]
    assert values.tolist() == [[5, 5, 5], [2, 2, 2], [5, 4, 3]]
    many = np.zeros((2, 1000), dtype=np.float32)
    many[1, ::7] = 1
    ids, _ = largest(many, 150)
    assert ids[0].tolist() == list(range(150))
    ones = list(range(0, 1000, 7))
    zeros = [n for n in range(1000) if n % 7]
    assert ids[1].tolist() == ones + zeros[: 150 - len(ones)]


@given(
    st.lists(st.lists(st.integers(-3, 3), min_size=5, max_size=5), min_size=1, max_size=9),
    st.integers(1, 5),
)
def test_the_largest_are_those_of_a_stable_sort(rows, k):
    ids, _ = largest(np.array(rows, dtype=np.float64), k)
    expected = [sorted(range(5), key=lambda place: (-row[place], place))[:k] for row in rows]
    assert ids.tolist() == expected


def test_a_sure_teacher_leaves_the_rest_a_finite_logit():
    """By rounding, the kept tokens may have a total probability above 1."""
    values = np.array([[60.0, 0.0], [10.0, 10.0]], dtype=np.float32)
    total = np.array([60.0, 10.0], dtype=np.float32)  # the second is too small by log 2
    rest = rest_logit(values, total, 1000, 1.0)
    assert np.isfinite(rest).all()
    np.testing.assert_allclose(rest, total + np.log(SMALLEST_REMAINDER / 998))
    answers = put_back(np.array([[[1, 5], [0, 2]]]), values[None], rest[None], 1000)
    assert softmax(answers[0, 0], 1.0)[1] == pytest.approx(1, abs=1e-6)


def test_what_is_put_back_is_a_new_array_every_time():
    arguments = (np.array([[[1]]]), np.array([[[2.0]]]), np.array([[0.5]]), 4)
    one, other = put_back(*arguments), put_back(*arguments)
    one[:] = 9
    assert other.tolist() == [[[0.5, 2.0, 0.5, 0.5]]]
