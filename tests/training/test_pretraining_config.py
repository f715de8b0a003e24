"""Tests of the settings of pre-training that are checked against each other."""

from __future__ import annotations

import pytest

from bort.errors import InputError
from bort.text.masking_config import TrainingMasks
from bort.training.objective import WITHOUT_TEACHER, Objective
from bort.training.pretraining_config import PretrainingConfig


@pytest.mark.parametrize(
    ("objective", "name"),
    [(WITHOUT_TEACHER, "mlm_weight"), (Objective(0.0, 0.5), "teacher_ce_weight")],
)
def test_losses_on_masked_tokens_need_masked_tokens(objective, name):
    with pytest.raises(InputError, match=rf"mask_probability is 0\.0 and {name} is"):
        PretrainingConfig(objective=objective, masks=TrainingMasks(0.0))
