"""Check of the hours: the steps that they buy, and what is needed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Dict, Mapping, Optional

from bort.errors import InputError
from bort.report.html.seconds import spoken_seconds
from experiments.small_model.plan import PAUSES, TimePlan, make_time_plan

LEAST_TEACHER_INPUTS = 16_000
"""Inputs that fine-tune a teacher at least, or an epoch if that is shorter. It is our assumption:
an encoder learns most of a task in them."""

START_SECONDS = 2.0
"""Seconds of a training that make no step: its start, its last evaluation and its model."""

_MOST_ESTIMATED = 0.4
_DOUBLINGS, _HALVINGS = 40, 30
_MARGIN = 1.05  # stages that are estimated take a little longer in a longer run


@dataclass(frozen=True)
class CheckedTime:
    """Hours that are enough.

    Attributes:
        steps: steps that each stage makes: those that its seconds buy, or those of its epochs.
        least: steps that each stage needs at least.
        epoch_steps: steps of an epoch.
        other_epochs: steps of an epoch of each stage with other inputs: the teacher's own training
            has no texts without labels, and Agora's has new examples too.
    """

    steps: Mapping[str, int]
    least: Mapping[str, int]
    epoch_steps: int
    other_epochs: Mapping[str, int] = field(default_factory=dict)

    def epochs(self, stage: str) -> float:
        """Return the epochs that a stage makes."""
        return self.steps[stage] / self.other_epochs.get(stage, self.epoch_steps)


def needed_steps(
    epoch_steps: int, least_steps: int, batch_size: int, teacher_epoch: Optional[int] = None
) -> Dict[str, int]:
    """Return the steps that each stage needs at least.

    Args:
        epoch_steps: steps in which a training sees each input once.
        least_steps: steps that a training makes at least, or three epochs if these are shorter; 0:
            none is needed.
        batch_size: inputs in a step.
        teacher_epoch: steps of an epoch of the teacher's own training; None: `epoch_steps`.
    """
    others = min(least_steps, 3 * epoch_steps)
    teacher = min(-(-LEAST_TEACHER_INPUTS // batch_size), teacher_epoch or epoch_steps)
    return {
        "teacher": teacher if least_steps else 0,
        **dict.fromkeys(("super_network", "student", "truncated", "agora"), others),
    }


def shortened(estimates: Mapping[str, float], seconds: float) -> Dict[str, float]:
    """Return estimates that leave most of a time to the trainings, for a run of any hours.

    Args:
        estimates: expected seconds of the stages that are not by the clock.
        seconds: time of all stages together.
    """
    factor = min(1.0, _MOST_ESTIMATED * seconds / max(1e-9, sum(estimates.values())))
    return {name: factor * value for name, value in estimates.items()}


def seconds_of_steps(
    steps: Mapping[str, int], costs: Mapping[str, float], before: Mapping[str, float]
) -> Dict[str, float]:
    """Return the seconds in which stages make some steps.

    Args:
        steps: steps by stage.
        costs: seconds of a step by stage.
        before: seconds of a stage in which it makes no step; see `stepless_seconds`.
    """
    return {
        name: START_SECONDS + before.get(name, 0.0) + PAUSES * costs[name] * count
        for name, count in steps.items()
    }


def check_time(
    hours: str,
    plan: TimePlan,
    costs: Mapping[str, float],
    epoch_steps: int,
    least_steps: int,
    before: Optional[Mapping[str, float]] = None,
    *,
    batch_size: int,
    most: Optional[Mapping[str, int]] = None,
    other_epochs: Optional[Mapping[str, int]] = None,
    estimates: Optional[Mapping[str, float]] = None,
) -> CheckedTime:
    """Check that the hours buy enough steps of each stage.

    Before its first step a stage is not bounded by the clock, since the teacher answers all inputs.
    So hours are too few, also for no steps, if that takes longer than the stage and the later
    trainings may take together.

    Args:
        hours: the time as it was given, for the message.
        plan: the plan of the hours; its `ends` are those of `most`.
        costs: seconds of a step by stage.
        epoch_steps: steps of an epoch.
        least_steps: see `needed_steps`.
        before: seconds of a stage in which it makes no step; see `stepless_seconds`.
        batch_size: inputs in a step.
        most: steps after which the epochs of a stage end it.
        other_epochs: see `CheckedTime`.
        estimates: those of the plan before they were `shortened`; None: they were not.

    Raises:
        InputError: a stage has too little time; the message says which hours are enough.
    """
    epochs, asked = other_epochs or {}, before or {}
    least = needed_steps(epoch_steps, least_steps, batch_size, epochs.get("teacher"))
    steps = _steps(plan, costs, asked, most or {})
    short = next((name for name, count in steps.items() if count < least[name]), None)
    late = _late(plan, asked)
    if short is not None:
        reason = (
            f"the stage {short} makes about {steps[short]:,} steps of {costs[short]:.2g} s on this "
            f"machine, needed are {least[short]:,}"
        )
    elif late is not None:
        reason = (
            f"the stage {late} takes about {spoken_seconds(asked[late])} on this machine before "
            "its first step, mostly for the teacher's answers to all inputs"
        )
    else:
        return CheckedTime(steps, least, epoch_steps, epochs)
    enough = _hours(_MARGIN * _enough(plan, costs, least, asked, estimates))
    text = f"hours is {hours!r}, which is too little: {reason}; allowed is at least about {enough}"
    if "truncated" in plan.stages:
        alone = _with(plan, plan.seconds, estimates, with_baseline=False)
        seconds = _MARGIN * _enough(alone, costs, least, asked, estimates)
        text += f", or {_hours(seconds)} with --baseline false"
    raise InputError(text)


def _late(plan: TimePlan, asked: Mapping[str, float]) -> Optional[str]:
    """Return the first stage that makes no step in the time of itself and the later trainings."""
    trainings = [name for name in plan.stages if name not in plan.estimates]
    expected = plan.expected({})
    for number, name in enumerate(trainings):
        if asked.get(name, 0.0) > sum(expected[one] for one in trainings[number:]):
            return name
    return None


def _steps(
    plan: TimePlan,
    costs: Mapping[str, float],
    asked: Mapping[str, float],
    most: Mapping[str, int],
) -> Dict[str, int]:
    """Return the steps that each stage by the clock makes in the seconds that it may use."""

    def made(name: str) -> int:
        left = plan.seconds_for(name, {}) - START_SECONDS - asked.get(name, 0.0)
        bought = int(max(0.0, left) / max(1e-9, PAUSES * costs[name]))
        return min(bought, most.get(name, bought))

    return {name: made(name) for name in plan.stages if name not in plan.estimates}


def _enough(
    plan: TimePlan,
    costs: Mapping[str, float],
    least: Mapping[str, int],
    asked: Mapping[str, float],
    estimates: Optional[Mapping[str, float]],
) -> float:
    """Return the fewest seconds in which each stage makes its least steps."""

    def is_enough(seconds: float) -> bool:
        longer = _with(plan, seconds, estimates)
        found = _steps(longer, costs, asked, {})
        enough = all(count >= least[name] for name, count in found.items())
        return enough and _late(longer, asked) is None

    low, high = 0.0, plan.seconds
    for _ in range(_DOUBLINGS):
        if is_enough(high):
            break
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def _with(
    plan: TimePlan,
    seconds: float,
    estimates: Optional[Mapping[str, float]],
    with_baseline: bool = True,
) -> TimePlan:
    """Return the same plan for another time, or without the baseline; estimates stay."""
    stay = plan.estimates if estimates is None else shortened(estimates, seconds)
    return make_time_plan(
        seconds,
        trains_teacher="teacher" not in plan.estimates,
        with_baseline=with_baseline and "truncated" in plan.stages,
        with_agora="agora" in plan.stages,
        estimates=stay,
        ends=plan.ends,
        preparation=plan.preparation,
    )


def _hours(seconds: float) -> str:
    """Return a time as `--hours` takes it, rounded up.

    >>> [_hours(seconds) for seconds in (12.2, 61, 4000, 7201)]
    ['13s', '2m', '1h7m', '2h1m']
    """
    if seconds <= 59:
        return f"{math.ceil(seconds)}s"
    hours, minutes = divmod(math.ceil(seconds / 60), 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "")
