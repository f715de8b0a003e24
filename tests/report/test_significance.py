"""Significance tests: exact on few seeds, valid under the null hypothesis, Holm's correction."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.errors import InputError
from bort.report.significance import holm, mean_interval, sign_flip_p_value


@given(st.lists(st.integers(-20, 20), min_size=2, max_size=9))
def test_it_is_the_share_of_sign_choices_that_do_as_well(differences):
    flips = itertools.product((-1, 1), repeat=len(differences))
    sums = [sum(s * d for s, d in zip(signs, differences)) for signs in flips]
    share = sum(one >= sum(differences) for one in sums) / len(sums)
    assert sign_flip_p_value(differences) == pytest.approx(share)


def test_it_is_one_sided():
    assert sign_flip_p_value([0.1] * 8) == pytest.approx(1 / 256)
    assert sign_flip_p_value([-0.1] * 8) == pytest.approx(1.0)


def test_chance_is_rarely_called_a_gain():
    generator = np.random.default_rng(3)
    p_values = [sign_flip_p_value(generator.normal(size=8)) for _ in range(400)]
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize("differences", [[], [0.1], [0.1, float("nan")]])
def test_too_few_or_not_finite_is_refused(differences):
    with pytest.raises(InputError, match="differences|not finite"):
        sign_flip_p_value(differences)


def test_holm_keeps_the_order_and_never_helps():
    raw = [0.04, 0.001, 0.3, 0.02]
    adjusted = holm(raw)
    assert adjusted == pytest.approx([0.08, 0.004, 0.3, 0.06])
    assert all(after >= before for after, before in zip(adjusted, raw))
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(
    ("values", "half"),
    [
        # Student's quantiles of a table: 12.706, 4.303 and 2.776 with 1, 2 and 4 degrees of freedom
        ((0.0, 2.0), 12.706),
        ((1.0, 2.0, 3.0), 4.3027 / 3**0.5),
        ((1.0, 1.0, 2.0, 3.0, 3.0), 2.7764 / 5**0.5),
        ((0.5, 0.5, 0.5), 0.0),
    ],
)
def test_the_interval_of_a_mean_is_students(values, half):
    mean, found = mean_interval(values)
    assert mean == pytest.approx(sum(values) / len(values))
    assert found == pytest.approx(half, rel=1e-4)


def test_a_single_value_has_no_interval():
    assert mean_interval([0.3]) == (0.3, None)


@pytest.mark.parametrize("values", [[], [float("nan")], [1.0, float("inf")]])
def test_an_interval_needs_finite_values(values):
    with pytest.raises(InputError, match="an interval needs finite values"):
        mean_interval(values)


def test_an_interval_covers_the_true_mean_as_often_as_it_says():
    """The wrong quantile of the normal distribution would cover 81 % with 3 values."""
    generator = np.random.default_rng(0)
    covered = 0
    for values in generator.normal(1.0, 2.0, size=(2_000, 3)):
        mean, half = mean_interval(values)
        covered += abs(mean - 1.0) <= half
    # Binomial, n 2000, p .95: the deviation is 9.7; six of them: a false alarm in 1e8
    assert abs(covered - 1_900) < 59
