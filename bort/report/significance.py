"""Intervals of means over seeds, and tests of whether one way of training beats another."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

import numpy as np

from bort.errors import InputError


def sign_flip_p_value(differences: Sequence[float]) -> float:
    """Return the p-value of a one-sided paired permutation test that the differences are above 0.

    If both ways were equally good, every difference could have either sign with the same
    probability. The p-value is the share of all 2^N choices of signs (sampled at random beyond some
    hundred thousand) whose sum is at least the observed one; its smallest possible value is 2^-N.

    Args:
        differences: one per seed: score of the first way minus score of the second.

    Raises:
        InputError: there are fewer than two differences, or one is not finite.

    >>> sign_flip_p_value([0.1, 0.2, 0.3])
    0.125
    >>> sign_flip_p_value([0.1, -0.1])
    0.75
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise InputError(f"a paired test needs at least 2 differences, got {values.size}")
    if not np.isfinite(values).all():
        raise InputError(f"a difference is not finite: {list(differences)}")
    from scipy.stats import permutation_test  # late: the import takes half a second

    found = permutation_test(
        (values,),
        np.sum,
        permutation_type="samples",
        alternative="greater",
        n_resamples=200_000,
        random_state=0,
    )
    return float(found.pvalue)


def holm(p_values: Sequence[float]) -> List[float]:
    """Return Holm's adjusted p-values of several tests, which bound the family-wise error rate.

    The p-values are sorted in ascending order, p_0 to p_(m-1). The adjusted value of p_i is the
    maximum of `(m − j)·p_j` over all j ≤ i, and at most 1.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, 1979.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for place, number in enumerate(sorted(range(len(p_values)), key=lambda n: p_values[n])):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[number]))
        adjusted[number] = highest
    return adjusted


def mean_interval(
    values: Sequence[float], confidence: float = 0.95
) -> Tuple[float, Optional[float]]:
    """Return the mean of values and the half width of Student's interval of it.

    The half width is `t·s/√n`, with the sample standard deviation s and the quantile t of Student's
    distribution with n − 1 degrees of freedom. It supposes that the values are about normal.

    Args:
        values: one per seed.
        confidence: probability that the interval covers the true mean, above 0 and below 1.

    Returns:
        The mean, and the half width; None for a single value.

    Raises:
        InputError: there is no value, or one is not finite.

    >>> mean, half = mean_interval([1.0, 2.0, 3.0])
    >>> mean, round(half, 3)
    (2.0, 2.484)
    """
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or not len(found) or not np.isfinite(found).all():
        raise InputError(f"an interval needs finite values, got {list(values)}")
    mean = float(found.mean())
    if len(found) == 1:
        return mean, None
    from scipy.stats import t  # late: the import takes half a second

    quantile = float(t.ppf((1.0 + confidence) / 2.0, len(found) - 1))
    return mean, quantile * float(found.std(ddof=1)) / len(found) ** 0.5
