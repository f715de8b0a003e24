"""A clock that stands still unless a test moves it, in place of those of a timed run."""

from __future__ import annotations

import functools

import pytest

from bort.training import timed_records
from bort.training.time_budget import TimeBudget


class StoppedClock:
    """Seconds since the start of the process.

    Args:
        now: the seconds at first.
    """

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def stop_clock(monkeypatch: pytest.MonkeyPatch, now: float) -> StoppedClock:
    """Let the budgets that `open_budget` makes read a stopped clock, which is returned."""
    clock = StoppedClock(now)
    monkeypatch.setattr(timed_records, "seconds_since_start", clock)
    monkeypatch.setattr(timed_records, "TimeBudget", functools.partial(TimeBudget, now=clock))
    return clock
