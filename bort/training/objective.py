"""The settings of the distillation losses: of masked tokens, and of a task."""

from __future__ import annotations

import dataclasses

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

    def check(self) -> None:
        """Check that one of the weights is above 0."""
        if self.mlm_weight == 0 and self.teacher_ce_weight == 0:
            raise InputError("mlm_weight and teacher_ce_weight are both 0, one must be above 0")


WITHOUT_TEACHER = Objective(mlm_weight=1.0, teacher_ce_weight=0.0)
"""The masked-token loss alone."""


@dataclasses.dataclass(frozen=True)
class TaskObjective(Config):
    """The share and the temperature of a teacher's outputs in the loss of a task.

    `(1 − soft_weight) · CE(z, y) + soft_weight · T² · KL(softmax(t/T) ‖ softmax(z/T))`

    An input without a gold label y has the second term alone, with weight 1. For a regression, both
    terms are squared errors. Without a teacher, the settings have no effect.

    Source: arXiv 1503.02531, section 2.
    """

    soft_weight: float = setting(
        0.5,
        "share of the teacher's outputs in the loss of an input with a gold label; the rest is the "
        "gold label's",
        minimum=0.0,
        maximum=1.0,
    )
    distillation_temperature: float = setting(
        2.0, "temperature T of the teacher's outputs", above=0.0
    )
