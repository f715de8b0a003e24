"""Tests of the check that a training has not diverged."""

from __future__ import annotations

import pytest

from bort.errors import InputError, WorkError
from bort.training.divergence import DivergenceCheck

CHECK = DivergenceCheck(divergence_loss=6.0, divergence_time="10m")


def test_a_high_loss_ends_the_run_only_after_the_time() -> None:
    CHECK.look_at(5, {"validation/mlm_loss": 7.0}, 599.0)
    CHECK.look_at(6, {"validation/mlm_loss": 6.0, "validation/mlm_accuracy": 9.0}, 600.0)
    with pytest.raises(WorkError, match=r"step 7: validation/mlm_loss is 7\.0000 after 10\.0 min"):
        CHECK.look_at(7, {"validation/mlm_loss": 7.0}, 600.0)


def test_a_spike_that_recovers_ends_nothing() -> None:
    for seconds, loss in ((100, 9.0), (200, 50.0), (700, 5.0), (800, 4.0)):
        CHECK.look_at(1, {"validation/mlm_loss": loss}, seconds)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_every_run(value: float) -> None:
    with pytest.raises(WorkError, match="step 3: validation/mlm_loss is"):
        DivergenceCheck().look_at(3, {"validation/mlm_loss": value}, 0.0)


def test_scores_without_a_loss_cannot_be_checked() -> None:
    DivergenceCheck().look_at(1, {"dev/accuracy": 0.5}, 1e9)
    with pytest.raises(InputError, match=r"no held-out loss, only dev/accuracy"):
        CHECK.look_at(1, {"dev/accuracy": 0.5}, 0.0)


def test_the_time() -> None:
    assert DivergenceCheck(divergence_time="0").grace_seconds == 0
    assert DivergenceCheck(divergence_time="3h").grace_seconds == 10_800
    with pytest.raises(InputError, match="divergence_time is 'soon'"):
        DivergenceCheck(divergence_time="soon")
