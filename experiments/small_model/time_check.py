"""Check of the hours: the steps that they buy, from a trial of some seconds, and what is needed."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Container, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.process.workers import in_new_process
from bort.search.latency_terms import fit_relative
from experiments.small_model.plan import PAUSES, TimePlan, make_time_plan
from experiments.small_model.space import relation_heads

LEAST_TEACHER_STEPS = 1_000
"""Steps that fine-tune a teacher at least, or an epoch if that is shorter. It is our assumption: an
encoder learns most of a task in its first 16,000 inputs."""

START_SECONDS = 2.0
"""Seconds of a training that make no step: its start, its last evaluation and its model."""

ASKING = ("super_network", "student", "agora")
"""The stages whose steps need the teacher's relations."""

_SUB_NETWORKS = 2  # in a step of the super-network
_FORWARD = 1 / 3  # of the multiply-adds of a step, which also goes backward
_MOST_ESTIMATED = 0.4
_DOUBLINGS, _HALVINGS = 40, 30
_MARGIN = 1.05  # stages that are estimated take a little longer in a longer run


@dataclass(frozen=True)
class StepCost:
    """The seconds of a training step, as a line o + c·m in the multiply-adds m of its inputs.

    Source of the line: steps of two networks, whose embeddings and optimizer take o.

    Attributes:
        fixed: o, in seconds.
        each: c, in seconds per multiply-add of a forward pass.
        batch_size: inputs in a step.
        length: tokens of an input, on average.
        relations: seconds that the losses on a teacher's outputs and relations add to a step of a
            network.
    """

    fixed: float
    each: float
    batch_size: int
    length: int
    relations: float = 0.0

    def step(self, architecture: Architecture) -> float:
        """Return the seconds of a step of training."""
        return self.fixed + self.each * architecture.multiply_adds(self.batch_size, self.length)

    def forward(self, architecture: Architecture, rows: int) -> float:
        """Return the seconds in which a network answers some inputs."""
        return _FORWARD * self.each * architecture.multiply_adds(rows, self.length)

    def by_stage(
        self,
        teacher: Architecture,
        parts: Sequence[Architecture],
        student: Architecture,
        asking: Container[str] = ASKING,
    ) -> Dict[str, float]:
        """Return the seconds of a step of each stage that trains by the clock.

        Steps of the super-network train two of its parts. All but the teacher and the truncated one
        learn from relations.

        Args:
            teacher: sizes of the teacher.
            parts: sizes of the sub-networks, at least one.
            student: sizes like those of the model that is searched.
            asking: the stages whose steps ask the teacher for its relations, because they are not
                kept.
        """
        part = float(np.mean([self.step(one) for one in parts])) + self.relations
        found = {
            "teacher": self.step(teacher),
            "super_network": _SUB_NETWORKS * part,
            "student": self.step(student) + self.relations,
            "truncated": self.step(student),
            "agora": self.step(student) + self.relations,
        }
        asked = self.forward(teacher, self.batch_size)
        return {name: value + (asked if name in asking else 0.0) for name, value in found.items()}


@dataclass(frozen=True)
class CheckedTime:
    """Hours that are enough.

    Attributes:
        steps: steps that the planned seconds of each stage buy.
        least: steps that each stage needs at least.
        epoch_steps: steps of an epoch.
    """

    steps: Mapping[str, int]
    least: Mapping[str, int]
    epoch_steps: int


def measure_steps(
    architectures: Sequence[Architecture],
    lengths: np.ndarray,
    classes: int,
    *,
    batch_size: int,
    seconds: float,
    gpu: bool = True,
) -> StepCost:
    """Measure the steps of two networks on inputs as long as the task's, in a new process.

    The small one makes further steps in which it learns from the large one's answers.

    Args:
        architectures: a large network and a small one, which is a part of it.
        lengths: int (N,), tokens of the training inputs.
        classes: number of outputs; 1 for numbers.
        batch_size: inputs in a step.
        seconds: time of the trial of each network.
        gpu: use a GPU if there is one.
    """
    settings: Dict[str, Any] = {"batch_size": batch_size, "seconds": seconds}
    large, small = architectures
    learning = {"teacher": large, "relation_heads": relation_heads(large, [small.heads])}
    jobs = [(one, lengths, classes, gpu, settings) for one in architectures]
    jobs.append((small, lengths, classes, gpu, {**settings, **learning}))
    *found, with_teacher = in_new_process(_measure, jobs)
    line = fit_steps(architectures, found, batch_size, max(1, round(float(np.mean(lengths)))))
    return dataclasses.replace(line, relations=max(0.0, with_teacher - found[1]))


def fit_steps(
    architectures: Sequence[Architecture], seconds: Sequence[float], batch_size: int, length: int
) -> StepCost:
    """Return the line through the seconds of steps, with no number below 0.

    Args:
        architectures: the networks, at least one.
        seconds: the seconds of a step of each.
        batch_size: inputs in a step.
        length: tokens of an input.
    """
    adds = [one.multiply_adds(batch_size, length) for one in architectures]
    values = np.stack([np.ones(len(adds)), np.array(adds, np.float64)], axis=1)
    fixed, each = fit_relative(values, np.array(seconds, np.float64)).tolist()
    return StepCost(fixed, each, batch_size, length)


def needed_steps(epoch_steps: int, least_steps: int) -> Dict[str, int]:
    """Return the steps that each stage needs at least.

    Args:
        epoch_steps: steps in which a training sees each input once.
        least_steps: steps that a training makes at least, or three epochs if these are shorter; 0:
            none is needed.
    """
    others = min(least_steps, 3 * epoch_steps)
    return {
        "teacher": min(LEAST_TEACHER_STEPS, epoch_steps) if least_steps else 0,
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


def check_time(
    hours: str,
    plan: TimePlan,
    costs: Mapping[str, float],
    epoch_steps: int,
    least_steps: int,
    before: Optional[Mapping[str, float]] = None,
) -> CheckedTime:
    """Check that the hours buy enough steps of each stage.

    Args:
        hours: the time as it was given, for the message.
        plan: the plan of the hours.
        costs: seconds of a step by stage.
        epoch_steps: steps of an epoch.
        least_steps: see `needed_steps`.
        before: seconds before the first step of a stage, in which the teacher answers all inputs.

    Raises:
        InputError: a stage has too little time; the message says which hours are enough.
    """
    least, asked = needed_steps(epoch_steps, least_steps), before or {}
    steps = _steps(plan, costs, asked)
    short = next((name for name, count in steps.items() if count < least[name]), None)
    if short is None:
        return CheckedTime(steps, least, epoch_steps)
    enough = _hours(_MARGIN * _enough(plan, costs, least, asked))
    text = (
        f"hours is {hours!r}, which is too little: the stage {short} makes about {steps[short]:,} "
        f"steps of {costs[short]:.2g} s on this machine, needed are {least[short]:,}; allowed is "
        f"at least about {enough}"
    )
    if "truncated" in plan.stages:
        alone = _with(plan, plan.seconds, with_baseline=False)
        seconds = _MARGIN * _enough(alone, costs, least, asked)
        text += f", or {_hours(seconds)} with --baseline false"
    raise InputError(text)


def _steps(
    plan: TimePlan, costs: Mapping[str, float], asked: Mapping[str, float]
) -> Dict[str, int]:
    """Return the steps that each stage by the clock makes in its planned seconds."""

    def made(name: str, seconds: float) -> int:
        left = seconds - START_SECONDS - asked.get(name, 0.0)
        return int(max(0.0, left) / max(1e-9, PAUSES * costs[name]))

    return {
        name: made(name, seconds)
        for name, seconds in plan.expected({}).items()
        if name not in plan.estimates
    }


def _enough(
    plan: TimePlan,
    costs: Mapping[str, float],
    least: Mapping[str, int],
    asked: Mapping[str, float],
) -> float:
    """Return the fewest seconds in which each stage makes its least steps."""

    def is_enough(seconds: float) -> bool:
        found = _steps(_with(plan, seconds), costs, asked)
        return all(count >= least[name] for name, count in found.items())

    low, high = 0.0, plan.seconds
    for _ in range(_DOUBLINGS):
        if is_enough(high):
            break
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def _with(plan: TimePlan, seconds: float, with_baseline: bool = True) -> TimePlan:
    """Return the same plan for another time, or without the baseline; estimates stay."""
    return make_time_plan(
        seconds,
        trains_teacher="teacher" not in plan.estimates,
        with_baseline=with_baseline and "truncated" in plan.stages,
        with_agora="agora" in plan.stages,
        estimates=plan.estimates,
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


def _measure(
    jobs: Sequence[Tuple[Architecture, np.ndarray, int, bool, Dict[str, Any]]],
) -> Tuple[float, ...]:
    """Return the seconds of a step of each network; runs in a new process."""
    from bort.gluon.distributed import choose_context
    from bort.gluon.finetuning.trial import step_seconds
    from bort.ranks import ALONE

    return tuple(
        step_seconds(architecture, lengths, classes, choose_context(ALONE, not gpu), **settings)
        for architecture, lengths, classes, gpu, settings in jobs
    )
