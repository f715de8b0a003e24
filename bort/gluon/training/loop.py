"""The training loop: steps, records, evaluations and checkpoints until a training is finished.

The loop holds the control flow alone and depends on no network, data or file. A
`TrainingProcedure` makes the steps, `Checkpoints` keep its state, and `LoopHooks` connect the run
with its caller.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import (
    Any,
    Callable,
    Dict,
    Generic,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Tuple,
    TypeVar,
)

from bort.errors import InputError
from bort.gluon.training.loop_progress import Pace, StepProgress
from bort.gluon.training.procedure import Checkpoints, StepNumbers, TrainingProcedure
from bort.storage.json_fields import JsonFields
from bort.storage.run_folder import CHECKPOINT_STATE, MetricsWriter, NullWriter
from bort.text.batch_plan import Accumulation
from bort.text.batches import Prefetcher
from bort.training.clock import EVALUATION, SAVING, TRAINING, TrainingClock
from bort.training.divergence import DivergenceCheck
from bort.training.time_budget import ELAPSED, POSITION, RunBudget
from bort.training.validation_schedule import ValidationSchedule

log = logging.getLogger(__name__)

_Batch = TypeVar("_Batch")
_Report = TypeVar("_Report", bound=StepNumbers)


@dataclass(frozen=True)
class Cadence:
    """The intervals of records, evaluations and checkpoints.

    Attributes:
        last: number of the last step.
        log: steps between records.
        evaluate: steps between evaluations; None never evaluates.
        save: steps between checkpoints; with several numbers, multiples of each are saved.
        validation: which of the evaluations are made.
        stop: step after which this part of the run ends, as if it were the last; the run goes on
            when it is resumed. None: the last.
    """

    last: int
    log: int
    evaluate: Optional[int]
    save: Tuple[int, ...]
    validation: ValidationSchedule = ValidationSchedule()
    stop: Optional[int] = None

    @property
    def end(self) -> int:
        """The step after which the training ends now."""
        return self.last if self.stop is None else min(self.stop, self.last)

    def logs(self, number: int) -> bool:
        """Whether step `number` is recorded."""
        return number % self.log == 0 or number == self.end

    def evaluates(self, number: int, position: Optional[float] = None) -> bool:
        """Whether an evaluation follows step `number`.

        Args:
            number: the step.
            position: place in a timed run; None: the share of the steps.
        """
        if self.evaluate is None or number == self.end:
            return self.evaluate is not None
        if number % self.evaluate:
            return False
        place = number / self.last if position is None else position
        return self.validation.is_due(place, number // self.evaluate)

    def saves(self, number: int) -> bool:
        """Whether a checkpoint follows step `number` of a run that continues."""
        return any(number % steps == 0 for steps in self.save)

    def pauses(self) -> Dict[str, float]:
        """Return the evaluations and the checkpoints for each step, on average."""
        evaluations = 0.0
        if self.evaluate is not None:
            evaluations = 1 / self.evaluate / self.validation.validation_epochs
        return {EVALUATION: evaluations, SAVING: sum(1 / steps for steps in self.save)}


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
        budget: the time that the run may take; None: its steps alone end it.
        on_trial: called once, after the first minute of a timed run, with the estimate of the
            steps that the budget buys (`bort.training.time_budget.TimeBudget.estimate`) and
            `tokens_per_step`.
        on_marker: called when a marker of a timed run is reached, to keep a model, with `share`,
            `step`, `seconds` of the budget, `position`, `tokens` so far and `learning_rate`.
        divergence: looks at the scores of each evaluation.
    """

    open_metrics: Callable[[int], MetricsWriter] = lambda done: NullWriter()
    stop_requested: Callable[[], bool] = lambda: False
    on_step: Callable[[int, _Report], None] = lambda step, report: None
    show_progress: bool = True
    title: str = "training"
    clock: TrainingClock = dataclasses.field(default_factory=TrainingClock)
    budget: Optional[RunBudget] = None
    on_trial: Callable[[Mapping[str, float]], None] = lambda estimate: None
    on_marker: Callable[[Mapping[str, float]], None] = lambda facts: None
    divergence: DivergenceCheck = dataclasses.field(default_factory=DivergenceCheck)


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
    accumulation: Optional[Accumulation] = None,
    checkpoints: Optional[Checkpoints] = None,
    resume: bool = False,
    resume_step: Optional[int] = None,
    is_chief: bool = True,
) -> LoopResult:
    """Train until the training is finished or any rank is asked to stop.

    After a step, the loop records, evaluates and saves, in this order, each at its interval. It
    also saves when the run ends or stops. A stop does not skip an evaluation that is due, so a
    resumed run records the same numbers as an uninterrupted one.

    A timed run records the position of each step, and also ends when its budget ends, after an
    evaluation and a checkpoint. These two also follow the trial, so that their times are known.

    Errors of the training, the checkpoints and the hooks propagate.

    Args:
        training: makes the steps.
        cadence: intervals of records, evaluations and checkpoints.
        hooks: connect the run with its caller.
        accumulation: the micro-batches of each step; without a ramp, as for None, each batch of the
            training is that of a step.
        checkpoints: store of checkpoints; None saves none.
        resume: whether to continue from a checkpoint.
        resume_step: step of that checkpoint; None takes the newest.
        is_chief: whether this process is rank 0, which alone shows progress and logs.

    Returns:
        The number of steps, and whether the run was stopped.

    Raises:
        InputError: `resume` is true without `checkpoints`, or the checkpoint is of a step after
            `cadence.stop`.
    """
    run = _Run(training, cadence, hooks, checkpoints, accumulation)
    done = run.restore(resume_step) if resume else 0
    if done > cadence.end and cadence.stop is not None:
        raise InputError(
            f"stop_at_step is {cadence.stop}, allowed are {done} and more: the run to resume has "
            f"done {done} steps"
        )
    finished = done >= cadence.end or training.ends_early() or run.has_no_time(done)
    number, stopped = done, False
    run.metrics = hooks.open_metrics(done)
    progress = StepProgress(
        hooks.title, cadence.end, done, hooks.budget, hooks.show_progress and is_chief
    )
    batches = Prefetcher(training.batches(run.drawn + 1))
    try:
        with hooks.clock.count(TRAINING):
            steps = () if finished else run.batches_of_steps(batches, done + 1)
            for number, batch in enumerate(steps, start=done + 1):
                report = run.step(number, batch)
                progress.show(number, report)
                finished, stopped = run.follow(number, report)
                if finished or stopped:
                    break
    finally:
        batches.close()
        progress.close()
        run.metrics.close()
    if stopped and is_chief:
        log.info("stopped after step %d as asked; --resume continues", number)
    return LoopResult(number, stopped, batches.waited_seconds)


class _Run(Generic[_Batch, _Report]):
    """The parts of a loop's pass: the batch of a step, the step, and what follows it.

    Attributes:
        metrics: writer of the recorded numbers.
        drawn: number of the training's batches that steps have used.
    """

    def __init__(
        self,
        training: TrainingProcedure[_Batch, _Report],
        cadence: Cadence,
        hooks: LoopHooks[_Report],
        checkpoints: Optional[Checkpoints],
        accumulation: Optional[Accumulation],
    ) -> None:
        self.metrics: MetricsWriter = NullWriter()
        self._training = training
        self._cadence = cadence
        self._hooks = hooks
        self._checkpoints = checkpoints
        self._budget = hooks.budget
        self._pace = Pace(hooks.clock)
        self._ramp = accumulation if accumulation is not None and accumulation.grows else None
        self._count = 1
        self.drawn = 0
        self._timed: Dict[str, float] = {}
        self._tokens = 0

    def restore(self, step: Optional[int]) -> int:
        """Restore a checkpoint, and return the number of steps done."""
        if self._checkpoints is None:
            raise InputError("resuming needs the folder of the run")
        done, state = self._checkpoints.restore(step)
        fields = JsonFields.of(state, CHECKPOINT_STATE)
        if fields.has("clock"):  # versions up to 0.2.0 had none
            self._hooks.clock.restore(fields.fields("clock").all_numbers(minimum=0))
        if fields.has("tokens"):
            self._tokens = fields.integer("tokens", 0)
        if self._budget is not None and fields.has("budget"):
            self._budget.restore(fields.fields("budget").values, CHECKPOINT_STATE)
        self.drawn = done if self._ramp is None else fields.integer("batches", 1)
        self._training.restore(state)
        self._pace = Pace(self._hooks.clock)
        return done

    def has_no_time(self, done: int) -> bool:
        """Return whether a run that is resumed has no time for another step."""
        return done > 0 and self._budget is not None and self._budget.is_over(done)

    def batches_of_steps(self, batches: Iterable[_Batch], first: int) -> Iterator[_Batch]:
        """Begin each step from `first` on, and yield its batch: with a ramp, several ones joined.

        All ranks use equally many, because the place of the step is the same for all.
        """
        items = iter(batches)
        for number in itertools.count(first):
            if self._budget is not None:
                place = self._budget.begin_step(number)
                self._timed = {POSITION: place, ELAPSED: self._budget.elapsed}
                self._training.move_to(place)
            self._count = self._batches_at(number, self._timed.get(POSITION, 0.0))
            found = list(itertools.islice(items, self._count))
            if not found:
                return
            self.drawn += len(found)
            yield found[0] if self._ramp is None else _joined(found)

    def _batches_at(self, number: int, place: float) -> int:
        """Return the number of batches of a step; `place` is its position in a timed run."""
        if self._ramp is None:
            return 1
        return self._ramp.at(number, max(place, (number - 1) / self._cadence.last))

    def step(self, number: int, batch: _Batch) -> _Report:
        """Make a step."""
        hooks = self._hooks
        report = self._training.step(number, batch, hooks.stop_requested())
        self._pace.add(report.tokens)
        self._tokens += report.tokens
        hooks.on_step(number, report)
        return report

    def follow(self, number: int, report: _Report) -> Tuple[bool, bool]:
        """Do what follows a step, and return whether the run is finished and whether it stops."""
        cadence, budget = self._cadence, self._budget
        timed_out = budget is not None and budget.end_step(number, self._count)
        tried = budget is not None and budget.ends_trial()
        evaluates = cadence.evaluates(number, self._timed.get(POSITION))
        # Without time for this evaluation and a later last one, it is the last one.
        timed_out = timed_out or (evaluates and not self._has_time_for(EVALUATION))
        self._record(number, report, cadence.logs(number) or timed_out)
        if evaluates or (cadence.evaluate is not None and (timed_out or tried)):
            self._evaluate(number)
        finished = number >= cadence.end or self._training.ends_early() or timed_out
        stopped = report.stop and not finished
        kept = budget is not None and self._keep_models(budget, number, report)
        saves = cadence.saves(number) and self._has_time_for(SAVING)
        if self._checkpoints and (finished or stopped or tried or kept or saves):
            self._save(number)
        if budget is not None and tried:
            found = budget.estimate(number, self._batches_at, cadence.pauses())
            tokens = self._tokens / self.drawn
            if self._ramp is not None:  # later steps have more batches than those so far
                tokens *= (self.drawn + found["batches"]) / found["steps"]
            self._hooks.on_trial({**found, "tokens_per_step": tokens})
        return finished, stopped

    def _has_time_for(self, activity: str) -> bool:
        return self._budget is None or self._budget.has_time_for(activity)

    def _record(self, number: int, report: _Report, in_full: bool) -> None:
        values: Dict[str, Any] = dict(self._timed)
        if in_full:
            values = {**self._training.record(report), **self._pace.record(), **values}
        if values:
            self.metrics.write(number, values)

    def _evaluate(self, number: int) -> None:
        with self._pause(EVALUATION):
            scores = self._training.evaluate(number)
        if scores:
            timed = {} if self._budget is None else {ELAPSED: self._budget.elapsed}
            self.metrics.write(number, {**scores, **timed})
            self._hooks.divergence.look_at(number, scores, self._hooks.clock.training_seconds)

    def _keep_models(self, budget: RunBudget, number: int, report: _Report) -> bool:
        """Keep a model for each marker that is reached, and return whether there was one."""
        due = budget.due_markers()
        for share in due:
            facts = {
                "share": share,
                "step": number,
                "seconds": budget.elapsed,
                "position": self._timed[POSITION],
                "tokens": self._tokens,
                "learning_rate": report.learning_rate,
            }
            with self._pause(SAVING):
                self._hooks.on_marker(facts)
            budget.mark_kept(share)
        return bool(due)

    def _save(self, number: int) -> None:
        assert self._checkpoints is not None
        with self._pause(SAVING):
            state = {"clock": self._hooks.clock.state(), **self._training.state()}
            if self._budget is not None:
                state = {"budget": self._budget.state(), "tokens": self._tokens, **state}
            if self._ramp is not None:
                state = {"batches": self.drawn, **state}
            self._checkpoints.save(number, state)

    @contextmanager
    def _pause(self, activity: str) -> Iterator[None]:
        """Count the time of the `with` block as an activity other than training."""
        with self._hooks.clock.count(activity):
            if self._budget is None:
                yield
                return
            with self._budget.pausing(activity):
                yield


def _joined(lists: List[Any]) -> Any:
    """Return one list with the micro-batches of several batches."""
    return [micro_batch for batch in lists for micro_batch in batch]
