"""Initial weights drawn by NumPy: on a CPU several times faster than MXNet's generator."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np


class FastNormal(mx.init.Initializer):
    """N(0, spread²) for weights, as `mx.init.Normal`; other parameters as their names say.

    The same seed gives the same numbers, whatever was drawn before and wherever.

    Args:
        spread: standard deviation.
        seed: of the numbers; a new object begins at their beginning.
    """

    def __init__(self, spread: float, seed: int) -> None:
        super().__init__(spread=spread, seed=seed)
        self._spread = np.float32(spread)
        self._generator = np.random.default_rng(seed)

    def _init_weight(self, name: Any, arr: Any) -> None:
        numbers = self._generator.standard_normal(arr.shape, dtype=np.float32)
        numbers *= self._spread
        arr[:] = numbers
