"""A position's logits kept as its k largest, and put back so that no loss needs to know of it.

Beside the k largest logits of a position the log-sum-exp of all V, divided by the temperature T, is
kept: it says how much probability the other words have in all. Put back, these share it evenly:

    c = T · (L + log((1 − Σ exp(tᵢ/T − L)) / (V − k)))        i over the k largest, L = LSE(t/T)

so that `softmax(·/T)` is exact for the k words, and sums to 1.
"""

from __future__ import annotations

from typing import NamedTuple, Tuple

import numpy as np

SMALLEST_REMAINDER = 2.0**-24
"""Probability left to the other words at least: what float32 tells from 1, so that c is finite."""


def largest(logits: np.ndarray, k: int) -> Tuple[np.ndarray, np.ndarray]:
    """The k largest of every row, largest first; of equal ones those of lower ids.

    Args:
        logits: float (N, V), finite.
        k: 1 to V.

    Returns:
        (int64 (N, k) ids, (N, k) logits in the type of `logits`).

    Example:
        >>> ids, values = largest(np.array([[1.0, 3.0, 2.0, 3.0, 2.0]]), 3)
        >>> ids.tolist(), values.tolist()
        ([[1, 3, 2]], [[3.0, 3.0, 2.0]])
    """
    first = logits.shape[-1] - k
    thresholds = np.partition(logits, first, axis=-1)[:, first]
    ids = np.empty((len(logits), k), dtype=np.int64)
    for row, (numbers, threshold) in enumerate(zip(logits, thresholds)):
        found = np.flatnonzero(numbers >= threshold)  # more than k where some are equal
        ids[row] = found[np.argsort(-numbers[found], kind="stable")[:k]]
    return ids, np.take_along_axis(logits, ids, axis=-1)


def log_sum_exp(logits: np.ndarray, temperature: float) -> np.ndarray:
    """`log Σ exp(logits / T)` over the last axis, in float64: (N, V) -> (N,)."""
    from scipy.special import logsumexp  # late: the flags of commands need this module, not SciPy

    total: np.ndarray = logsumexp(logits.astype(np.float64) / temperature, axis=-1)
    return total


def rest_logit(
    values: np.ndarray, total: np.ndarray, vocabulary_size: int, temperature: float
) -> np.ndarray:
    """The one logit that all words outside the k largest get.

    Args:
        values: (..., k), the k largest logits as kept.
        total: (...), log-sum-exp of all V logits divided by T, as kept.
        vocabulary_size: V, more than k.
        temperature: T.

    Returns:
        float64 (...): see the equation of this module; finite, also where rounding leaves nothing.
    """
    others = vocabulary_size - values.shape[-1]
    exact = total.astype(np.float64)
    inside = np.exp(values.astype(np.float64) / temperature - exact[..., None]).sum(axis=-1)
    remainder = np.maximum(1.0 - inside, SMALLEST_REMAINDER)
    rest: np.ndarray = temperature * (exact + np.log(remainder / others))
    return rest


def put_back(
    ids: np.ndarray, values: np.ndarray, rest: np.ndarray, vocabulary_size: int
) -> np.ndarray:
    """Logits of all words, in a new array.

    Args:
        ids: integers (B, P, k).
        values: (B, P, k), logits of these words.
        rest: (B, P), logit of all others.
        vocabulary_size: V.

    Returns:
        float32 (B, P, V).
    """
    rows, predictions, k = ids.shape
    # (B P, V): one fill, one scatter
    answers = np.empty((rows * predictions, vocabulary_size), dtype=np.float32)
    answers[...] = rest.reshape(-1, 1)
    where = ids.reshape(-1, k).astype(np.int64)
    np.put_along_axis(answers, where, values.reshape(-1, k).astype(np.float32), axis=1)
    return answers.reshape(rows, predictions, vocabulary_size)


class Deviation(NamedTuple):
    """What keeping k logits has changed, for every position, at one temperature.

    Attributes:
        divergence: float64 (N,), KL(teacher ‖ what is put back) in nats.
        outside: float64 (N,), the teacher's probability of the words outside the k largest.
    """

    divergence: np.ndarray
    outside: np.ndarray


def measure_deviation(
    logits: np.ndarray, ids: np.ndarray, values: np.ndarray, total: np.ndarray, temperature: float
) -> Deviation:
    """Compare the teacher's logits with what is going to be put back.

    With p = softmax(t/T) and r the logits put back, `KL = Σ p (t − r)/T + LSE(r/T) − LSE(t/T)`.

    Args:
        logits: (N, V), the teacher's.
        ids: (N, k), of the largest.
        values: (N, k), their logits as kept.
        total: (N,), log-sum-exp as kept.
        temperature: T.
    """
    from scipy.special import logsumexp

    size, k = logits.shape[-1], ids.shape[-1]
    # What is put back is float32, so the rest is rounded before it is compared.
    rest = rest_logit(values, total, size, temperature).astype(np.float32).astype(np.float64)
    kept = values.astype(np.float64)
    scaled = logits.astype(np.float64) / temperature
    exact = log_sum_exp(logits, temperature)
    probabilities = np.exp(scaled - exact[:, None])
    inside = np.take_along_axis(probabilities, ids, axis=-1)
    # Σ p t/T over all words, and Σ p r/T: the k words one by one, the others at once
    outside = np.maximum(0.0, probabilities.sum(axis=-1) - inside.sum(axis=-1))
    own = (probabilities * scaled).sum(axis=-1)
    other = ((inside * kept).sum(axis=-1) + outside * rest) / temperature
    all_logits = np.append(kept, rest[:, np.newaxis], axis=-1)
    total_put_back = logsumexp(all_logits / temperature, b=[1] * k + [size - k], axis=-1)
    return Deviation(own - other + total_put_back - exact, outside)
