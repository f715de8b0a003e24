"""Tests of the W-coefficient against the paper's table, its domain, and the rank correlation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from bort.errors import InputError
from bort.search.w_coefficient import rank_correlation, w_coefficient

# Name, parameters (M), seconds per sample and W as printed in Table 1.
# T is RoBERTa-large: 355 M parameters, 6.170 s.
TABLE_1 = [
    ("A1", 56.14, 0.308, 0.093, 8.6),
    ("A2", 35.20, 0.314, 0.114, 7.5),
    ("A3", 35.20, 0.318, 0.130, 6.6),
    ("BERT-base", 110.0, 2.416, 0.60, 0.7),
]
POSITIVE = st.floats(1e-3, 1e6)


@pytest.mark.parametrize(("name", "parameters", "seconds", "error", "printed"), TABLE_1)
def test_table_1_is_reproduced(name, parameters, seconds, error, printed):
    assert round(w_coefficient(parameters, seconds, error, 355.0, 6.170), 1) == printed


def test_the_maximum_point_has_no_w():
    assert w_coefficient(355, 6.17, 0.1, 355, 6.17) is None


@given(p=POSITIVE, i=POSITIVE, e=POSITIVE, top_p=POSITIVE, top_i=POSITIVE)
def test_w_is_defined_only_below_the_maximum_point_in_both(p, i, e, top_p, top_i):
    w = w_coefficient(p, i, e, top_p, top_i)
    if p < top_p and i < top_i:
        expected = (1 - p / top_p) * (1 - i / top_i) / e
        assert w == pytest.approx(expected, rel=1e-6, abs=1e-12)
    else:
        # For a candidate that is larger in both, the product of the negative factors is positive.
        assert w is None


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_numbers_that_are_not_positive_are_refused(bad):
    good = {"parameters": 1, "latency": 1, "error": 1}
    good.update(maximum_parameters=2, maximum_latency=2)
    for name in good:
        with pytest.raises(InputError, match=name):
            w_coefficient(**{**good, name: bad})


def ranks(values):
    """Return ranks from 1; equal values share the mean of their ranks."""
    return [sum(v < x for v in values) + (values.count(x) + 1) / 2 for x in values]


@given(pairs=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=30))
def test_rank_correlation_is_the_correlation_of_the_ranks(pairs):
    first, second = zip(*pairs)
    ours = rank_correlation(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert ours is None
    else:
        expected = np.corrcoef(ranks(first), ranks(second))[0, 1]
        assert ours == pytest.approx(expected, abs=1e-12)


@given(values=st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=40))
def test_equal_orders_correlate_by_exactly_one(values):
    assume(len(set(values)) > 1)
    assert rank_correlation(values, [value / 3 + 1e12 for value in ranks(values)]) == 1.0
    assert rank_correlation(values, [-rank for rank in ranks(values)]) == -1.0


@given(pairs=st.lists(st.tuples(POSITIVE, POSITIVE), min_size=2, max_size=40, unique=True))
def test_rank_correlation_is_that_of_scipy(pairs):
    first, second = zip(*pairs)
    ours = rank_correlation(first, second)
    if ours is not None:
        assert -1 <= ours <= 1
        assert ours == pytest.approx(spearmanr(first, second)[0], abs=1e-12)


def test_rank_correlation_of_too_little_is_none_and_of_unequal_lengths_refused():
    assert rank_correlation([1.0], [2.0]) is None
    with pytest.raises(InputError, match="first has 2 numbers and second has 1"):
        rank_correlation([1, 2], [1])
