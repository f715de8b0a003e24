"""Measurements near a limit are repeated, since one of them may fall on the wrong side of it."""

from __future__ import annotations

from typing import Any, Callable, List, Mapping, TypeVar

from bort.architecture import Architecture
from bort.search.latency import LatencyGauge

NEAR = 1.25
"""A time between the limit divided and multiplied by this factor is near it. It is our assumption:
of the same small network, times in new processes differ by up to 20 %, with the memory that the
process got and with what other cores do."""

_REPEATS = 2

_Measurement = TypeVar("_Measurement")


def median_near(
    measure: Callable[[], _Measurement],
    seconds_of: Callable[[_Measurement], float],
    limit: float,
) -> _Measurement:
    """Measure once, and twice more if that is near a limit; return the one with the median seconds.

    Args:
        measure: measures anew.
        seconds_of: returns the seconds of a measurement.
        limit: seconds.

    >>> times = iter([9.0, 11.0, 12.0])
    >>> median_near(lambda: next(times), float, 10.0)
    11.0
    >>> median_near(lambda: 5.0, float, 10.0)
    5.0
    """
    found: List[_Measurement] = [measure()]
    if limit / NEAR <= seconds_of(found[0]) <= limit * NEAR:
        found += [measure() for _ in range(_REPEATS)]
    return sorted(found, key=seconds_of)[len(found) // 2]


class NearLimitLatency:
    """A gauge that repeats measurements near a limit; implements `LatencyGauge`.

    Args:
        gauge: measures anew whenever it is asked, such as `bort.engines.served_latency`.
        limit: seconds per sequence.
    """

    def __init__(self, gauge: LatencyGauge, limit: float) -> None:
        self.unit = gauge.unit
        self.conditions: Mapping[str, Any] = gauge.conditions
        self._gauge, self._limit = gauge, limit

    def latency(self, architecture: Architecture) -> float:
        """Return the seconds per sequence."""
        return median_near(lambda: self._gauge.latency(architecture), float, self._limit)
