"""The training loop: steps, records, evaluations and checkpoints until a training is finished.

The loop decides what happens when; it knows no network, no data and no file. A `Training` makes the
steps, `Checkpoints` keep its state, and `LoopHooks` take what is recorded and shown.
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
        loss: that is minimised.
        accuracy: share that was right; None where there is no such share, as in a regression.
        tokens: seen, padding not counted.
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
    """What one kind of training does; steps are counted from 1.

    All ranks call the same methods in the same order.
    """

    def batches(self, first: int) -> Iterator[Batch]:
        """Yield this rank's batch of every step from `first` to the last; called once."""

    def step(self, number: int, batch: Batch, stop_requested: bool) -> Report:
        """Make a step, and tell all ranks whether this one was asked to stop."""

    def record(self, report: Report) -> Dict[str, float]:
        """The numbers of a step that are recorded, by name."""

    def evaluate(self, number: int) -> Mapping[str, float]:
        """Evaluate after a step; returns the numbers that are recorded, by name."""

    def ends_early(self) -> bool:
        """Whether the steps and evaluations so far are enough; the same on every rank."""

    def state(self) -> Dict[str, Any]:
        """JSON values of a checkpoint that belong to this training, beside its trainer's."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back `state`, that of a checkpoint."""


class Checkpoints(Protocol):
    """Where the state of a run is kept; see `bort.gluon.training.run_checkpoints`."""

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        """Keep the trainer's state after a step, and `state`."""

    def restore(self, step: Optional[int]) -> Tuple[int, Mapping[str, Any]]:
        """Take back the trainer's state after `step`, None for the newest; (step, state)."""


@dataclass(frozen=True)
class Cadence:
    """How often the loop does what it does beside steps.

    Attributes:
        last: number of the last step.
        log: steps between records.
        evaluate: steps between evaluations; None evaluates never.
        save: steps between checkpoints, of one or several rhythms at once.
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
        """Whether a checkpoint follows step `number`, though the run goes on."""
        return any(number % steps == 0 for steps in self.save)


@dataclass
class LoopHooks(Generic[Report]):
    """What a run tells and asks the outside.

    Attributes:
        open_metrics: called with the steps that are done once the run may begin or go on; returns
            what takes the recorded numbers, which the loop closes.
        stop_requested: asked before every step.
        on_step: called after every step with its number and report.
        show_progress: whether this process shows a bar.
        title: of the bar.
        clock: counts the seconds; a resumed run continues those of its checkpoint.
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

    A step is followed by its record, its evaluation and its checkpoint, in this order, as far as
    they are due. A run that stops is saved; an evaluation that is due is made nevertheless, so that
    a resumed run records what an uninterrupted one does.

    Args:
        training: what is trained.
        cadence: when is recorded, evaluated and saved.
        hooks: the outside.
        checkpoints: of the run; None keeps none.
        resume: whether to continue from a checkpoint.
        resume_step: of the checkpoint; None takes the newest.
        is_chief: whether this is rank 0, which alone speaks.

    Returns:
        How the run ended.

    Raises:
        InputError: there is nothing to resume.
        Whatever the training, the checkpoints and the hooks raise.
    """
    clock, done = hooks.clock, 0
    if resume:
        done = _restore(training, checkpoints, resume_step, clock)
    number, stopped = done, False
    finished = done >= cadence.last or training.ends_early()
    progress = Progress(
        cadence.last, hooks.title, done=done, enabled=hooks.show_progress and is_chief
    )
    batches = Prefetcher(training.batches(done + 1))
    pace = _Pace(clock)
    metrics = hooks.open_metrics(done)
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
