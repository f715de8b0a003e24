"""Tests of architectures as rows of integers."""

from __future__ import annotations

import numpy as np

from bort.architecture import Architecture
from bort.search.sizes import COLUMNS, sizes_of


def test_a_row_holds_the_sizes_in_the_order_of_the_columns():
    rows = sizes_of([Architecture(3, 4, 8, 16, qkv=12), Architecture(1, 2, 6, 7)])
    assert COLUMNS == ("depth", "heads", "hidden", "intermediate", "qkv")
    assert rows.tolist() == [[3, 4, 8, 16, 12], [1, 2, 6, 7, 6]]
    assert rows.dtype == np.int32
    assert sizes_of([]).shape == (0, 5)
