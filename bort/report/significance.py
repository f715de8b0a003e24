"""Significance tests of whether one way of training is better than another, over paired seeds."""

from __future__ import annotations

from typing import List, Sequence

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
