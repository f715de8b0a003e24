"""Learning-rate schedules as pure functions of the step, or of the place in a run."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Optional

log = logging.getLogger(__name__)

SCHEDULES = ("linear", "noam", "constant", "exp", "step", "triangle")

_OF_STEPS = SCHEDULES[:3]
_FLAT = 0.9


@dataclass(frozen=True)
class Decay:
    """The decay of the schedules `exp` and `step`.

    Attributes:
        rate: factor on the learning rate, above 0 and below 1.
        share: share of the run after which the factor applies once.
    """

    rate: float = 0.5
    share: float = 0.25


def rate_factor(position: float, *, schedule: str, warmup: float, decay: Decay = Decay()) -> float:
    """Return the learning rate at a place in a run, as a share of its peak.

    With x the position, w the warm-up, r and s the rate and the share of the decay:

    - `linear`: x/w before w, then (1 − x)/(1 − w);
    - `noam`: x/w, then √(w/x);
    - `constant`: x/w, then 1;
    - `exp`: (x/w)², then r^((x − w)/s);
    - `step`: x/w, then r^⌊(x − w)/s⌋;
    - `triangle`: 2x before the middle, then 2(1 − x); it has no other warm-up.

    Source: arXiv 2104.07705 and its release for `linear` and `exp` by time, arXiv 2212.14034 for
    the triangle. Differs from the release, whose linear schedule divides by at least one hour, so
    that runs shorter than that fall suddenly after the warm-up.

    Args:
        position: x, from 0 (the start) to 1 (the planned end).
        schedule: one of `SCHEDULES`.
        warmup: w, from 0 to 1.
        decay: r and s.

    >>> [round(rate_factor(x, schedule="linear", warmup=0.06), 6) for x in (0.01, 0.06, 0.25, 1)]
    [0.166667, 1.0, 0.797872, 0.0]
    >>> rate_factor(0.5, schedule="exp", warmup=0.25, decay=Decay(rate=0.5, share=0.125))
    0.25
    """
    x, w = min(1.0, max(0.0, position)), warmup
    if schedule == "triangle":
        return 2 * x if x < 0.5 else 2 * (1 - x)
    if x < w:
        return (x / w) ** 2 if schedule == "exp" else x / w
    if schedule == "linear":
        return (1 - x) / (1 - w) if w < 1 else 1.0
    if schedule == "noam":
        return math.sqrt(w / x) if x > 0 and w > 0 else 1.0
    if schedule == "exp":
        return float(decay.rate ** ((x - w) / decay.share))
    if schedule == "step":
        return float(decay.rate ** math.floor((x - w) / decay.share))
    return 1.0


def warn_of_flat_decay(schedule: str, warmup: float, decay: Decay) -> None:
    """Log a warning if `exp` or `step` hardly lowers the learning rate; see `rate_factor`."""
    if schedule not in ("exp", "step"):
        return
    last = rate_factor(1.0, schedule=schedule, warmup=warmup, decay=decay)
    if last > _FLAT:
        log.warning(
            "decay_rate is %g per decay_share %g of the run: the learning rate ends at %.3f of its "
            "peak, so the schedule %s is nearly constant",
            decay.rate,
            decay.share,
            last,
            schedule,
        )


def learning_rate(
    step: int,
    *,
    schedule: str,
    peak: float,
    total_steps: int,
    warmup_steps: int,
    floor: float = 0.0,
    decay: Decay = Decay(),
) -> float:
    """Return the learning rate of a step; it is above 0 in steps 1 to `total_steps`.

    The first three schedules rise linearly to `peak` at `warmup_steps`. After the warm-up, `linear`
    falls linearly and reaches 0 one step after the last, `noam` is
    `peak * sqrt(warmup_steps / step)` (arXiv 1706.03762, equation 3, scaled to its peak), and
    `constant` stays at `peak`. The rate after the warm-up is at least `min(floor, peak)`, also
    beyond `total_steps`. The other schedules are those of `rate_factor` at the position
    `step / (total_steps + 1)`.

    Differs from the release, whose linear schedule is 0 in the last step and so wastes that step.

    Args:
        step: number of the step, from 1.
        schedule: one of `SCHEDULES`.
        peak: learning rate at the end of the warm-up, above 0.
        total_steps: steps that the schedule is planned for.
        warmup_steps: steps of the warm-up, 0 to `total_steps`.
        floor: lowest rate after the warm-up.
        decay: decay of `exp` and `step`.

    >>> [learning_rate(n, schedule="linear", peak=1.0, total_steps=4, warmup_steps=2)
    ...  for n in (1, 2, 3, 4)]
    [0.5, 1.0, 0.6666666666666666, 0.3333333333333333]
    """
    if schedule not in _OF_STEPS:
        position, warmup = step / (total_steps + 1), warmup_steps / (total_steps + 1)
        rate = peak * rate_factor(position, schedule=schedule, warmup=warmup, decay=decay)
        return rate if step < warmup_steps else max(rate, min(floor, peak))
    if step < warmup_steps:
        return peak * step / warmup_steps
    if schedule == "constant":
        return peak
    if schedule == "noam":
        rate = peak * math.sqrt(max(1, warmup_steps) / step)
    else:
        rate = peak * max(0, total_steps + 1 - step) / (total_steps + 1 - max(1, warmup_steps))
    return max(rate, min(floor, peak))


class LearningRates:
    """The learning rate of every step of a run, which is planned by its steps or by the clock.

    Args:
        schedule, peak, floor, decay: see `learning_rate`.
        total_steps: steps that the run has at most.
        warmup_ratio: share of the run in which the rate rises.
        warmup_steps: steps in which it rises, in runs by steps; see `planned_warmup`.

    Attributes:
        position: place in a timed run, from 0 to 1; None in a run by steps.
        warmup_steps: steps of the warm-up in a run by steps.
    """

    def __init__(
        self,
        *,
        schedule: str,
        peak: float,
        total_steps: int,
        warmup_ratio: float,
        warmup_steps: Optional[int] = None,
        floor: float = 0.0,
        decay: Decay = Decay(),
    ) -> None:
        self.position: Optional[float] = None
        self._schedule = schedule
        self._peak = peak
        self._total_steps = total_steps
        self._warmup_ratio = warmup_ratio
        self.warmup_steps = planned_warmup(total_steps, warmup_ratio, warmup_steps)
        self._floor = floor
        self._decay = decay

    def at(self, number: int) -> float:
        """Return the learning rate of a step, from 1.

        In a timed run it is that of the position, or of the share of all steps if that is further
        on, since the run ends with the one or with the other.
        """
        schedule, peak, floor, decay = self._schedule, self._peak, self._floor, self._decay
        if self.position is None:
            return learning_rate(
                number,
                schedule=schedule,
                peak=peak,
                total_steps=self._total_steps,
                warmup_steps=self.warmup_steps,
                floor=floor,
                decay=decay,
            )
        place = max(self.position, (number - 1) / self._total_steps)
        warmup = self._warmup_ratio
        rate = peak * rate_factor(place, schedule=schedule, warmup=warmup, decay=decay)
        return rate if place < warmup else max(rate, min(floor, peak))


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
