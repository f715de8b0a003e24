"""The count of a run's trainings: how many are done, and how many can still come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Collection, Iterable, Set


@dataclass(frozen=True)
class TrainingCount:
    """The number of different trainings of a run at one moment.

    Attributes:
        done: number of finished trainings; it never falls.
        found: number of them that an earlier, interrupted run has finished.
        at_most: upper bound of `done` at the end of the run; it never rises.
    """

    done: int
    found: int
    at_most: int


OnProgress = Callable[[TrainingCount], None]


class TrainingCounter:
    """Counts different trainings by key, and reports each change.

    Args:
        on_progress: called with the count when trainings have finished or the bound has changed.
    """

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._done: Set[str] = set()
        self._waiting: Set[str] = set()
        self._found = 0
        self._later = 0
        self._is_first = False

    def begin(self, keys: Iterable[str], later: int) -> None:
        """Begin to count trainings; at most `later` trainings follow after them."""
        self._waiting = set(keys) - self._done
        self._later = later
        self._is_first = True

    def update(self, finished: Collection[str]) -> None:
        """Count finished trainings; the first call after `begin` names those of an earlier run."""
        new = self._waiting.intersection(finished)
        self._waiting -= new
        self._done |= new
        if self._is_first:
            self._found += len(new)
        self._is_first = False
        self._report()

    def end(self) -> None:
        """Report that no training follows."""
        self._waiting, self._later = set(), 0
        self._report()

    def _report(self) -> None:
        done = len(self._done)
        at_most = done + len(self._waiting) + self._later
        self._on_progress(TrainingCount(done, self._found, at_most))
