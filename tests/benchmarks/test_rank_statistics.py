"""Rank correlations against SciPy, and intervals that cover what they should."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks.rank_statistics import correlations, interval, spearman


def test_values_are_those_of_scipy():
    generator = np.random.default_rng(0)
    first = generator.integers(0, 6, 12).tolist()
    second = generator.normal(size=12).tolist()
    found = correlations(first, second)
    assert found["spearman"]["value"] == pytest.approx(stats.spearmanr(first, second)[0])
    assert found["kendall"]["value"] == pytest.approx(stats.kendalltau(first, second)[0])


def test_equal_rankings_have_the_interval_1_to_1():
    assert interval(spearman, range(12), range(12)) == pytest.approx([1.0, 1.0])


def test_the_interval_is_that_of_scipy():
    generator = np.random.default_rng(1)
    first = generator.normal(size=12)
    second = first + generator.normal(size=12)
    theirs = stats.bootstrap(
        (first, second),
        lambda x, y: stats.spearmanr(x, y)[0],
        paired=True,
        vectorized=False,
        method="percentile",
        n_resamples=2_000,
        random_state=2,
    ).confidence_interval
    assert interval(spearman, first, second) == pytest.approx(list(theirs), abs=0.06)
