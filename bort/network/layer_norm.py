"""A layer norm and its gradients in NumPy, in blocks of rows that fit into a cache.

The sums over blocks are added in the order of the rows, and threads share whole blocks, so the
number of threads does not change the results.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Tuple

import numpy as np

_BLOCK = 1 << 16
"""Elements of a block: three arrays of this many float32 are 768 kB, which a core's cache holds."""


def layer_norm(
    x: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    epsilon: float,
    output: np.ndarray,
    mean: np.ndarray,
    scale: np.ndarray,
    threads: int = 1,
) -> None:
    """Compute `output = (x - mean) · scale · γ + β` with `scale = 1 / √(variance + ε)` of each row.

    Source: arXiv 1607.06450, equation 4.

    Args:
        x: float32 (N, H).
        gamma: float32 (H,).
        beta: float32 (H,).
        epsilon: ε, at least 0.
        output: float32 (N, H); receives the result.
        mean: float32 (N,); receives the mean of every row.
        scale: float32 (N,); receives the scale of every row.
        threads: number of threads that share the work, at least 1.
    """
    width = x.shape[1]
    weights = np.full(width, 1 / width, np.float32)

    def work(rows: slice) -> None:
        block, centre, factor = x[rows], mean[rows], scale[rows]
        np.matmul(block, weights, out=centre)
        # (rows, H) - (rows, 1)
        centred = block - centre[:, None]
        # (rows, 1, H) x (rows, H, 1) -> (rows, 1, 1)
        np.matmul(centred[:, None, :], centred[:, :, None], out=factor[:, None, None])
        factor *= np.float32(1 / width)
        factor += np.float32(epsilon)
        np.sqrt(factor, out=factor)
        np.divide(np.float32(1), factor, out=factor)
        centred *= factor[:, None]
        centred *= gamma
        np.add(centred, beta, out=output[rows])

    _over_blocks(work, x.shape, threads)


def layer_norm_gradients(
    gradient: np.ndarray,
    x: np.ndarray,
    gamma: np.ndarray,
    mean: np.ndarray,
    scale: np.ndarray,
    x_gradient: np.ndarray,
    threads: int = 1,
) -> Tuple[np.ndarray, np.ndarray]:
    """Compute the gradients of `layer_norm`.

    With g = gradient · γ, n = (x - mean) · scale and means over a row, that of x is
    `scale · (g - mean(g) - n · mean(g · n))`.

    Args:
        gradient: float32 (N, H), the gradient of the output.
        x: float32 (N, H), the argument of `layer_norm`.
        gamma: float32 (H,), the argument of `layer_norm`.
        mean: float32 (N,), of `layer_norm`.
        scale: float32 (N,), of `layer_norm`.
        x_gradient: float32 (N, H); receives the gradient of x.
        threads: number of threads that share the work, at least 1.

    Returns:
        The gradients of γ and β, float32 (H,) each.
    """
    width = x.shape[1]
    weights = gamma / np.float32(width)
    blocks = -(-len(x) // _rows(width))
    of_gamma, of_beta = np.empty((2, blocks, width), np.float32)

    def work(rows: slice) -> None:
        given, factor = gradient[rows], scale[rows]
        number = rows.start // _rows(width)
        np.matmul(np.ones(len(given), np.float32), given, out=of_beta[number])
        # (rows, H) - (rows, 1)
        centred = x[rows] - mean[rows, None]
        product = given * centred
        np.matmul(factor, product, out=of_gamma[number])
        # (rows, H) x (H,) -> (rows,): the means of g and of g · n
        of_mean, of_normal = given @ weights, (product @ weights) * factor
        centred *= (of_normal * factor)[:, None]
        np.multiply(given, gamma, out=product)
        product -= of_mean[:, None]
        product -= centred
        np.multiply(product, factor[:, None], out=x_gradient[rows])

    _over_blocks(work, x.shape, threads)
    return of_gamma.sum(axis=0), of_beta.sum(axis=0)


def _rows(width: int) -> int:
    """Return the number of rows of a block."""
    return max(1, _BLOCK // width)


def _over_blocks(work: Callable[[slice], None], shape: Tuple[int, ...], threads: int) -> None:
    """Call a function for the rows of every block."""
    rows = _rows(shape[1])
    blocks = [slice(start, start + rows) for start in range(0, shape[0], rows)]

    def quietly(block: slice) -> None:
        # The trainer tells of numbers that are not finite.
        with np.errstate(all="ignore"):
            work(block)

    if threads == 1 or len(blocks) < 2:
        for block in blocks:
            quietly(block)
    else:
        with ThreadPoolExecutor(min(threads, len(blocks))) as pool:
            list(pool.map(quietly, blocks))
