"""Tests of repeated timing, with a clock that only the timed work moves."""

from __future__ import annotations

from typing import Iterator, List

import pytest

from bort.process.timing import MOST_SPREAD, Timing, steadiest, timed_runs


class StoppedClock:
    """A clock that only moves by given durations."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def timed(durations: Iterator[float], repeats: int, least_seconds: float = 0.2) -> List[float]:
    clock = StoppedClock()

    def run() -> None:
        clock.now += next(durations)

    return timed_runs(run, repeats, least_seconds, clock)


def test_the_first_runs_are_not_timed() -> None:
    durations = iter([100.0, 50.0, 3.0, 1.0, 2.0])
    assert timed(durations, repeats=3) == [3, 1, 2]
    assert next(durations, None) is None, "two runs that are not timed, and three that are"


def test_short_runs_are_repeated_more_often() -> None:
    durations = iter([1.0, 1.0, *[0.125] * 3, *[0.25] * 7])
    assert timed(durations, repeats=3, least_seconds=2.0) == [0.125] * 3 + [0.25] * 7
    assert list(durations) == []


def test_the_number_of_runs_is_bounded() -> None:
    calls: List[int] = []
    found = timed_runs(lambda: calls.append(1), 3, 2.0, StoppedClock())
    assert (len(calls), len(found)) == (1_002, 1_000)
    assert Timing.of(found) == Timing(0.0, 0.0)


def test_median_and_interquartile_range() -> None:
    assert Timing.of([4.0, 1.0, 2.0, 3.0, 100.0]) == Timing(3.0, (4 - 2) / 3)
    assert Timing.of([2.0]) == Timing(2.0, 0.0)


@pytest.mark.parametrize(
    ("spreads", "kept", "measured"),
    [
        ([MOST_SPREAD], MOST_SPREAD, 1),
        ([0.5, 0.1], 0.1, 2),
        ([0.5, 0.3, 0.4], 0.3, 3),
        ([0.5, 0.3, 0.2, 0.0], 0.2, 3),
    ],
)
def test_noisy_work_is_measured_again_at_most_twice(
    spreads: List[float], kept: float, measured: int
) -> None:
    left = list(spreads)
    assert steadiest(lambda: left.pop(0), lambda spread: spread) == kept
    assert len(spreads) - len(left) == measured
