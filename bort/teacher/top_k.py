"""Top-k compression of logits: keep the k largest logits of a position, and restore all V.

In addition to the k largest logits t of a position, the log-sum-exp L = LSE(t/T) of all V logits
at temperature T is kept. It gives the total probability of the other tokens. Restored logits
divide this probability evenly among them, with the logit

    c = T · (L + log((1 − Σ exp(tᵢ/T − L)) / (V − k)))        i over the k largest

so that `softmax(·/T)` is exact for the k tokens and sums to 1. Losses use the restored logits as
if they were the original ones.
"""

from __future__ import annotations

from typing import NamedTuple, Tuple

import numpy as np

SMALLEST_REMAINDER = 2.0**-24
"""The least probability of all other tokens, the resolution of float32; it keeps c finite."""


def largest(logits: np.ndarray, k: int) -> Tuple[np.ndarray, np.ndarray]:
    """Return the k largest logits of every row, largest first; ties go to the lower id.

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
    """Return `log Σ exp(logits / T)` over the last axis, in float64: (N, V) -> (N,)."""
    from scipy.special import logsumexp  # late: commands import this module for --help

    total: np.ndarray = logsumexp(logits.astype(np.float64) / temperature, axis=-1)
    return total


def rest_logit(
    values: np.ndarray, total: np.ndarray, vocabulary_size: int, temperature: float
) -> np.ndarray:
    """Return the logit c that all tokens outside the k largest get.

    Args:
        values: (..., k), the k largest logits as stored.
        total: (...), log-sum-exp of all V logits divided by T, as stored.
        vocabulary_size: V, more than k.
        temperature: T, above 0.

    Returns:
        float64 (...): c by the equation of this module; finite even where rounding leaves no
        probability.
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
    """Return the logits of all tokens in a new array.

    Args:
        ids: integers (B, P, k).
        values: (B, P, k), logits of these tokens.
        rest: (B, P), logit of all other tokens.
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
    """The error of top-k compression at every position, for one temperature.

    Attributes:
        divergence: float64 (N,), KL(teacher ‖ restored) in nats.
        outside: float64 (N,), the teacher's probability of the tokens outside the k largest.
    """

    divergence: np.ndarray
    outside: np.ndarray


def measure_deviation(
    logits: np.ndarray, ids: np.ndarray, values: np.ndarray, total: np.ndarray, temperature: float
) -> Deviation:
    """Compare the teacher's logits with the restored ones.

    With p = softmax(t/T) and r the restored logits, `KL = Σ p (t − r)/T + LSE(r/T) − LSE(t/T)`.

    Args:
        logits: (N, V), the teacher's logits.
        ids: (N, k), ids of the largest.
        values: (N, k), their logits as stored.
        total: (N,), log-sum-exp as stored.
        temperature: T, above 0.
    """
    from scipy.special import logsumexp

    size, k = logits.shape[-1], ids.shape[-1]
    # Restored logits are float32, so c is rounded before the comparison.
    rest = rest_logit(values, total, size, temperature).astype(np.float32).astype(np.float64)
    kept = values.astype(np.float64)
    scaled = logits.astype(np.float64) / temperature
    exact = log_sum_exp(logits, temperature)
    probabilities = np.exp(scaled - exact[:, None])
    inside = np.take_along_axis(probabilities, ids, axis=-1)
    # Σ p t/T over all tokens, and Σ p r/T: the k tokens one by one, the others together
    outside = np.maximum(0.0, probabilities.sum(axis=-1) - inside.sum(axis=-1))
    own = (probabilities * scaled).sum(axis=-1)
    other = ((inside * kept).sum(axis=-1) + outside * rest) / temperature
    all_logits = np.append(kept, rest[:, np.newaxis], axis=-1)
    total_restored = logsumexp(all_logits / temperature, b=[1] * k + [size - k], axis=-1)
    return Deviation(own - other + total_restored - exact, outside)
