"""The settings of the distillation losses: of masked tokens, and of a task."""

from __future__ import annotations

import dataclasses
import math
from typing import Optional, Tuple

from bort.architecture import Architecture
from bort.errors import InputError
from bort.settings.config import Config, setting


@dataclasses.dataclass(frozen=True)
class Objective(Config):
    """The weights and the temperature of the loss that a student minimises at masked positions.

    `mlm_weight · CE(student, token) + teacher_ce_weight · T² · KL(softmax(t/T) ‖ softmax(s/T))`

    Source: arXiv 1503.02531, section 2. The default weights and T are those of the original
    release; arXiv 2010.10499 does not state them.
    """

    mlm_weight: float = setting(0.1, "weight of the masked-token loss", minimum=0.0)
    teacher_ce_weight: float = setting(0.5, "weight of the distillation loss", minimum=0.0)
    distillation_temperature: float = setting(2.0, "temperature T of the distillation", above=0.0)


@dataclasses.dataclass(frozen=True)
class FeatureObjective(Config):
    """The weights of the losses between a student's and a teacher's last layers.

    `hidden_weight · (MSE(W h_S + b, h_T) + MSE(scores_S, scores_T))`
    `+ relation_weight · Σ KL(relation_T ‖ relation_S)` over queries, keys and values

    The mean of the hidden states is over real tokens, that of the attention scores over heads and
    real pairs of tokens, that of the relations over relation heads and real tokens. W and b are
    learnt with the student. The scores are those before the softmax.

    Sources: arXiv 2107.13686 (hidden states and scores); arXiv 2012.15828, equations 2 and 3
    (relations).
    """

    hidden_weight: float = setting(
        0.0,
        "weight of the loss on the teacher's last hidden states (through a learnt map) and "
        "attention scores; needs as many heads as the teacher",
        minimum=0.0,
    )
    relation_weight: float = setting(
        0.0,
        "weight of the loss on the teacher's query, key and value relations; widths and numbers of "
        "heads may differ",
        minimum=0.0,
    )
    relation_heads: Optional[int] = setting(
        None,
        "relation heads, a divisor of both attention widths; default: the teacher's heads",
        minimum=1,
    )

    @property
    def is_on(self) -> bool:
        """Whether a student learns from the features of a teacher."""
        return self.hidden_weight > 0 or self.relation_weight > 0

    @property
    def losses(self) -> Tuple[str, ...]:
        """Names of the losses that are on: `hidden` and `scores`, `relations`."""
        hidden = ("hidden", "scores") if self.hidden_weight > 0 else ()
        return hidden + (("relations",) if self.relation_weight > 0 else ())

    @property
    def features(self) -> Tuple[str, ...]:
        """Names of the teacher's features that the losses read, as in `Features`."""
        hidden = ("hidden",) if self.hidden_weight > 0 else ()
        value = ("value",) if self.relation_weight > 0 else ()
        return (*hidden, "query", "key", *value) if self.is_on else ()

    def check_fits(self, student: Architecture, teacher: Architecture) -> None:
        """Check that a student can learn from a teacher by the losses of a weight above 0.

        Raises:
            InputError: the numbers of heads differ, or the relation heads do not divide the widths.
        """
        if self.hidden_weight > 0 and student.heads != teacher.heads:
            raise InputError(
                f"hidden_weight is {self.hidden_weight!r} and the student has {student.heads} "
                f"heads, the teacher {teacher.heads}; allowed are equal numbers "
                "(relation_weight allows others)"
            )
        if self.relation_weight > 0:
            self.relation_heads_for(student, teacher)

    def relation_heads_for(self, student: Architecture, teacher: Architecture) -> int:
        """Return the number of relation heads of a student and a teacher.

        Raises:
            InputError: they do not divide both attention widths.
        """
        heads = self.relation_heads or teacher.heads
        if student.qkv % heads or teacher.qkv % heads:
            common = math.gcd(student.qkv, teacher.qkv)
            origin = "" if self.relation_heads else ", the number of the teacher's heads"
            raise InputError(
                f"relation_heads is {heads}{origin}; the attention of the student is {student.qkv} "
                f"wide and that of the teacher {teacher.qkv}, so allowed are divisors of {common}"
            )
        return heads


def check_weights(objective: Objective, features: FeatureObjective) -> None:
    """Check that one of the weights is above 0."""
    if objective.mlm_weight == 0 and objective.teacher_ce_weight == 0 and not features.is_on:
        raise InputError(
            "mlm_weight, teacher_ce_weight, hidden_weight and relation_weight are all 0, one must "
            "be above 0"
        )


WITHOUT_TEACHER = Objective(mlm_weight=1.0, teacher_ce_weight=0.0)
"""The masked-token loss alone."""


@dataclasses.dataclass(frozen=True)
class TaskObjective(Config):
    """The weights and the temperature of the loss that a student with a teacher has on a task.

    `label_weight · CE(z, y) + soft_weight · T² · KL(softmax(t/T) ‖ softmax(z/T))`

    An input without a gold label y has the second term alone, with the sum of both weights. For a
    regression, both terms are squared errors. Without a teacher, the settings have no effect.

    Source: arXiv 1503.02531, section 2.
    """

    label_weight: float = setting(
        0.5, "with a teacher: weight of the loss on the labels", minimum=0.0
    )
    soft_weight: float = setting(
        0.5,
        "with a teacher: weight of the loss on its outputs; inputs without a label have it alone, "
        "with the sum of both weights",
        minimum=0.0,
    )
    distillation_temperature: float = setting(
        2.0, "temperature T of the teacher's outputs", above=0.0
    )

    def check(self) -> None:
        """Check that one of the weights is above 0."""
        if self.label_weight == 0 and self.soft_weight == 0:
            raise InputError("label_weight and soft_weight are both 0, one must be above 0")
