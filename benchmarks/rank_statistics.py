"""Rank correlations with bootstrap intervals over the ranked items."""

from __future__ import annotations

from typing import Any, Callable, Dict, Sequence

import numpy as np

from bort.search.w_coefficient import rank_correlation

RESAMPLES = 5_000
LEVEL = 0.95


def kendall(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Kendall's τ_b.

    >>> round(kendall([1, 2, 3], [1, 3, 2]), 3)
    0.333
    """
    from scipy.stats import kendalltau

    return float(kendalltau(first, second)[0])


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Spearman's rank correlation; NaN if it is not defined."""
    found = rank_correlation(first, second)
    return float("nan") if found is None else found


def correlations(first: Sequence[float], second: Sequence[float]) -> Dict[str, Any]:
    """Return Spearman's and Kendall's correlation, each with its interval of 95 %.

    Args:
        first: (n,) scores of n items.
        second: (n,) scores of the same items.

    Returns:
        `spearman` and `kendall`, each with `value` and `interval`, a pair.
    """
    return {
        name: {"value": function(first, second), "interval": interval(function, first, second)}
        for name, function in (("spearman", spearman), ("kendall", kendall))
    }


def interval(
    function: Callable[[Sequence[float], Sequence[float]], float],
    first: Sequence[float],
    second: Sequence[float],
) -> Sequence[float]:
    """Return the percentile bootstrap interval of a statistic over resampled items.

    Resamples for which the statistic is not defined are left out.
    """
    x, y = np.asarray(first, float), np.asarray(second, float)
    generator = np.random.default_rng(0)
    drawn = generator.integers(0, len(x), (RESAMPLES, len(x)))
    values = np.array([function(x[rows].tolist(), y[rows].tolist()) for rows in drawn])
    edges = np.quantile(values[np.isfinite(values)], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return [float(edge) for edge in edges]
