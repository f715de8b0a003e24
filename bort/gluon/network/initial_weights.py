"""Initial weights drawn by NumPy, which is several times faster on a CPU than MXNet."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np


class FastNormal(mx.init.Initializer):
    """An initialiser that draws weights from N(0, spread²), like `mx.init.Normal`.

    Biases and layer norms get the defaults of MXNet. Weights depend on the seed and the order of
    parameters only, not on MXNet's generators.

    Args:
        spread: standard deviation, above 0.
        seed: seed of the generator of this object.
    """

    def __init__(self, spread: float, seed: int) -> None:
        super().__init__(spread=spread, seed=seed)
        self._spread = np.float32(spread)
        self._generator = np.random.default_rng(seed)

    def _init_weight(self, name: Any, arr: Any) -> None:
        numbers = self._generator.standard_normal(arr.shape, dtype=np.float32)
        numbers *= self._spread
        arr[:] = numbers
