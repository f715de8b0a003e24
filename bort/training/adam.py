"""The update of Adam with decoupled weight decay, in NumPy and in blocks that fit into a cache."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import List

import numpy as np

_BLOCK = 1 << 15
"""Elements of a block: six arrays of this many float32 are 768 kB, which a core's cache holds."""


@dataclass(frozen=True)
class AdamSettings:
    """The numbers of one update.

    Attributes:
        learning_rate: factor of the whole change.
        gradient_scale: factor of the gradients.
        decay: factor of the weights in the change.
        epsilon: number added to the root of the variance.
        beta1: share of the old mean.
        beta2: share of the old variance.
    """

    learning_rate: float
    gradient_scale: float
    decay: float
    epsilon: float
    beta1: float
    beta2: float


def adam_update(
    weights: np.ndarray,
    gradients: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    settings: AdamSettings,
    threads: int = 1,
) -> None:
    """Update weights, mean and variance in place.

    Source: arXiv 1711.05101, algorithm 2, without the correction of the first steps, which is the
    caller's: it changes the learning rate, ε and the decay.

    `m = β1 m + (1 − β1) g; v = β2 v + (1 − β2) g²; w −= lr (m / (√v + ε) + decay · w)`

    All operations round to float32, in the order of MXNet's kernel `multi_adamw_update`, so the
    results have the bits of that kernel. It takes four times as long, because its loop is not
    vectorised.

    Args:
        weights: float32 (N,).
        gradients: float32 (N,); they keep their values.
        mean: float32 (N,), m.
        variance: float32 (N,), v, at least 0.
        settings: the numbers of the update.
        threads: number of threads that share the work; it does not change the results.
    """
    size = len(weights)
    # Shares end at the end of a block.
    share = -(-size // (_BLOCK * threads)) * _BLOCK
    starts = range(0, size, max(share, _BLOCK))

    def work(start: int) -> None:
        part = slice(start, min(start + share, size))
        _update_blocks(weights[part], gradients[part], mean[part], variance[part], settings)

    if len(starts) == 1:
        work(0)
    elif size:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, starts))


def _update_blocks(
    weights: np.ndarray,
    gradients: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    settings: AdamSettings,
) -> None:
    rate, scale, decay, epsilon, beta1, beta2 = (
        np.float32(number)
        for number in (
            settings.learning_rate,
            settings.gradient_scale,
            settings.decay,
            settings.epsilon,
            settings.beta1,
            settings.beta2,
        )
    )
    size = len(weights)
    spaces: List[np.ndarray] = [np.empty(min(_BLOCK, size), np.float32) for _ in range(2)]
    with np.errstate(all="ignore"):
        for first in range(0, size, _BLOCK):
            block = slice(first, min(first + _BLOCK, size))
            w, m, v = weights[block], mean[block], variance[block]
            a, b = (space[: len(w)] for space in spaces)
            np.multiply(gradients[block], scale, out=a)
            # β (old − new) + new
            np.subtract(m, a, out=m)
            np.multiply(m, beta1, out=m)
            np.add(m, a, out=m)
            np.multiply(a, a, out=a)
            np.subtract(v, a, out=v)
            np.multiply(v, beta2, out=v)
            np.add(v, a, out=v)
            np.sqrt(v, out=a)
            np.add(a, epsilon, out=a)
            np.divide(m, a, out=a)
            np.multiply(w, decay, out=b)
            np.add(a, b, out=a)
            np.multiply(a, rate, out=a)
            np.subtract(w, a, out=w)
