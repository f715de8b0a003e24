"""Tests of the settings of pre-training that are checked against each other."""

from __future__ import annotations

import pytest

from bort.errors import InputError
from bort.text.masking_config import TrainingMasks
from bort.training.objective import WITHOUT_TEACHER, Objective
from bort.training.pretraining_config import PretrainingConfig
from bort.training.recipes import RECIPES, describe_recipe
from bort.training.time_budget import TimeBudgetConfig


@pytest.mark.parametrize(
    ("objective", "name"),
    [(WITHOUT_TEACHER, "mlm_weight"), (Objective(0.0, 0.5), "teacher_ce_weight")],
)
def test_losses_on_masked_tokens_need_masked_tokens(objective, name):
    with pytest.raises(InputError, match=rf"mask_probability is 0\.0 and {name} is"):
        PretrainingConfig(objective=objective, masks=TrainingMasks(0.0))


@pytest.mark.parametrize("name", list(RECIPES))
def test_every_recipe_is_a_configuration_and_is_printed(name):
    config = PretrainingConfig.from_dict(dict(RECIPES[name]), "recipe")
    values = config.as_dict()
    for setting, value in RECIPES[name].items():
        assert values[setting] == value
        assert f"{setting} {value}" in describe_recipe(name)


def test_there_is_one_ramp_of_the_batch_size():
    with pytest.raises(InputError, match=r"batch_ramp_steps is 9 and batch_ramp_share is 0\.6"):
        PretrainingConfig(batch_ramp_steps=9, batch_ramp_share=0.6)


def test_the_published_batch_sizes():
    sizes = {
        name: values["batch_size"] * values["accumulate"]
        for name, values in RECIPES.items()
        if values
    }
    assert sizes == {"academic-budget": 4096, "cramming": 8192}


def test_a_stop_at_a_step_changes_no_result_and_goes_without_a_clock():
    assert "stop_at_step" not in PretrainingConfig(stop_at_step=3).results_settings()
    with pytest.raises(InputError, match="stop_at_step is 3 and hours is '4'"):
        PretrainingConfig(stop_at_step=3, budget=TimeBudgetConfig(hours="4"))
