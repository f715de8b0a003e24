"""Protocols of the training loop: the training that makes its steps, and the store of its state."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Mapping, Optional, Protocol, Tuple, TypeVar

from bort.gluon.training.loop_progress import ShownNumbers
from bort.storage.run_folder import Recorded


class StepNumbers(ShownNumbers, Protocol):
    """The numbers of a step that the loop needs, over all ranks.

    Attributes:
        tokens: tokens seen, without padding.
        learning_rate: learning rate of the step.
        stop: whether any rank was asked to stop.
    """

    @property
    def tokens(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def stop(self) -> bool: ...


_Batch = TypeVar("_Batch")
_Report = TypeVar("_Report", bound=StepNumbers)


class TrainingProcedure(Protocol[_Batch, _Report]):
    """The part of the loop that differs between pre-training and fine-tuning.

    Steps are counted from 1. All ranks call the same methods in the same order.
    """

    def batches(self, first: int) -> Iterator[_Batch]:
        """Yield this rank's batches from number `first` (from 1) to the last; called once.

        Each is the batch of a step or, with a ramp of the batch size, a list of one micro-batch; a
        step then gets several of them joined.
        """

    def move_to(self, position: float) -> None:
        """Set the place in the schedule, 0 to 1, for the next step; called in timed runs alone."""

    def step(self, number: int, batch: _Batch, stop_requested: bool) -> _Report:
        """Make a step and report it; `stop` of the report is the same on all ranks."""

    def record(self, report: _Report) -> Recorded:
        """Return the numbers and texts of a step to record, by name."""

    def evaluate(self, number: int) -> Mapping[str, float]:
        """Evaluate after a step, and return numbers to record, by name."""

    def ends_early(self) -> bool:
        """Whether training ends now, before the last planned step; the same on every rank."""

    def state(self) -> Dict[str, Any]:
        """Return JSON values to keep in a checkpoint, in addition to those of the trainer."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore the `state` of a checkpoint."""


class Checkpoints(Protocol):
    """The store of a run's state; see `bort.gluon.training.run_checkpoints`."""

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        """Save the trainer's state after a step together with `state`."""

    def restore(self, step: Optional[int]) -> Tuple[int, Mapping[str, Any]]:
        """Restore the trainer's state after `step` (None: the newest); returns (step, state)."""
