"""Repeated timing of work, alone or in turns with other work: medians, spreads, steady repeats."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Callable, List, Sequence, TypeVar

import numpy as np

MOST_SPREAD = 0.15
"""Interquartile range, as a share of the median, above which times are noisy."""

LEAST_SECONDS = 0.2
TURNS_SECONDS = 0.5
_MOST_RUNS = 1_000
_UNTIMED_SECONDS, _BLOCK_SECONDS = 0.01, 0.02
_LONG_SECONDS = 0.1
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
        share: median time of a run, as a share of the other work's runs before and after it.
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
    least_seconds: float = TURNS_SECONDS,
    clock: Clock = time.perf_counter,
    pause_seconds: float = 0.0,
) -> Turns:
    """Return the time of `run` as a share of that of `other`, in short blocks that take turns.

    The blocks are short (about 20 ms of timed calls), because the speed of a busy machine changes
    within seconds: a share is that of a block and of the mean of the other work's blocks before and
    after it, so that the speed at that moment cancels, and the median leaves out the turns in which
    it changed. A block has several calls in a row, because the other work displaces data from the
    processor's caches: short work is slower in its first calls, up to three times, which a program
    that does it alone never sees. These calls, about 10 ms of them, are not timed.

    Args:
        run: does the work and waits for its end.
        other: other work to compare with.
        repeats: minimum number of turns.
        least_seconds: turns are taken until they have lasted so long, at most 1,000 of them.
        clock: returns seconds; see `timed_runs`.
        pause_seconds: pause before each block, in which threads of the other work stop.
    """
    own_block, other_block = (_Block(work, clock, pause_seconds) for work in (run, other))
    own: List[float] = []
    others = [other_block.time()]
    started = clock()
    while len(own) < repeats or (clock() - started < least_seconds and len(own) < _MOST_RUNS):
        own.append(own_block.time())
        others.append(other_block.time())
    around = (np.array(others[:-1]) + np.array(others[1:])) / 2
    shares = Timing.of((np.array(own) / np.maximum(1e-9, around)).tolist())
    return Turns(shares.seconds, shares.spread, float(np.median(others)))


class _Block:
    """Calls in a row, the first of which are not timed."""

    def __init__(self, run: Callable[[], object], clock: Clock, pause_seconds: float) -> None:
        self._run, self._clock, self._pause_seconds = run, clock, pause_seconds
        for _ in range(_WARMUP_RUNS):
            began = clock()
            run()
            seconds = clock() - began
        seconds = max(seconds, _BLOCK_SECONDS / _MOST_RUNS)
        # The caches do not matter to long work, whose other calls would cost most.
        self._untimed = math.ceil(_UNTIMED_SECONDS / seconds) if seconds < _LONG_SECONDS else 0
        self._timed = math.ceil(_BLOCK_SECONDS / seconds)

    def time(self) -> float:
        """Return the median seconds of the timed calls."""
        if self._pause_seconds:
            time.sleep(self._pause_seconds)
        for _ in range(self._untimed):
            self._run()
        seconds = []
        for _ in range(self._timed):
            began = self._clock()
            self._run()
            seconds.append(self._clock() - began)
        return float(np.median(seconds))


def steadiest(
    measure: Callable[[], T],
    unsteadiness: Callable[[T], float],
    may_repeat: Callable[[], bool] = lambda: True,
) -> T:
    """Measure up to three times, until the result is steady, and return the steadiest result.

    Args:
        measure: returns a result.
        unsteadiness: returns a number for a result; it is steady up to `MOST_SPREAD`.
        may_repeat: whether there is time to measure again.
    """
    results: List[T] = []
    for _ in range(_ATTEMPTS):
        results.append(measure())
        if unsteadiness(results[-1]) <= MOST_SPREAD or not may_repeat():
            break
    return min(results, key=unsteadiness)
