"""How fast this machine multiplies and adds: the rate that other benchmarks are held against.

python benchmarks/multiply_add_bound.py
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import List, Tuple

from bort.process.threads import set_thread_count

set_thread_count()
import mxnet as mx  # noqa: E402  (reads the number of threads)

SHAPE = (1024, 1024, 4096)
"""Rows, inputs and outputs of the dense layer that is timed: larger ones are not faster."""


def measure_rate(repetitions: int = 7, shape: Tuple[int, int, int] = SHAPE) -> float:
    """Multiply-adds a second of one large float32 `FullyConnected`, on the CPU.

    Args:
        repetitions: timings of which the median is taken.
        shape: rows, inputs, outputs.
    """
    rows, inputs, outputs = shape
    data = mx.nd.random.normal(shape=(rows, inputs))
    weight = mx.nd.random.normal(shape=(outputs, inputs))
    seconds: List[float] = []
    for _ in range(repetitions + 1):
        mx.nd.waitall()
        start = time.perf_counter()
        for _ in range(4):
            mx.nd.FullyConnected(data, weight, num_hidden=outputs, no_bias=True, flatten=False)
        mx.nd.waitall()
        seconds.append((time.perf_counter() - start) / 4)
    return rows * inputs * outputs / statistics.median(seconds[1:])


if __name__ == "__main__":
    json.dump({"multiply_adds_per_second": measure_rate()}, sys.stdout)
    print()
