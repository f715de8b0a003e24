"""Learning-rate schedules as pure functions of the step."""

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
    """Return the learning rate of a step; it is above 0 in steps 1 to `total_steps`.

    All schedules rise linearly to `peak` at `warmup_steps`. After the warm-up, `linear` falls
    linearly and reaches 0 one step after the last, `noam` is `peak * sqrt(warmup_steps / step)`
    (arXiv 1706.03762, equation 3, scaled to its peak), and `constant` stays at `peak`. The rate
    after the warm-up is at least `min(floor, peak)`, also beyond `total_steps`.

    Differs from the release, whose linear schedule is 0 in the last step and so wastes that step.

    Args:
        step: number of the step, from 1.
        schedule: one of `SCHEDULES`.
        peak: learning rate at the end of the warm-up, above 0.
        total_steps: steps that the schedule is planned for.
        warmup_steps: steps of the warm-up, 0 to `total_steps`.
        floor: lowest rate after the warm-up.

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
