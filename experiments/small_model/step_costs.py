"""The seconds of training steps on this machine, from trials of some seconds."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Callable, Container, Dict, Optional, Sequence, Tuple

import numpy as np

from bort.architecture import Architecture
from bort.process.workers import in_new_process
from bort.search.latency_terms import fit_relative
from bort.training.arithmetic import EXACT_MATH
from experiments.small_model.space import relation_heads

ASKING = ("super_network", "student", "agora")
"""The stages whose steps need the teacher's relations."""

_SUB_NETWORKS = 2  # in a step of the super-network
_FORWARD = 1 / 3  # of the multiply-adds of a step, which also goes backward
_ANSWERED = 32  # inputs that a teacher answers at once


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
        answering: seconds per multiply-add in which a teacher answers, always in exact arithmetic;
            None: a third of c, since a step goes backward too.
    """

    fixed: float
    each: float
    batch_size: int
    length: int
    relations: float = 0.0
    answering: Optional[float] = None

    def step(self, architecture: Architecture) -> float:
        """Return the seconds of a step of training."""
        return self.fixed + self.each * architecture.multiply_adds(self.batch_size, self.length)

    def forward(self, architecture: Architecture, rows: int) -> float:
        """Return the seconds in which a network answers some inputs in exact arithmetic."""
        each = _FORWARD * self.each if self.answering is None else self.answering
        return each * architecture.multiply_adds(rows, self.length)

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


def measure_steps(
    architectures: Sequence[Architecture],
    lengths: np.ndarray,
    classes: int,
    *,
    batch_size: int,
    seconds: float,
    gpu: bool = True,
    math: str = EXACT_MATH,
) -> StepCost:
    """Measure the steps of two networks on inputs as long as the task's, in a new process.

    The small one makes further steps in which it learns from the large one's answers, and the large
    one answers a batch.

    Args:
        architectures: a large network and a small one, which is a part of it.
        lengths: int (N,), tokens of the training inputs.
        classes: number of outputs; 1 for numbers.
        batch_size: inputs in a step.
        seconds: time of the trial of each network.
        gpu: use a GPU if there is one.
        math: arithmetic of the trainings, `exact` or `fast`.
    """
    settings: Dict[str, Any] = {"batch_size": batch_size, "seconds": seconds, "math": math}
    large, small = architectures
    learning = {"teacher": large, "relation_heads": relation_heads(large, [small.heads])}
    jobs = [(one, lengths, classes, gpu, settings) for one in architectures]
    jobs.append((small, lengths, classes, gpu, {**settings, **learning}))
    length = max(1, round(float(np.mean(lengths))))
    asked = (large, length, classes, gpu, {"rows": _ANSWERED, "seconds": seconds})
    (*found, with_teacher), answered = in_new_process(_measure, jobs, asked)
    return dataclasses.replace(
        fit_steps(architectures, found, batch_size, length),
        relations=max(0.0, with_teacher - found[1]),
        answering=answered / large.multiply_adds(_ANSWERED, length),
    )


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


def _measure(
    jobs: Sequence[Tuple[Architecture, np.ndarray, int, bool, Dict[str, Any]]],
    asked: Tuple[Architecture, int, int, bool, Dict[str, Any]],
) -> Tuple[Tuple[float, ...], float]:
    """Return the seconds of a step of each network, and those of answers; runs in a new process."""
    from bort.gluon.distributed import choose_context
    from bort.gluon.finetuning.trial import answer_seconds, step_seconds
    from bort.ranks import ALONE

    def timed(measure: Callable[..., float], job: Tuple[Any, ...]) -> float:
        architecture, lengths, classes, gpu, settings = job
        context = choose_context(ALONE, not gpu)
        return measure(architecture, lengths, classes, context, **settings)

    return tuple(timed(step_seconds, job) for job in jobs), timed(answer_seconds, asked)
