"""The settings that follow from the task and the teacher."""

from __future__ import annotations

import dataclasses

import pytest

from experiments.small_model.config import SmallModelConfig
from experiments.small_model.defaults import (
    LARGE_BATCH,
    SMALL_BATCH,
    default_batch_size,
    default_lr,
    with_defaults,
)
from experiments.small_model.training import recipe

CONFIG = SmallModelConfig(teacher="t", task_name="CoLA", output_dir="out", hours="1", speed_up=2.0)


def test_many_rows_have_large_batches() -> None:
    assert default_batch_size(3_999) == SMALL_BATCH
    assert default_batch_size(4_000) == LARGE_BATCH


def test_the_learning_rate_falls_with_the_width_within_bounds() -> None:
    assert default_lr(768) == 5e-5
    assert default_lr(384) == pytest.approx(2 * default_lr(768))
    assert default_lr(128) == default_lr(16) == 2e-4
    assert default_lr(4_096) == 2e-5


def test_given_settings_stay() -> None:
    found = with_defaults(CONFIG, 10_000, 384)
    assert (found.batch_size, found.lr) == (32, 1e-4)
    assert dataclasses.replace(found, batch_size=None, lr=None) == CONFIG
    given = dataclasses.replace(CONFIG, batch_size=8, lr=3e-4)
    assert with_defaults(given, 10_000, 384) == given
    assert found.inputs_in_a_step == 32
    with pytest.raises(AssertionError):
        CONFIG.inputs_in_a_step  # noqa: B018


@pytest.mark.parametrize("freezes", [True, False])
def test_all_trainings_get_the_batch_size_and_freezing(freezes: bool) -> None:
    config = dataclasses.replace(CONFIG, batch_size=8, freeze_embeddings=freezes)
    found = recipe(config, 10.0)
    assert (found["batch_size"], found["freeze_embeddings"]) == (8, freezes)
