"""Architectures as rows of integers, for computations on many of them at once."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from bort.architecture import Architecture

COLUMNS = ("depth", "heads", "hidden", "intermediate", "qkv")
"""Fields of `Architecture` in the columns of a table of sizes: D, A, H, I, Q."""


def sizes_of(architectures: Sequence[Architecture]) -> np.ndarray:
    """Return the sizes of architectures, int32 (n, 5) with the columns of `COLUMNS`.

    >>> sizes_of([Architecture(4, 8, 1024, 768)]).tolist()
    [[4, 8, 1024, 768, 1024]]
    """
    rows = [[getattr(one, name) for name in COLUMNS] for one in architectures]
    return np.array(rows, np.int32).reshape(len(rows), len(COLUMNS))
