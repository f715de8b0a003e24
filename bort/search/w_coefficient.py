"""The W-coefficient, which scores a candidate by its size, latency and error."""

from __future__ import annotations

import math
from typing import List, Optional, Sequence

import numpy as np

from bort.errors import InputError


def w_coefficient(
    parameters: float,
    latency: float,
    error: float,
    maximum_parameters: float,
    maximum_latency: float,
) -> Optional[float]:
    """Return W of a candidate f with respect to the maximum point T.

    `W(f, T) = (p(T) − p(f))/p(T) · (i(T) − i(f))/i(T) · 1/e(f)`

    Source: arXiv 2010.08512, definition 8; arXiv 2010.10499, equation 2.

    Args:
        parameters: p(f), above 0.
        latency: i(f), above 0, in the unit of `maximum_latency`.
        error: e(f), above 0.
        maximum_parameters: p(T).
        maximum_latency: i(T).

    Returns:
        W above 0, or None where W is not defined. A candidate must be smaller than T in both p and
        i, because the product of two negative factors would make a large network look good.
        W(T, T), for which the formula gives 0, is None too (the paper prints N/A).

    Raises:
        InputError: a number is not finite and above 0.

    >>> w_coefficient(56.14, 0.308, 0.093, 355, 6.170)  # Bort in Table 1, printed as 8.6
    8.60...
    >>> w_coefficient(400, 0.3, 0.1, 355, 6.170) is None
    True
    """
    for name, value in (
        ("parameters", parameters),
        ("latency", latency),
        ("error", error),
        ("maximum_parameters", maximum_parameters),
        ("maximum_latency", maximum_latency),
    ):
        if not math.isfinite(value) or value <= 0:
            raise InputError(f"W-coefficient: {name} is {value!r}, allowed is above 0")
    if parameters >= maximum_parameters or latency >= maximum_latency:
        return None
    return (
        (maximum_parameters - parameters)
        / maximum_parameters
        * (maximum_latency - latency)
        / maximum_latency
        / error
    )


def smallness(
    parameters: float, latency: float, maximum_parameters: float, maximum_latency: float
) -> float:
    """Return `(1 − p/p(T)) · (1 − i/i(T))`, the factor of W that does not depend on the error.

    >>> smallness(25, 1, 100, 4)
    0.5625
    """
    return (1 - parameters / maximum_parameters) * (1 - latency / maximum_latency)


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> Optional[float]:
    """Return Spearman's rank correlation; ties take the mean of their ranks.

    Args:
        first: (n,) numbers.
        second: (n,) numbers.

    Returns:
        A number from -1 to 1; None for fewer than two points or a sequence of equal numbers.

    Raises:
        InputError: the sequences differ in length.

    >>> rank_correlation([1, 2, 3], [10, 30, 20])
    0.5
    """
    if len(first) != len(second):
        raise InputError(
            f"rank correlation: first has {len(first)} numbers and second has {len(second)}, "
            "allowed are as many"
        )
    if min(len(set(first)), len(set(second))) < 2:
        return None
    # Integers, so that equal orders give exactly 1 and opposite ones exactly -1.
    a, b = _doubled_ranks(first), _doubled_ranks(second)
    count = len(a)

    def covariance(x: List[int], y: List[int]) -> int:
        return count * sum(one * other for one, other in zip(x, y)) - sum(x) * sum(y)

    return covariance(a, b) / math.sqrt(covariance(a, a) * covariance(b, b))


def _doubled_ranks(numbers: Sequence[float]) -> List[int]:
    """Return twice the rank of every number, from 2; equal numbers share their mean rank."""
    _, places, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    doubled: List[int] = (2 * np.cumsum(counts) - counts + 1)[places].tolist()
    return doubled
