"""Inference time as a sum of terms of the sizes, with coefficients fitted to measured times."""

from __future__ import annotations

import functools
from typing import Dict

import numpy as np

from bort.search.sizes import COLUMNS

LATENCY_TERMS = (
    "layers_projections",
    "layers_feed_forward",
    "layers_attention",
    "layers_softmax",
    "layers_hidden",
    "layers_intermediate",
    "embedding",
    "layers",
    "constant",
)
"""Names of the terms, in the order of the columns of `term_values`."""


def term_values(sizes: np.ndarray, length: int) -> np.ndarray:
    """Return the terms of the time of one sequence.

    With n tokens in a sequence: D·n·H·Q (projections of the attention), D·n·H·I (feed-forward
    part), D·n²·Q (products of the attention), D·n²·A (softmax), D·n·H (layer norms and sums),
    D·n·I (activation), n·H (embedding), D, and 1.

    Args:
        sizes: int (n, 5); see `bort.search.sizes.COLUMNS`.
        length: tokens in a sequence.

    Returns:
        float64 (n, number of terms), in the order of `LATENCY_TERMS`.
    """
    assert sizes.shape[1:] == (len(COLUMNS),), sizes.shape
    depth, heads, hidden, intermediate, qkv = np.asarray(sizes, np.float64).T
    columns = (
        depth * length * hidden * qkv,
        depth * length * hidden * intermediate,
        depth * length**2 * qkv,
        depth * length**2 * heads,
        depth * length * hidden,
        depth * length * intermediate,
        length * hidden,
        depth,
        np.ones_like(depth),
    )
    return np.stack(columns, axis=1)


def fit_terms(sizes: np.ndarray, seconds: np.ndarray, length: int) -> Dict[str, float]:
    """Return non-negative coefficients that minimise the sum of squared relative errors.

    A coefficient below zero would make a larger architecture faster somewhere, so the prediction
    would not grow with every size.

    Args:
        sizes: int (n, 5).
        seconds: float (n,), above 0.
        length: tokens in a sequence.

    Returns:
        A coefficient by name of term, in seconds.
    """
    return dict(zip(LATENCY_TERMS, fit_relative(term_values(sizes, length), seconds).tolist()))


def fit_relative(values: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Return non-negative coefficients c that minimise Σ (values · c / seconds − 1)².

    Args:
        values: float (n, k), not negative.
        seconds: float (n,), above 0.
    """
    from scipy.optimize import nnls  # late: commands import this module for --help

    relative = values / seconds[:, None]
    # Columns differ by ten orders of magnitude; equal scales keep the solver exact.
    scales = np.maximum(np.linalg.norm(relative, axis=0), np.finfo(float).tiny)
    found, _ = nnls(relative / scales, np.ones(len(seconds)))
    return np.asarray(found / scales, np.float64)


def sum_of_terms(coefficients: Dict[str, float], sizes: np.ndarray, length: int) -> np.ndarray:
    """Return the predicted seconds of a sequence, float64 (n,)."""
    values = term_values(sizes, length)
    # A fixed order of additions: a matrix product may round differently for other numbers of rows,
    # and equal sizes must have equal times.
    columns = (values[:, place] * coefficients[name] for place, name in enumerate(LATENCY_TERMS))
    return np.asarray(functools.reduce(np.add, columns), np.float64)
