"""The training loop: steps, records, evaluations and checkpoints until a training is finished.

The loop holds the control flow alone and depends on no network, data or file. A
`TrainingProcedure` makes the steps, `Checkpoints` keep its state, and `LoopHooks` connect the run
with its caller.
"""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from typing import (
    Any,
    Callable,
    Dict,
    Generic,
    Iterator,
    Mapping,
    Optional,
    Protocol,
    Tuple,
    TypeVar,
)

from bort.errors import InputError
from bort.process.progress import Progress
from bort.storage.json_fields import JsonFields
from bort.storage.run_folder import CHECKPOINT_STATE, MetricsWriter, NullWriter, Recorded
from bort.text.batches import Prefetcher
from bort.training.clock import EVALUATION, SAVING, TRAINING, TrainingClock

log = logging.getLogger(__name__)


class StepNumbers(Protocol):
    """The numbers of a step that the loop needs, over all ranks.

    Attributes:
        loss: the minimised loss.
        accuracy: share of right predictions; None for a regression, which has none.
        tokens: tokens seen, without padding.
        stop: whether any rank was asked to stop.
    """

    @property
    def loss(self) -> float: ...
    @property
    def accuracy(self) -> Optional[float]: ...
    @property
    def tokens(self) -> int: ...
    @property
    def stop(self) -> bool: ...


_Batch = TypeVar("_Batch")
_Report = TypeVar("_Report", bound=StepNumbers)


class TrainingProcedure(Protocol[_Batch, _Report]):
    """The part of the loop that differs between pre-training and fine-tuning.

    Steps are counted from 1. All ranks call the same methods in the same order.
    """

    def batches(self, first: int) -> Iterator[_Batch]:
        """Yield this rank's batch of every step from `first` to the last; called once."""

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


@dataclass(frozen=True)
class Cadence:
    """The intervals of records, evaluations and checkpoints.

    Attributes:
        last: number of the last step.
        log: steps between records.
        evaluate: steps between evaluations; None never evaluates.
        save: steps between checkpoints; with several numbers, multiples of each are saved.
    """

    last: int
    log: int
    evaluate: Optional[int]
    save: Tuple[int, ...]

    def logs(self, number: int) -> bool:
        """Whether step `number` is recorded."""
        return number % self.log == 0 or number == self.last

    def evaluates(self, number: int) -> bool:
        """Whether an evaluation follows step `number`."""
        return self.evaluate is not None and (number % self.evaluate == 0 or number == self.last)

    def saves(self, number: int) -> bool:
        """Whether a checkpoint follows step `number` of a run that continues."""
        return any(number % steps == 0 for steps in self.save)


@dataclass
class LoopHooks(Generic[_Report]):
    """Callbacks and settings of a run.

    Attributes:
        open_metrics: called once before the first step, with the number of steps already done;
            returns the writer of recorded numbers, which the loop closes. It is not called when
            the run is refused.
        stop_requested: called before every step; True stops the run after that step.
        on_step: called after every step with its number and report.
        show_progress: whether this process shows a progress bar.
        title: title of the progress bar.
        clock: counts seconds; a resumed run continues from those in its checkpoint.
    """

    open_metrics: Callable[[int], MetricsWriter] = lambda done: NullWriter()
    stop_requested: Callable[[], bool] = lambda: False
    on_step: Callable[[int, _Report], None] = lambda step, report: None
    show_progress: bool = True
    title: str = "training"
    clock: TrainingClock = dataclasses.field(default_factory=TrainingClock)


@dataclass(frozen=True)
class LoopResult:
    """The outcome of a run.

    Attributes:
        steps: steps done in all, those before a resume included.
        stopped: whether the run was asked to stop before it was finished.
        waited_seconds: time that training waited for batches, in seconds.
    """

    steps: int
    stopped: bool
    waited_seconds: float


def run_loop(
    training: TrainingProcedure[_Batch, _Report],
    cadence: Cadence,
    hooks: LoopHooks[_Report],
    *,
    checkpoints: Optional[Checkpoints] = None,
    resume: bool = False,
    resume_step: Optional[int] = None,
    is_chief: bool = True,
) -> LoopResult:
    """Train until the training is finished or any rank is asked to stop.

    After a step, the loop records, evaluates and saves, in this order, each at its interval. It
    also saves when the run ends or stops. A stop does not skip an evaluation that is due, so a
    resumed run records the same numbers as an uninterrupted one.

    Errors of the training, the checkpoints and the hooks propagate.

    Args:
        training: makes the steps.
        cadence: intervals of records, evaluations and checkpoints.
        hooks: connect the run with its caller.
        checkpoints: store of checkpoints; None saves none.
        resume: whether to continue from a checkpoint.
        resume_step: step of that checkpoint; None takes the newest.
        is_chief: whether this process is rank 0, which alone shows progress and logs.

    Returns:
        The number of steps, and whether the run was stopped.

    Raises:
        InputError: `resume` is true without `checkpoints`.
    """
    clock, done = hooks.clock, 0
    if resume:
        done = _restore(training, checkpoints, resume_step, clock)
    number, stopped = done, False
    finished = done >= cadence.last or training.ends_early()
    metrics = hooks.open_metrics(done)
    progress = Progress(
        cadence.last, hooks.title, done=done, enabled=hooks.show_progress and is_chief
    )
    batches = Prefetcher(training.batches(done + 1))
    pace = _Pace(clock)
    try:
        with clock.count(TRAINING):
            for number, batch in enumerate(() if finished else batches, start=done + 1):
                report = training.step(number, batch, hooks.stop_requested())
                pace.add(report.tokens)
                hooks.on_step(number, report)
                progress.advance(1, **_shown(report))
                if cadence.logs(number):
                    metrics.write(number, {**training.record(report), **pace.record()})
                if cadence.evaluates(number):
                    with clock.count(EVALUATION):
                        scores = training.evaluate(number)
                    if scores:
                        metrics.write(number, scores)
                finished = number >= cadence.last or training.ends_early()
                stopped = report.stop and not finished
                if checkpoints and (finished or stopped or cadence.saves(number)):
                    with clock.count(SAVING):
                        state = {"clock": clock.state(), **training.state()}
                        checkpoints.save(number, state)
                if finished or stopped:
                    break
    finally:
        batches.close()
        progress.close()
        metrics.close()
    if stopped and is_chief:
        log.info("stopped after step %d as asked; --resume continues", number)
    return LoopResult(number, stopped, batches.waited_seconds)


def _restore(
    training: TrainingProcedure[_Batch, _Report],
    checkpoints: Optional[Checkpoints],
    step: Optional[int],
    clock: TrainingClock,
) -> int:
    """Restore a checkpoint, and return the number of steps done."""
    if checkpoints is None:
        raise InputError("resuming needs the folder of the run")
    done, state = checkpoints.restore(step)
    fields = JsonFields.of(state, CHECKPOINT_STATE)
    if fields.has("clock"):  # versions up to 0.2.0 had none
        clock.restore(fields.fields("clock").all_numbers(minimum=0))
    training.restore(state)
    return done


def _shown(report: StepNumbers) -> Dict[str, float]:
    """Return the numbers that the progress bar shows."""
    numbers = {"loss": report.loss}
    return numbers if report.accuracy is None else {**numbers, "accuracy": report.accuracy}


class _Pace:
    """The tokens per second of training since the last record."""

    def __init__(self, clock: TrainingClock) -> None:
        self._clock = clock
        self._tokens, self._since = 0, clock.training_seconds

    def add(self, tokens: int) -> None:
        self._tokens += tokens

    def record(self) -> Dict[str, float]:
        """Return the pace and the total seconds of training, and start a new interval."""
        now = self._clock.training_seconds
        pace = self._tokens / max(1e-9, now - self._since)
        self._tokens, self._since = 0, now
        return {"train/tokens_per_second": pace, "train/seconds": now}
