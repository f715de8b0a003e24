"""Measure the multiply-add rate of this machine, which bounds the speed in other benchmarks.

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
"""Rows, inputs and outputs of the dense layer that is timed; larger layers are not faster."""


def measure_rate(repetitions: int = 7, shape: Tuple[int, int, int] = SHAPE) -> float:
    """Return the multiply-adds per second of one large float32 `FullyConnected` on the CPU.

    Args:
        repetitions: number of timings; the result is their median.
        shape: rows, inputs and outputs.
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
