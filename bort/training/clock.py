"""A clock of training, whose seconds survive an interruption."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import Callable, Dict, Iterator, Mapping, Optional

TRAINING, EVALUATION, SAVING = "training", "evaluation", "saving"


class TrainingClock:
    """Counts the seconds of a training; those of evaluations and checkpoints are counted apart.

    A checkpoint keeps `state`, and `restore` takes it back, so that the seconds of a resumed run
    continue those of the interrupted run. The clocks of several ranks differ a little, so rank 0
    makes a decision that depends on time and shares it with the others, as in
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
        """Count the time of the block for `activity`, and not for that of a block around it."""
        around = self._activity
        self._turn_to(activity)
        try:
            yield
        finally:
            self._turn_to(around)

    def seconds(self, activity: str) -> float:
        """Seconds of an activity up to now, in this process and those before it."""
        running = self._now() - self._since if activity == self._activity else 0.0
        return self._seconds.get(activity, 0.0) + running

    @property
    def training_seconds(self) -> float:
        """Seconds of training alone."""
        return self.seconds(TRAINING)

    def state(self) -> Dict[str, float]:
        """Seconds of every activity, for a checkpoint; JSON-ready."""
        if self._activity is not None:
            self._turn_to(self._activity)
        return dict(self._seconds)

    def restore(self, state: Mapping[str, float]) -> None:
        """Continue from `state`; an activity that it lacks begins at 0."""
        self._turn_to(self._activity)
        self._seconds = {activity: float(seconds) for activity, seconds in state.items()}

    def _turn_to(self, activity: Optional[str]) -> None:
        now = self._now()
        if self._activity is not None:
            before = self._seconds.get(self._activity, 0.0)
            self._seconds[self._activity] = before + now - self._since
        self._activity, self._since = activity, now
