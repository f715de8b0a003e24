"""Tests of the stages that read kept relations, by the size of the data and the free disk."""

from __future__ import annotations

import pytest

from bort.architecture import Architecture
from experiments.small_model.asked_inputs import inputs_by_stage, keeps_relations
from experiments.small_model.config import KEPT_FEATURES_GB, NEW_EXAMPLES

TEACHER = Architecture(6, 12, 384, 1536, 30522)
BYTES = 3 * 384 * 4  # of a token


def test_new_examples_are_bounded() -> None:
    assert inputs_by_stage(5_000, 4_000)["agora"] == 5_000 + NEW_EXAMPLES
    assert inputs_by_stage(100, 10) == {"super_network": 100, "agora": 180}


@pytest.mark.parametrize(
    ("inputs", "share", "stages"),
    [
        ({"super_network": 1_000, "agora": 2_000}, 2.0, {"super_network", "student", "agora"}),
        ({"super_network": 1_000, "agora": 2_001}, 2.0, {"super_network", "student"}),
        ({"super_network": 2_001, "agora": 2_001}, 2.0, set()),
    ],
)
def test_relations_are_kept_where_half_of_the_disk_holds_them(
    inputs: dict, share: float, stages: set
) -> None:
    free = int(share * 2_000 * 20 * BYTES)
    assert keeps_relations(TEACHER, inputs, 20, free) == stages


def test_relations_are_kept_up_to_the_setting() -> None:
    most = int(KEPT_FEATURES_GB * 1e9 / BYTES)
    inputs = {"super_network": most, "agora": most + 1}
    assert keeps_relations(TEACHER, inputs, 1, 10**12) == {"super_network", "student"}
