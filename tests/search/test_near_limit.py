"""Repeated measurements near a limit."""

from __future__ import annotations

from typing import Iterator, List

import pytest

from bort.architecture import Architecture
from bort.search.near_limit import NEAR, NearLimitLatency, median_near

SIZES = Architecture(1, 1, 4, 4, 10)


class Gauge:
    """Gives times in turn, and counts."""

    unit = "s"
    conditions = {"engine": "known 1"}

    def __init__(self, times: List[float]) -> None:
        self.asked = 0
        self._times: Iterator[float] = iter(times)

    def latency(self, architecture: Architecture) -> float:
        assert architecture == SIZES
        self.asked += 1
        return next(self._times)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([1.0, 0.9, 0.8], 0.9),  # an unlucky first process
        ([0.9, 1.1, 1.2], 1.1),  # a lucky one
        ([NEAR, 5.0, 0.1], NEAR),
        ([1 / NEAR, 5.0, 0.1], 1 / NEAR),
        ([1.01 * NEAR], 1.01 * NEAR),
        ([0.99 / NEAR], 0.99 / NEAR),
    ],
)
def test_a_time_near_the_limit_is_the_median_of_three(times: List[float], expected: float) -> None:
    gauge = Gauge(times)
    assert NearLimitLatency(gauge, 1.0).latency(SIZES) == expected
    assert gauge.asked == len(times)


def test_without_a_limit_of_latency_nothing_is_repeated() -> None:
    gauge = Gauge([3.0])
    assert NearLimitLatency(gauge, float("inf")).latency(SIZES) == 3.0


def test_the_conditions_are_those_of_the_gauge() -> None:
    near = NearLimitLatency(Gauge([]), 1.0)
    assert (near.unit, near.conditions) == (Gauge.unit, Gauge.conditions)


def test_the_whole_measurement_with_the_median_seconds_is_returned() -> None:
    found = iter([(1.0, "a"), (1.2, "b"), (1.1, "c")])
    assert median_near(lambda: next(found), lambda one: one[0], 1.0) == (1.1, "c")
