"""Learning-rate schedules as pure functions of the step."""

from __future__ import annotations

import logging
import math
from typing import Optional

log = logging.getLogger(__name__)

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


def planned_warmup(total_steps: int, ratio: float, steps: Optional[int] = None) -> int:
    """Return the number of warm-up steps, 0 to `total_steps`.

    It is `steps`. If that is None or more than `total_steps`, it is the share `ratio` of them,
    rounded, so that a warm-up that was asked for a long run does not fill a short one.

    Args:
        total_steps: steps that the schedule is planned for.
        ratio: share of them, 0 to 1.
        steps: number of warm-up steps that is asked for; None if none is.

    >>> planned_warmup(1000, 0.1), planned_warmup(1000, 0.1, 300), planned_warmup(30, 0.1, 10000)
    (100, 300, 3)
    """
    if steps is not None and steps <= total_steps:
        return steps
    return round(total_steps * ratio)


def warn_of_long_warmup(total_steps: int, ratio: float, steps: Optional[int]) -> None:
    """Log a warning if more warm-up steps are asked for than there are; see `planned_warmup`."""
    if steps is not None and steps > total_steps:
        log.warning(
            "warmup_steps is %d, but the learning rate is planned for %d steps: the warm-up takes "
            "%d, the share warmup_ratio of %g",
            steps,
            total_steps,
            planned_warmup(total_steps, ratio, steps),
            ratio,
        )
