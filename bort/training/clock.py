"""A training clock, which continues after a resume."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import Callable, Dict, Iterator, Mapping, Optional

TRAINING, EVALUATION, SAVING = "training", "evaluation", "saving"


class TrainingClock:
    """A clock of the seconds spent on training, evaluations and checkpoints.

    A checkpoint stores `state`, and `restore` reads it, so a resumed run continues from the seconds
    of the interrupted run. Clocks of different ranks differ slightly, so rank 0 makes decisions
    that depend on time and shares them with the other ranks, as in
    `bort.ranks.on_rank_0(communicator, lambda: clock.training_seconds >= budget)`.

    Args:
        now: returns seconds that never decrease, such as `time.perf_counter`.

    >>> times = iter([0.0, 3.0, 5.0, 6.0])
    >>> clock = TrainingClock(lambda: next(times))
    >>> with clock.count(TRAINING):
    ...     with clock.count(EVALUATION):
    ...         pass
    >>> clock.state()
    {'training': 4.0, 'evaluation': 2.0}
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._seconds: Dict[str, float] = {}
        self._activity: Optional[str] = None
        self._since = 0.0

    @contextmanager
    def count(self, activity: str) -> Iterator[None]:
        """Count the time of the `with` block for `activity` instead of the enclosing activity."""
        around = self._activity
        self._turn_to(activity)
        try:
            yield
        finally:
            self._turn_to(around)

    def seconds(self, activity: str) -> float:
        """Return the seconds of an activity so far, those before a resume included."""
        running = self._now() - self._since if activity == self._activity else 0.0
        return self._seconds.get(activity, 0.0) + running

    @property
    def training_seconds(self) -> float:
        """The seconds of training, without evaluations and checkpoints."""
        return self.seconds(TRAINING)

    def state(self) -> Dict[str, float]:
        """Return the seconds of every activity as JSON values, for a checkpoint."""
        if self._activity is not None:
            self._turn_to(self._activity)
        return dict(self._seconds)

    def restore(self, state: Mapping[str, float]) -> None:
        """Continue from `state`; activities that it does not hold start at 0."""
        self._turn_to(self._activity)
        self._seconds = {activity: float(seconds) for activity, seconds in state.items()}

    def _turn_to(self, activity: Optional[str]) -> None:
        now = self._now()
        if self._activity is not None:
            before = self._seconds.get(self._activity, 0.0)
            self._seconds[self._activity] = before + now - self._since
        self._activity, self._since = activity, now
