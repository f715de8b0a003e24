"""Repeated timing of the same work: the median, the spread, and repeats until it is steady."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Callable, List, Sequence, TypeVar

import numpy as np

MOST_SPREAD = 0.15
"""Interquartile range, as a share of the median, above which times are noisy."""

LEAST_SECONDS = 0.2
_MOST_RUNS = 1_000
_WARMUP_RUNS = 2
_ATTEMPTS = 3

Clock = Callable[[], float]
T = TypeVar("T")


@dataclass(frozen=True)
class Timing:
    """The time of repeated work.

    Attributes:
        seconds: median.
        spread: (third quartile - first quartile) / median.
    """

    seconds: float
    spread: float

    @property
    def is_noisy(self) -> bool:
        """Whether the spread is above 15 %."""
        return self.spread > MOST_SPREAD

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Timing:
        """Return the median and spread of the seconds of runs, at least one."""
        first, median, third = np.percentile(seconds, (25, 50, 75))
        return cls(float(median), float((third - first) / median) if median > 0 else 0.0)


def timed_runs(
    run: Callable[[], object],
    repeats: int,
    least_seconds: float = LEAST_SECONDS,
    clock: Clock = time.perf_counter,
) -> List[float]:
    """Return the seconds of calls of `run`.

    Args:
        run: does the work and waits for its end. Its first calls are not timed (compilation,
            memory, caches).
        repeats: minimum number of timed calls.
        least_seconds: calls are timed until they have taken this long in all, or until there are
            1,000 of them; short calls vary more.
        clock: returns seconds. `time.process_time` counts the CPU time of all threads, which
            other load on the machine hardly changes.
    """
    for _ in range(_WARMUP_RUNS):
        run()
    seconds: List[float] = []
    total = 0.0
    while len(seconds) < repeats or (total < least_seconds and len(seconds) < _MOST_RUNS):
        began = clock()
        run()
        seconds.append(clock() - began)
        total += seconds[-1]
    return seconds


def timed_shares(
    run: Callable[[], object],
    other: Callable[[], object],
    repeats: int,
    least_seconds: float = LEAST_SECONDS,
    clock: Clock = time.perf_counter,
) -> List[float]:
    """Return the times of calls of `run` as shares of calls of `other` just before them.

    A change of the machine's speed that lasts longer than two calls cancels.

    Args:
        run: does the work and waits for its end.
        other: other work to compare with.
        repeats, least_seconds, clock: see `timed_runs`; the seconds of `run` count.
    """
    for _ in range(_WARMUP_RUNS):
        other()
        run()
    shares: List[float] = []
    total = 0.0
    while len(shares) < repeats or (total < least_seconds and len(shares) < _MOST_RUNS):
        began = clock()
        other()
        between = clock()
        run()
        ended = clock()
        shares.append((ended - between) / max(1e-9, between - began))
        total += ended - between
    return shares


def steadiest(measure: Callable[[], T], unsteadiness: Callable[[T], float]) -> T:
    """Measure up to three times, until the result is steady, and return the steadiest result.

    Args:
        measure: returns a result.
        unsteadiness: returns a number for a result; it is steady up to `MOST_SPREAD`.
    """
    results: List[T] = []
    for _ in range(_ATTEMPTS):
        results.append(measure())
        if unsteadiness(results[-1]) <= MOST_SPREAD:
            break
    return min(results, key=unsteadiness)
