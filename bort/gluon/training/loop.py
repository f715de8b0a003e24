"""The training loop: steps, records, evaluations and checkpoints until a training is finished.

The loop is control flow alone and knows no network, no data and no file. A `Training` makes the
steps, `Checkpoints` keep its state, and `LoopHooks` connect the run with its caller.
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
from bort.storage.run_folder import MetricsWriter, NullWriter
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


Batch = TypeVar("Batch")
Report = TypeVar("Report", bound=StepNumbers)


class Training(Protocol[Batch, Report]):
    """The part of a training that differs from others; steps are counted from 1.

    All ranks call the same methods in the same order.
    """

    def batches(self, first: int) -> Iterator[Batch]:
        """Yield this rank's batch of every step from `first` to the last; called once."""

    def step(self, number: int, batch: Batch, stop_requested: bool) -> Report:
        """Make a step; its report tells all ranks whether one of them was asked to stop."""

    def record(self, report: Report) -> Dict[str, float]:
        """Numbers of a step to record, by name."""

    def evaluate(self, number: int) -> Mapping[str, float]:
        """Evaluate after a step; returns numbers to record, by name."""

    def ends_early(self) -> bool:
        """Whether training ends now, before the last planned step; the same on every rank."""

    def state(self) -> Dict[str, Any]:
        """JSON values to keep in a checkpoint, beside those of the trainer."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back the `state` of a checkpoint."""


class Checkpoints(Protocol):
    """The store of a run's state; see `bort.gluon.training.run_checkpoints`."""

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        """Keep the trainer's state after a step together with `state`."""

    def restore(self, step: Optional[int]) -> Tuple[int, Mapping[str, Any]]:
        """Take back the trainer's state after `step` (None: the newest); returns (step, state)."""


@dataclass(frozen=True)
class Cadence:
    """How often the loop records, evaluates and saves.

    Attributes:
        last: number of the last step.
        log: steps between records.
        evaluate: steps between evaluations; None evaluates never.
        save: steps between checkpoints; with several numbers a multiple of any of them is saved.
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
        """Whether a checkpoint follows step `number` of a run that goes on."""
        return any(number % steps == 0 for steps in self.save)


@dataclass
class LoopHooks(Generic[Report]):
    """Callbacks and settings that connect a run with its caller.

    Attributes:
        open_metrics: called once before the first step, with the number of steps already done;
            returns the writer of recorded numbers, which the loop closes. A run that is refused
            never calls it.
        stop_requested: asked before every step.
        on_step: called after every step with its number and report.
        show_progress: whether this process shows a bar.
        title: of the bar.
        clock: counts seconds; a resumed run continues from those in its checkpoint.
    """

    open_metrics: Callable[[int], MetricsWriter] = lambda done: NullWriter()
    stop_requested: Callable[[], bool] = lambda: False
    on_step: Callable[[int, Report], None] = lambda step, report: None
    show_progress: bool = True
    title: str = "training"
    clock: TrainingClock = dataclasses.field(default_factory=TrainingClock)


@dataclass(frozen=True)
class LoopResult:
    """How a run ended.

    Attributes:
        steps: done in all.
        stopped: whether it was asked to stop before it was finished.
        waited_seconds: how long training waited for batches.
    """

    steps: int
    stopped: bool
    waited_seconds: float


def run_loop(
    training: Training[Batch, Report],
    cadence: Cadence,
    hooks: LoopHooks[Report],
    *,
    checkpoints: Optional[Checkpoints] = None,
    resume: bool = False,
    resume_step: Optional[int] = None,
    is_chief: bool = True,
) -> LoopResult:
    """Train until the training is finished or any rank is asked to stop.

    After each step the loop records, evaluates and saves, in this order, where the cadence says so.
    It also saves when the run ends or stops. A stop does not skip an evaluation that is due, so a
    resumed run records the same numbers as an uninterrupted one.

    Errors of the training, the checkpoints and the hooks pass through.

    Args:
        training: makes the steps.
        cadence: says when to record, evaluate and save.
        hooks: connect the run with its caller.
        checkpoints: of the run; None keeps none.
        resume: whether to continue from a checkpoint.
        resume_step: step of that checkpoint; None takes the newest.
        is_chief: whether this process is rank 0, which alone shows progress and logs.

    Returns:
        How the run ended.

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
    training: Training[Batch, Report],
    checkpoints: Optional[Checkpoints],
    step: Optional[int],
    clock: TrainingClock,
) -> int:
    """Continue from a checkpoint; returns the steps that are done."""
    if checkpoints is None:
        raise InputError("resuming needs the folder of the run")
    done, state = checkpoints.restore(step)
    clock.restore(state.get("clock", {}))  # versions up to 0.2.0 had none
    training.restore(state)
    return done


def _shown(report: StepNumbers) -> Dict[str, float]:
    """The numbers beside the bar."""
    numbers = {"loss": report.loss}
    return numbers if report.accuracy is None else {**numbers, "accuracy": report.accuracy}


class _Pace:
    """Tokens a second of training since the last record."""

    def __init__(self, clock: TrainingClock) -> None:
        self._clock = clock
        self._tokens, self._since = 0, clock.training_seconds

    def add(self, tokens: int) -> None:
        self._tokens += tokens

    def record(self) -> Dict[str, float]:
        """The pace, and the seconds of training in all; begins anew."""
        now = self._clock.training_seconds
        pace = self._tokens / max(1e-9, now - self._since)
        self._tokens, self._since = 0, now
        return {"train/tokens_per_second": pace, "train/seconds": now}
