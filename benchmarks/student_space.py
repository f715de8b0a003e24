"""The space of the benchmarks' students, and the architectures of it that are compared."""

from __future__ import annotations

import math
from typing import Dict, List, Sequence, Tuple

from bort.architecture import Architecture

DEPTHS, HEADS, HIDDENS, INTERMEDIATES = (1, 2, 3, 4), (2, 4), (64, 96, 128), (64, 128, 256)
HEAD_WIDTH = 32
BANDS = (0.2, 0.4, 0.6, 0.8)
PER_BAND = 3


def space() -> List[Architecture]:
    """Return all architectures of the benchmarks' space, with whole heads of one width."""
    return [
        Architecture(depth, heads, hidden, intermediate, qkv=heads * HEAD_WIDTH)
        for depth in DEPTHS
        for heads in HEADS
        for hidden in HIDDENS
        for intermediate in INTERMEDIATES
    ]


def chosen(architectures: Sequence[Architecture]) -> List[List[Architecture]]:
    """Return `PER_BAND` architectures for each of `BANDS`, by a rule without any training.

    A band is a parameter count between the smallest and the largest, by the logarithm. It takes the
    architectures with the nearest counts, each with another pair of depth and width. Within a band,
    depth, width and intermediate size are thus traded at nearly equal counts.
    """
    counts = {one: math.log(parameters(one)) for one in architectures}
    least, most = min(counts.values()), max(counts.values())
    bands = []
    for share in BANDS:
        goal = least + share * (most - least)
        band: Dict[Tuple[int, int], Architecture] = {}
        for one in sorted(counts, key=lambda a: (abs(counts[a] - goal), a)):
            band.setdefault((one.depth, one.hidden), one)
        bands.append(list(band.values())[:PER_BAND])
    return bands


def parameters(architecture: Architecture) -> int:
    """Return the number of parameters, those of the decoder included."""
    return architecture.parameter_count(decoder=True)
