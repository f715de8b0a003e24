"""Learning rates as pure functions of the step."""

from __future__ import annotations

import math

SCHEDULES = ("linear", "noam", "constant")


def learning_rate(
    step: int,
    *,
    schedule: str,
    peak: float,
    total_steps: int,
    warmup_steps: int,
    floor: float = 0.0,
) -> float:
    """Learning rate of a step, counted from 1 to `total_steps`; never 0 inside that range.

    `linear`: rises to `peak` at `warmup_steps`, then falls linearly to 0 one step after the last
    (the release reaches 0 at the last step, which is then lost). `noam`: rises in the same way,
    then `peak * sqrt(warmup_steps / step)` (arXiv 1706.03762, equation 3, scaled to its peak).
    `constant`: rises in the same way, then stays. After the warm-up the rate never falls below
    `floor` (nor below `peak`, if that is smaller), also in steps beyond `total_steps`.

    >>> [learning_rate(n, schedule="linear", peak=1.0, total_steps=4, warmup_steps=2)
    ...  for n in (1, 2, 3, 4)]
    [0.5, 1.0, 0.6666666666666666, 0.3333333333333333]
    """
    if step < warmup_steps:
        return peak * step / warmup_steps
    if schedule == "constant":
        return peak
    if schedule == "noam":
        rate = peak * math.sqrt(max(1, warmup_steps) / step)
    else:
        rate = peak * max(0, total_steps + 1 - step) / (total_steps + 1 - max(1, warmup_steps))
    return max(rate, min(floor, peak))
