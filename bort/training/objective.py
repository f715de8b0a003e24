"""The weights and the temperature of distillation, which pre-training and the search share."""

from __future__ import annotations

import dataclasses

from bort.errors import InputError
from bort.settings.config import Config, setting


@dataclasses.dataclass(frozen=True)
class Objective(Config):
    """What a student minimises over masked positions, given its teacher's answers.

    `mlm_weight · CE(student, token) + teacher_ce_weight · T² · KL(softmax(t/T) ‖ softmax(s/T))`

    Source: arXiv 1503.02531, section 2. The weights and T are the release's; arXiv 2010.10499
    leaves them open.
    """

    mlm_weight: float = setting(0.1, "weight of the masked-token loss", minimum=0.0)
    teacher_ce_weight: float = setting(0.5, "weight of the distillation loss", minimum=0.0)
    distillation_temperature: float = setting(2.0, "temperature T of the distillation", above=0.0)

    def check(self) -> None:
        """A loss needs a weight above 0."""
        if self.mlm_weight == 0 and self.teacher_ce_weight == 0:
            raise InputError("mlm_weight and teacher_ce_weight are both 0, one must be above 0")


WITHOUT_TEACHER = Objective(mlm_weight=1.0, teacher_ce_weight=0.0)
"""The masked-token loss alone."""
