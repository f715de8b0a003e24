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
    own: float,
    other: float,
    repeats: int = 5,
    seconds: float = 0.0,
    slowness: Callable[[str], float] = lambda calls: 1.0,
) -> Tuple[Turns, str]:
    """Return turns of work that takes known seconds, and the order of its calls."""
    clock, calls = StoppedClock(), []

    def work(name: str, seconds: float) -> None:
        calls.append(name)
        clock.now += seconds * slowness("".join(calls))

    found = timed_turns(lambda: work("r", own), lambda: work("o", other), repeats, seconds, clock)
    return found, "".join(calls)


def test_long_work_takes_turns_after_two_calls_that_are_not_timed() -> None:
    found, order = turns_of(0.125, 0.25)
    assert found == Turns(0.5, 0.0, 0.25)
    assert order == "rroo" + "o" + "ro" * 5


def test_short_work_takes_turns_in_blocks() -> None:
    # 1/256 s: three calls that are not timed, and six that are.
    found, order = turns_of(1 / 256, 1 / 8, repeats=3)
    assert found == Turns(1 / 32, 0.0, 1 / 8)
    assert order == "rroo" + "o" + ("r" * 9 + "o") * 3


def test_calls_with_cold_caches_do_not_count() -> None:
    def cold(calls: str) -> float:
        last = calls[-1]
        return 3.0 if calls[-3:] != last * 3 else 1.0

    found, _ = turns_of(1 / 1024, 1 / 512, slowness=cold)
    assert found == Turns(0.5, 0.0, 1 / 512)


def test_turns_are_taken_for_some_time_and_some_number() -> None:
    assert turns_of(0.25, 0.5, repeats=2, seconds=1.75)[1] == "rroo" + "o" + "ro" * 3
    assert turns_of(0.25, 0.5, repeats=4, seconds=1.75)[1] == "rroo" + "o" + "ro" * 4


def test_the_number_of_turns_is_bounded() -> None:
    turns = timed_turns(lambda: None, lambda: None, 1, 1.0, StoppedClock())
    assert turns == Turns(0.0, 0.0, 0.0)


def test_a_change_of_the_speed_cancels_in_turns() -> None:
    # A third of the turns meets a change between 1 and 3.
    def speed(calls: str) -> float:
        return 3.0 if calls.count("r") // 6 % 2 else 1.0

    found, _ = turns_of(0.125, 0.25, 60, slowness=speed)
    assert found.share == 0.5
    assert found.spread == 0.0


def test_a_steady_change_of_the_speed_cancels_in_every_turn() -> None:
    found, _ = turns_of(0.125, 0.125, 20, slowness=lambda calls: 1 + len(calls) / 16)
    assert found.share == 1.0
    assert found.spread == 0.0


def test_threads_of_the_other_work_get_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: List[float] = []
    monkeypatch.setattr(timing.time, "sleep", pauses.append)
    timed_turns(lambda: None, lambda: None, 3, 0.0, StoppedClock(), pause_seconds=0.5)
    assert pauses == [0.5] * 7


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


def test_noisy_work_is_not_measured_again_without_time() -> None:
    left = [0.5, 0.3, 0.1]
    assert steadiest(lambda: left.pop(0), lambda spread: spread, lambda: len(left) > 1) == 0.3
    assert left == [0.1]
