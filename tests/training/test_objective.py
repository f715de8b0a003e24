"""Tests of the objectives of students: weights that are all 0, and older settings."""

from __future__ import annotations

import pytest

from bort.errors import InputError
from bort.training.objective import FeatureObjective, Objective, check_weights
from bort.training.pretraining_config import PretrainingConfig

NOTHING = Objective(mlm_weight=0.0, teacher_ce_weight=0.0)


def test_something_must_be_learnt():
    with pytest.raises(InputError, match="hidden_weight and relation_weight are all 0"):
        PretrainingConfig(objective=NOTHING)
    for features in (FeatureObjective(hidden_weight=1.0), FeatureObjective(relation_weight=1.0)):
        check_weights(NOTHING, features)
    check_weights(Objective(), FeatureObjective())


def test_features_are_off_by_default():
    assert not FeatureObjective().is_on
    assert not PretrainingConfig().features.is_on
    with pytest.raises(InputError, match=r"relation_heads is 0, allowed is at least 1"):
        FeatureObjective(relation_heads=0)
