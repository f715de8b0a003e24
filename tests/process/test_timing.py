"""Tests of repeated timing, with a clock that only the timed work moves."""

from __future__ import annotations

from typing import Callable, Iterator, List, Tuple

import pytest

from bort.process import timing
from bort.process.timing import MOST_SPREAD, Timing, Turns, steadiest, timed_runs, timed_turns


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


def turns_of(
    own: float, other: float, repeats: int = 5, slowness: Callable[[int], float] = lambda run: 1.0
) -> Tuple[Turns, str]:
    """Return turns of work that takes known seconds, and the order of its calls."""
    clock, order = StoppedClock(), []

    def work(name: str, seconds: float) -> None:
        clock.now += seconds * slowness(len(order))
        order.append(name)

    found = timed_turns(
        lambda: work("r", own), lambda: work("o", other), repeats, 0.25, clock, pause_seconds=0.0
    )
    return found, "".join(order)


def test_runs_take_turns_after_two_that_are_not_timed() -> None:
    found, order = turns_of(0.125, 0.25)
    assert found == Turns(0.5, 0.0, 0.25)
    assert order == "oorr" + "or" * 5


def test_short_work_follows_a_run_that_is_not_timed() -> None:
    # The first of two runs is slow, as if the other work had displaced its data.
    found, order = turns_of(0.0078125, 0.25, slowness=cold_caches())
    assert found == Turns(1 / 32, 0.0, 0.25)
    assert order[:4] == "oorr"
    assert set(order[4:].split("o")) == {"", "rr"}


def cold_caches() -> Callable[[int], float]:
    calls = iter("oorr" + "orr" * 1_000)
    before = [""]

    def slowness(run: int) -> float:
        name = next(calls)
        slow = name == "r" and before[0] == "o"
        before[0] = name
        return 2.0 if slow else 1.0

    return slowness


def test_the_time_of_the_turns_is_bounded_beside_slow_work() -> None:
    _, order = turns_of(0.03125, 1.0, repeats=1)
    assert order == "oorr" + "or" * 2, "the turns took five times 0.25 seconds"
    _, order = turns_of(0.03125, 1.0, repeats=6)
    assert order == "oorr" + "or" * 6
    _, order = turns_of(0.03125, 0.03125, repeats=1)
    assert order == "oorr" + "or" * 8, "the timed runs took 0.25 seconds"


def test_a_change_of_the_speed_cancels_in_turns() -> None:
    speeds = [1.0, 3.0, 3.0, 1.0, 2.5] * 50
    found, _ = turns_of(0.125, 0.03125, 20, lambda run: speeds[run // 2])
    assert found.share == 4.0
    assert found.spread == 0.0


def test_threads_of_the_other_work_get_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: List[float] = []
    monkeypatch.setattr(timing.time, "sleep", pauses.append)
    timed_turns(lambda: None, lambda: None, 3, 0.0, StoppedClock(), pause_seconds=0.5)
    assert pauses == [0.5] * 6


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
