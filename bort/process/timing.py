"""Repeated timing of work, alone or in turns with other work: medians, spreads, steady repeats."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Callable, List, Sequence, Tuple, TypeVar

import numpy as np

MOST_SPREAD = 0.15
"""Interquartile range, as a share of the median, above which times are noisy."""

LEAST_SECONDS = 0.2
_MOST_RUNS = 1_000
_TURNS_SECONDS = 5
_SHORT_SECONDS = 0.02
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


@dataclass(frozen=True)
class Turns:
    """The time of repeated work whose runs took turns with those of other work.

    Attributes:
        share: median time of a run, as a share of the other work's run just before it.
        spread: interquartile range of the shares, as a share of their median.
        other_seconds: median seconds of the other work.
    """

    share: float
    spread: float
    other_seconds: float


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


def timed_turns(
    run: Callable[[], object],
    other: Callable[[], object],
    repeats: int,
    least_seconds: float = LEAST_SECONDS,
    clock: Clock = time.perf_counter,
    pause_seconds: float = 0.0,
) -> Turns:
    """Return the time of calls of `run` as a share of calls of `other` just before them.

    A change of the machine's speed that lasts longer than two calls cancels, and the median leaves
    out the turns in which the speed changed. Short work is done twice in a turn, and its second
    call is timed, because the other work has displaced its data from the processor's caches.

    Args:
        run: does the work and waits for its end. Its first calls are not timed.
        other: other work to compare with.
        repeats: minimum number of turns.
        least_seconds: turns are taken until the timed calls of `run` have taken this long in all,
            or the turns five times as long, or until there are 1,000 turns.
        clock: returns seconds; see `timed_runs`.
        pause_seconds: pause before the work changes, in which threads of the last one stop.
    """
    works = (other, run)
    calls = []
    for work in works:
        work()
        began = clock()
        work()
        calls.append(1 if clock() - began > _SHORT_SECONDS else 2)
    turns: List[Tuple[float, float]] = []
    total, started = 0.0, clock()
    while len(turns) < repeats or (
        total < least_seconds
        and clock() - started < _TURNS_SECONDS * least_seconds
        and len(turns) < _MOST_RUNS
    ):
        seconds = []
        for work, count in zip(works, calls):
            if pause_seconds:
                time.sleep(pause_seconds)
            for _ in range(count):
                began = clock()
                work()
                last = clock() - began
            seconds.append(last)
        turns.append((seconds[0], seconds[1]))
        total += seconds[1]
    shares = Timing.of([own / max(1e-9, others) for others, own in turns])
    return Turns(shares.seconds, shares.spread, float(np.median([others for others, _ in turns])))


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
