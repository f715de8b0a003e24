"""The seconds of training steps on this machine, from trials of some seconds."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Callable, Container, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from bort.architecture import Architecture
from bort.process.workers import in_new_process
from bort.search.latency_terms import fit_relative
from bort.training.arithmetic import EXACT_MATH
from bort.training.importance_config import IMPORTANCE_TOKENS
from experiments.small_model.space import relation_heads

ASKING = ("super_network", "student", "agora")
"""The stages whose steps need the teacher's relations."""

_SUB_NETWORKS = 2  # in a step of the super-network
_FORWARD = 1 / 3  # of the multiply-adds of a step, which also goes backward
_ANSWERED = 32  # inputs that a teacher answers at once
_FOR_ANSWERS = 4  # the trial of answers takes this part of the time of the others
_STEP, _ANSWER, _SHARED_STEP = "step", "answer", "shared step"

_CHECKPOINTS = 3.5
"""Checkpoints for which a super-network's training needs time: that of the trial, and 2.5 times the
longest as a reserve."""

_CHECKPOINT_SECONDS = 1.3e-7
"""Seconds for each parameter of a checkpoint, which holds both moments of Adam too. It is our
assumption, about 90 MB in a second."""

_EXIT_SHARE, _MOST_EXIT = 0.15, 5.0
"""Time in reserve for the exit, as a share of the start's, and in seconds at most."""


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
        sharing: seconds that a step of the super-network takes beside those of its parts, or less:
            copies of weights and gradients, and the update of the whole network in place of those
            of the parts.
    """

    fixed: float
    each: float
    batch_size: int
    length: int
    relations: float = 0.0
    answering: Optional[float] = None
    sharing: float = 0.0

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
        super_network = max(part, _SUB_NETWORKS * part + self.sharing)
        found = {
            "teacher": self.step(teacher),
            "super_network": super_network,
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
    freeze_embeddings: bool = False,
) -> StepCost:
    """Measure the steps of two networks on inputs as long as the task's, in a new process.

    The small one makes further steps in which it learns from the large one's answers, alone and as
    a part of it, and the large one answers a batch.

    Args:
        architectures: a large network and a small one, which is a part of it.
        lengths: int (N,), tokens of the training inputs.
        classes: number of outputs; 1 for numbers.
        batch_size: inputs in a step.
        seconds: time of the trial of each network.
        gpu: use a GPU if there is one.
        math: arithmetic of the trainings, `exact` or `fast`.
        freeze_embeddings: whether the trainings keep the embeddings of tokens.
    """
    large, small = architectures
    heads = relation_heads(large, [small.heads])
    length = max(1, round(float(np.mean(lengths))))
    settings: Dict[str, Any] = {
        **{"batch_size": batch_size, "seconds": seconds, "math": math},
        "freeze_embeddings": freeze_embeddings,
    }
    learning = {"teacher": large, "relation_heads": heads}
    answering = {"rows": _ANSWERED, "seconds": seconds / _FOR_ANSWERS}
    sharing = {"part": small, "sub_networks": _SUB_NETWORKS, "relation_heads": heads}
    *found, with_teacher, answered, shared = in_new_process(
        _measure,
        [
            *((_STEP, one, lengths, settings) for one in architectures),
            (_STEP, small, lengths, {**settings, **learning}),
            (_ANSWER, large, length, answering),
            (_SHARED_STEP, large, lengths, {**settings, **sharing}),
        ],
        classes,
        gpu,
    )
    cost = dataclasses.replace(
        fit_steps(architectures, found, batch_size, length),
        relations=max(0.0, with_teacher - found[1]),
        answering=answered / large.multiply_adds(_ANSWERED, length),
    )
    parts = _SUB_NETWORKS * (cost.step(small) + cost.relations)
    return dataclasses.replace(cost, sharing=shared - parts)


def stepless_seconds(
    cost: StepCost, teacher: Architecture, asked: Mapping[str, int], importance_batches: int
) -> Dict[str, float]:
    """Return the seconds of stages in which they make no step, beside those of all trainings.

    Before the first step of some stages, the teacher answers all inputs. The super-network also
    measures importance, and writes the whole network after its trial and at the end, for which it
    keeps time in reserve (`bort.training.time_budget.TimeBudget.reserve`).

    Args:
        cost: the seconds of steps.
        teacher: sizes of the teacher.
        asked: the inputs that the teacher answers before the first step of a stage.
        importance_batches: batches on which importance is measured.
    """
    found = {name: cost.forward(teacher, rows) for name, rows in asked.items()}
    began = found["super_network"] + importance_seconds(cost, teacher, importance_batches)
    saving = _CHECKPOINTS * _CHECKPOINT_SECONDS * teacher.parameter_count()
    found["super_network"] = began + saving + min(_MOST_EXIT, _EXIT_SHARE * began)
    return found


def importance_seconds(cost: StepCost, teacher: Architecture, batches: int) -> float:
    """Return the seconds in which the importance of a teacher's parts and layers is measured.

    It is that of passes forward and backward, and of passes without each of the layers.

    Args:
        cost: the seconds of steps.
        teacher: sizes of the teacher.
        batches: batches on which it is measured.
    """
    passes = 1 / _FORWARD + (teacher.depth if teacher.depth > 1 else 0)
    return passes * cost.forward(teacher, batches * math.ceil(IMPORTANCE_TOKENS / cost.length))


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
    jobs: Sequence[Tuple[str, Architecture, Any, Dict[str, Any]]], classes: int, gpu: bool
) -> List[float]:
    """Return the seconds of a trial of each job; runs in a new process.

    Args:
        jobs: kinds of trials, their networks, their lengths of inputs, and further arguments.
        classes: number of outputs; 1 for numbers.
        gpu: use a GPU if there is one.
    """
    from bort.gluon.distributed import choose_context
    from bort.gluon.finetuning.trial import answer_seconds, step_seconds
    from bort.gluon.super_network.trial import super_network_step_seconds
    from bort.ranks import ALONE

    trials: Mapping[str, Callable[..., float]] = {
        _STEP: step_seconds,
        _ANSWER: answer_seconds,
        _SHARED_STEP: super_network_step_seconds,
    }
    context = choose_context(ALONE, not gpu)
    return [
        trials[kind](architecture, lengths, classes, context, **further)
        for kind, architecture, lengths, further in jobs
    ]
