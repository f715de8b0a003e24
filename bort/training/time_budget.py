"""A budget of time: how long a run may take, where in it the run is, and when it must end."""

from __future__ import annotations

import dataclasses
import logging
import re
import time
from contextlib import contextmanager
from typing import (
    Any,
    Callable,
    ContextManager,
    Dict,
    Iterator,
    List,
    Mapping,
    Optional,
    Protocol,
    Tuple,
)

import numpy as np

from bort.errors import InputError
from bort.ranks import Communicator
from bort.settings.config import Config, setting
from bort.storage.json_fields import JsonFields, shown
from bort.training.clock import EVALUATION, SAVING
from bort.training.time_estimate import UNITS, BatchesAt, StepCosts, one_batch

log = logging.getLogger(__name__)

POSITION, ELAPSED = "schedule/position", "schedule/elapsed"
"""Names under which a timed run records each step's position and the seconds since its start."""

MAY_CHANGE = {
    "hours": "the schedule changes",
    "early_exit_time_marker": "the run ends at another time",
    "finetune_time_markers": "models are kept at other times",
}
"""Settings of a budget that may differ when a run is resumed, and what follows."""

MOST_SECONDS = 366 * 86_400.0
LONGEST_TRIAL = 60.0
_TRIAL_SHARE, _MOST_TRIAL_SHARE = 0.05, 0.2
_TRIAL_STEPS = 4
_DURATION = re.compile(r"(?:([0-9.]+)h)?(?:([0-9.]+)m)?(?:([0-9.]+)s)?", re.ASCII)
_EXIT_SECONDS, _MOST_EXIT_SECONDS = 1.0, 5.0
_EXIT_SHARE = 0.15
"""Seconds of the exit as a share of the start's: a busy machine is slow in both."""

_RECENT_STEPS = 20


def parse_duration(text: str, name: str = "hours") -> float:
    """Return the seconds of a duration: a number of hours, or numbers with the units h, m and s.

    Args:
        text: such as `4`, `0.5`, `90m`, `45s` or `1h30m`.
        name: name of the setting, for the error.

    Raises:
        InputError: the text is no duration, or one that is not above 0 and at most a year.

    >>> [parse_duration(text) for text in ("4", "0.5", "90m", "1h30m", "45s")]
    [14400.0, 1800.0, 5400.0, 5400.0, 45.0]
    """
    matched = _DURATION.fullmatch(text.strip())
    seconds = 0.0
    try:
        if matched and any(matched.groups()):
            parts = zip(matched.groups(), UNITS.values())
            seconds = sum(float(number) * unit for number, unit in parts if number)
        elif re.fullmatch(r"[0-9.]+", text.strip(), re.ASCII):
            seconds = 3600.0 * float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MOST_SECONDS:
        raise InputError(
            f"{name} is {shown(text)}, allowed are hours such as 4 and 0.5, and times such as 90m, "
            "45s and 1h30m, up to a year"
        )
    return seconds


@dataclasses.dataclass(frozen=True)
class TimeBudgetConfig(Config):
    """Settings of a run that is planned by the clock; without `hours` it is planned by steps."""

    hours: Optional[str] = setting(
        None,
        "time that the whole command may take, resumed runs included: hours, or e.g. 90m, 45s, "
        "1h30m; the learning rate then follows the clock; default: steps alone end the run",
    )
    count_pauses: bool = setting(
        True, "with --hours, let evaluations and checkpoints move the learning rate on"
    )
    early_exit_time_marker: Optional[float] = setting(
        None,
        "end at this share of --hours; the learning rate is planned for all of it",
        above=0.0,
        maximum=1.0,
    )
    finetune_time_markers: Optional[Tuple[str, ...]] = setting(
        None, "shares of --hours at which a model folder is kept, e.g. 0.25,0.5"
    )

    def check(self) -> None:
        """Check the duration and the markers."""
        if self.hours is not None:
            parse_duration(self.hours)
            self.markers  # noqa: B018 (checks them)
            return
        for name in ("early_exit_time_marker", "finetune_time_markers"):
            if getattr(self, name) is not None:
                raise InputError(f"{name} is given without hours, allowed is both or none")

    def check_warmup(self, steps: Optional[int]) -> None:
        """Raise `InputError` if a timed run has a warm-up in steps."""
        if self.hours is not None and steps is not None:
            raise InputError(
                f"warmup_steps is {steps} and hours is {self.hours!r}; with hours, warmup_ratio "
                "gives the warm-up"
            )

    @property
    def seconds(self) -> Optional[float]:
        """The budget in seconds; None without one."""
        return None if self.hours is None else parse_duration(self.hours)

    def shared_by(self, runs: int) -> TimeBudgetConfig:
        """Return the budget of one of several runs that share the time equally."""
        if self.seconds is None:
            return self
        return dataclasses.replace(self, hours=f"{self.seconds / runs:.3f}s")

    @property
    def markers(self) -> Tuple[float, ...]:
        """The shares of the budget at which a model is kept, ascending, each once."""
        found = set()
        for word in self.finetune_time_markers or ():
            for text in filter(None, word.split(",")):
                try:
                    share = float(text)
                except ValueError:
                    share = 0.0
                if not 0 < share <= 1:
                    raise InputError(
                        f"finetune_time_markers has {shown(text)}, allowed are shares above 0 and "
                        "at most 1"
                    )
                found.add(share)
        return tuple(sorted(found))


class RunBudget(Protocol):
    """The part of a timed run that the training loop needs; all ranks call the same methods.

    Attributes:
        seconds: the budget; None if recorded positions are repeated.
        elapsed: seconds of the budget that are used.
    """

    @property
    def seconds(self) -> Optional[float]: ...
    @property
    def elapsed(self) -> float: ...

    def begin_step(self, number: int) -> float:
        """Return the position of a step in the schedule, from 0 to 1; called at its start."""

    def end_step(self, number: int, batches: int = 1) -> bool:
        """Note that a step of `batches` is made, and return whether the run must end now."""

    def is_over(self, number: int) -> bool:
        """Return whether the run must not make another step after step `number`."""

    def has_time_for(self, activity: str) -> bool:
        """Return whether the end comes in time if an evaluation or a checkpoint comes first."""

    def pausing(self, activity: str) -> ContextManager[None]:
        """Count the time of the `with` block, an evaluation or a checkpoint, as a pause."""

    def due_markers(self) -> List[float]:
        """Return the markers that are reached and not yet kept."""

    def mark_kept(self, share: float) -> None:
        """Note that the model of a marker is kept."""

    def ends_trial(self) -> bool:
        """Return whether the trial ends with this step, which happens once."""

    def estimate(
        self,
        number: int,
        batches_at: BatchesAt = one_batch,
        pauses: Optional[Mapping[str, float]] = None,
    ) -> Dict[str, float]:
        """Return how many steps the budget buys in all, as of step `number`."""

    def state(self) -> Dict[str, Any]:
        """Return JSON values for a checkpoint."""

    def restore(self, state: Mapping[str, Any], where: str) -> None:
        """Continue from the `state` of a checkpoint."""


class TimeBudget:
    """The clock of a timed run, which all ranks read alike.

    Rank 0's clock decides: its seconds are sent to all ranks before and after each step, so ranks
    never disagree about the position, a marker or the end. The run ends early enough for the last
    evaluation, checkpoint and model: what they took before is kept in reserve, and the time of a
    step.

    The budget counts from the start of the command. The schedule counts from the first step, and
    ends with the budget: its position is (t − t₁)/(T − t₁) at t seconds, with t₁ at the first step.

    Args:
        config: has `hours`.
        communicator: the ranks.
        spent: seconds that earlier processes of the run have used.
        used: seconds that this process has used before this object is made.
        evaluations_after: time of what follows the training, as a multiple of an evaluation's.
        is_exact: whether `spent` holds the seconds up to the very end of the earlier processes.
        now: returns seconds that never decrease.

    Attributes:
        seconds: T, the budget.
        elapsed: seconds of the budget that are used, as of the last `tick`.
        paused: seconds of them in evaluations and checkpoints.
    """

    def __init__(
        self,
        config: TimeBudgetConfig,
        communicator: Communicator,
        *,
        spent: float = 0.0,
        used: float = 0.0,
        evaluations_after: float = 0.0,
        is_exact: bool = False,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        assert config.seconds is not None, "a timed run has hours"
        self.seconds: float = config.seconds
        self.elapsed = 0.0
        self.paused = 0.0
        self._config = config
        self._communicator = communicator
        self._now = now
        self._spent = spent
        self._is_exact = is_exact
        self._began = now() - used
        self._start_up = used
        self._evaluations = 1.25 + evaluations_after
        self._longest: Dict[str, float] = {}
        self._steps: List[Tuple[int, float]] = []
        self._costs = StepCosts()
        self._kept: List[float] = []
        self._began_training: Optional[float] = None
        self._paused_before = 0.0
        self._first = 0.0
        self._trial_done = False
        self._step_began = 0.0
        self.tick()

    def tick(self) -> float:
        """Read rank 0's clock, and return the seconds of the budget that are used."""
        value = np.array([self._spent + self._now() - self._began], dtype=np.float64)
        self._communicator.broadcast(value)
        self.elapsed = float(value[0])
        return self.elapsed

    @property
    def position(self) -> float:
        """The place in the schedule as of the last `tick`: 0 at the first step, 1 at the end."""
        used = self.elapsed - self._first
        if not self._config.count_pauses:
            used -= self.paused
        return min(1.0, max(0.0, used / max(1e-9, self.seconds - self._first)))

    def begin_step(self, number: int) -> float:
        """Return the position of a step, at its start."""
        self._step_began = self.tick()
        if number == 1:
            self._first = self.elapsed
        if self._began_training is None:
            self._began_training = self._step_began
            self._paused_before = self.paused
        return self.position

    def end_step(self, number: int, batches: int = 1) -> bool:
        """Note that a step of `batches` is made, and return whether the run must end now."""
        seconds = self.tick() - self._step_began
        self._steps = [*self._steps[-_RECENT_STEPS:], (batches, seconds)]
        if not self._trial_done:
            self._costs.add(batches, seconds)
        return self.is_over(number)

    def is_over(self, number: int) -> bool:
        """Return whether there is no time for another step, as of the last `tick`."""
        exit_at = self._config.early_exit_time_marker
        if exit_at is not None and self.elapsed >= exit_at * self.seconds:
            return True
        return self.elapsed + self._longest_step() + self.reserve >= self.seconds

    def has_time_for(self, activity: str) -> bool:
        """Return whether there is time for a pause, another step, and then the end.

        Args:
            activity: evaluation or saving, as of the last `tick`.
        """
        needed = self._longest.get(activity, 0.0) + self._longest_step() + self.reserve
        return self.elapsed + needed < self.seconds

    def _longest_step(self) -> float:
        """Return the seconds that the next step takes at most, if it is like the last ones.

        If their numbers of batches differ, it may have a batch more than each of them.
        """
        counts = {batches for batches, _ in self._steps}
        if len(counts) < 2:
            return max((seconds for _, seconds in self._steps), default=0.0)
        return (max(counts) + 1) * max(seconds / batches for batches, seconds in self._steps)

    @property
    def reserve(self) -> float:
        """The seconds that the last evaluation, checkpoint and model, and the exit will take."""
        evaluating, saving = (self._longest.get(name, 0.0) for name in (EVALUATION, SAVING))
        leaving = min(_MOST_EXIT_SECONDS, max(_EXIT_SECONDS, _EXIT_SHARE * self._start_up))
        return self._evaluations * evaluating + 2.5 * saving + leaving

    @contextmanager
    def pausing(self, activity: str) -> Iterator[None]:
        """Count the time of the `with` block, an evaluation or a checkpoint, as a pause."""
        began = self.tick()
        yield
        seconds = self.tick() - began
        self.paused += seconds
        self._longest[activity] = max(seconds, self._longest.get(activity, 0.0))

    def due_markers(self) -> List[float]:
        """Return the markers that are reached and not yet kept, as of the last `tick`."""
        return [
            share
            for share in self._config.markers
            if self.elapsed >= share * self.seconds and share not in self._kept
        ]

    def mark_kept(self, share: float) -> None:
        """Note that the model of a marker is kept."""
        self._kept.append(share)

    def ends_trial(self) -> bool:
        """Return whether the trial ends with this step, which happens once in a process."""
        if self._trial_done or self._began_training is None:
            return False
        tried = self.elapsed - self._began_training
        needed, most = (
            min(LONGEST_TRIAL, share * self.seconds) for share in (_TRIAL_SHARE, _MOST_TRIAL_SHARE)
        )
        has_steps = len(self._costs) >= _TRIAL_STEPS
        self._trial_done = tried >= most or (tried >= needed and has_steps)
        return self._trial_done

    def estimate(
        self,
        number: int,
        batches_at: BatchesAt = one_batch,
        pauses: Optional[Mapping[str, float]] = None,
    ) -> Dict[str, float]:
        """Return how many steps the budget buys in all, as of the last step.

        Args:
            number: number of that step.
            batches_at: returns the number of batches of a step.
            pauses: evaluations and checkpoints for each step, by activity; None for none.

        Returns:
            See `StepCosts.expected`; and the `seconds` of the budget.
        """
        assert self._began_training is not None, "a step was made"
        left = max(0.0, self.seconds - self.elapsed - self.reserve)
        exit_at = self._config.early_exit_time_marker
        if exit_at is not None:
            left = min(left, max(0.0, exit_at * self.seconds - self.elapsed))
        place = self.position
        planned = max(1e-9, self.seconds - self._first)
        paused = sum(
            share * self._longest.get(activity, 0.0) for activity, share in (pauses or {}).items()
        )
        expected = self._costs.expected(
            number,
            left,
            (place, min(1.0, place + left / planned)),
            batches_at,
            trained=self.elapsed - self._began_training - (self.paused - self._paused_before),
            pauses=paused,
        )
        return {**expected, "seconds": self.seconds}

    def state(self) -> Dict[str, Any]:
        """Return JSON values for a checkpoint."""
        return {
            "elapsed": self.elapsed,
            "paused": self.paused,
            "first": self._first,
            "step": self._longest_step(),
            "longest": dict(self._longest),
            "kept": list(self._kept),
        }

    def restore(self, state: Mapping[str, Any], where: str) -> None:
        """Continue from the `state` of a checkpoint; seconds that were used since then count.

        Without a record of the very end, that of the last step can be older than the end by a step
        and the checkpoint itself, so these count as used, too.
        """
        fields = JsonFields.of(state, where)
        self._spent = max(self._spent, float(fields.number("elapsed", 0)))
        if not self._is_exact:
            self._spent += float(fields.number("step", 0))
            self._spent += fields.fields("longest").all_numbers(minimum=0).get(SAVING, 0.0)
        self.tick()
        self.paused = float(fields.number("paused", 0))
        self._first = float(fields.number("first", 0))
        self._longest = dict(fields.fields("longest").all_numbers(minimum=0))
        self._kept = [float(share) for share in fields.numbers("kept")]
