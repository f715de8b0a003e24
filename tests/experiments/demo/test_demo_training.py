"""Training a model of the demonstration: what its curve holds."""

from __future__ import annotations

from typing import Any

from bort.gluon.pretraining import pretrain
from bort.training.clock import TrainingClock
from experiments.demo import training
from tests.gluon.pretraining.test_trainer import BASE, SMALL, make_data


def test_a_curve_counts_the_seconds_of_training_without_evaluations(monkeypatch: Any) -> None:
    now = [0.0]

    def advance(seconds: float) -> None:
        now[0] += seconds

    real = pretrain.score_masked_tokens

    def slow_score(*arguments: Any) -> Any:
        advance(100.0)
        return real(*arguments)

    monkeypatch.setattr(pretrain, "score_masked_tokens", slow_score)
    monkeypatch.setattr(training, "TrainingClock", lambda: TrainingClock(lambda: now[0]))
    _, curve = training.train_model(
        "student", SMALL, BASE, make_data(), on_step_done=lambda: advance(2.0)
    )
    assert curve.steps == (5, 10, 12)
    assert curve.seconds == (10.0, 20.0, 24.0)
    assert all(len(values) == 3 for values in curve.values.values())
