"""The progress bar and the pace of a training loop."""

from __future__ import annotations

from typing import Dict, Optional, Protocol

from bort.process.progress import Progress
from bort.training.clock import TrainingClock
from bort.training.time_budget import RunBudget


class ShownNumbers(Protocol):
    """The numbers of a step that a progress bar shows.

    Attributes:
        loss: the minimised loss.
        accuracy: share of right predictions; None for a regression, which has none.
    """

    @property
    def loss(self) -> float: ...
    @property
    def accuracy(self) -> Optional[float]: ...


class StepProgress:
    """The progress of a run in steps or, in a timed run, in seconds of its budget.

    Args:
        title: title of the bar.
        last: number of the last step.
        done: number of steps that are done already.
        budget: time that the run may take; None: its steps alone end it.
        enabled: whether to show a bar.
    """

    def __init__(
        self, title: str, last: int, done: int, budget: Optional[RunBudget], enabled: bool
    ) -> None:
        self._budget = None if budget is None or budget.seconds is None else budget
        total, unit, self._shown = last, "step", done
        if self._budget is not None:
            total, unit, self._shown = (
                round(self._budget.seconds or 0),
                "s",
                int(self._budget.elapsed),
            )
        elif budget is not None:
            total = int(budget.estimate(done)["steps"])
        self._bar = Progress(total, title, unit=unit, done=self._shown, enabled=enabled)

    def show(self, number: int, report: ShownNumbers) -> None:
        """Show a step."""
        numbers = {"loss": report.loss}
        if report.accuracy is not None:
            numbers["accuracy"] = report.accuracy
        at = number
        if self._budget is not None:
            at, numbers = int(self._budget.elapsed), {"step": number, **numbers}
        self._bar.advance(at - self._shown, **numbers)
        self._shown = at

    def close(self) -> None:
        """Close the bar."""
        self._bar.close()


class Pace:
    """The tokens per second of training since the last record."""

    def __init__(self, clock: TrainingClock) -> None:
        self._clock = clock
        self._tokens, self._since = 0, clock.training_seconds

    def add(self, tokens: int) -> None:
        """Count the tokens of a step."""
        self._tokens += tokens

    def record(self) -> Dict[str, float]:
        """Return the pace and the total seconds of training, and start a new interval."""
        now = self._clock.training_seconds
        pace = self._tokens / max(1e-9, now - self._since)
        self._tokens, self._since = 0, now
        return {"train/tokens_per_second": pace, "train/seconds": now}
