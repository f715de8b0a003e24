"""The trial of a training step: classes and numbers, few inputs, long ones, no files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List, Tuple

import mxnet as mx
import numpy as np
import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.gluon.finetuning import trial
from bort.gluon.finetuning.trainer import FinetuningReport
from bort.gluon.finetuning.trial import LEAST_STEPS_OF_TRIAL, answer_seconds, step_seconds
from bort.gluon.finetuning.trial_data import random_inputs
from bort.gluon.network.dense import EncoderDense
from tests.gluon.network.network_samples import needs_bf16

SIZES = Architecture(2, 2, 16, 32, vocabulary_size=50, maximum_length=24, token_types=2)


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_steps_are_timed_and_nothing_is_written(
    classes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lengths = np.array([3, 24, 7, 12] * 5)
    found = step_seconds(SIZES, lengths, classes, mx.cpu(), batch_size=4, seconds=0.0)
    assert found > 0
    assert os.listdir(tmp_path) == []


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> List[Tuple[int, FinetuningReport]]:
    """The numbers and reports of all steps of the trials of a test."""
    found: List[Tuple[int, FinetuningReport]] = []
    whole = trial.finetune

    def noted(*given, hooks, **named):  # type: ignore[no-untyped-def]
        timed = hooks.on_step
        hooks.on_step = lambda number, report: (
            found.append((number, report)),
            timed(number, report),
        )
        return whole(*given, hooks=hooks, **named)

    monkeypatch.setattr(trial, "finetune", noted)
    return found


def test_a_trial_without_time_still_makes_its_least_steps(
    reports: List[Tuple[int, FinetuningReport]],
) -> None:
    step_seconds(SIZES, np.full(8, 6), 2, mx.cpu(), batch_size=8, seconds=0.0)
    assert [number for number, _ in reports] == list(range(1, LEAST_STEPS_OF_TRIAL + 1))


def test_a_network_learns_from_answers_of_a_teacher(
    reports: List[Tuple[int, FinetuningReport]],
) -> None:
    teacher = Architecture(3, 4, 32, 64, vocabulary_size=50, maximum_length=24, token_types=2)
    asked = {"teacher": teacher, "relation_heads": 2}
    lengths = np.array([3, 24, 7, 12] * 5)
    assert step_seconds(SIZES, lengths, 2, mx.cpu(), batch_size=4, seconds=0.0, **asked) > 0
    assert len(reports) == LEAST_STEPS_OF_TRIAL
    assert all(report.relations_loss > 0 for _, report in reports)
    assert all(report.distillation_loss > 0 for _, report in reports)


@pytest.mark.parametrize("math", ["exact", pytest.param("fast", marks=needs_bf16)])
def test_a_network_is_timed_in_the_arithmetic_of_its_training(
    math: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: List[bool] = []
    whole = trial.finetune

    def noted(network, *given, **named):  # type: ignore[no-untyped-def]
        result = whole(network, *given, **named)
        network.apply(lambda one: isinstance(one, EncoderDense) and found.append(one.uses_bf16))
        return result

    monkeypatch.setattr(trial, "finetune", noted)
    step_seconds(SIZES, np.full(8, 6), 2, mx.cpu(), batch_size=8, seconds=0.0, math=math)
    assert found
    assert set(found) == {math == "fast"}


@pytest.mark.parametrize("classes", [1, 3])
def test_the_answers_of_a_teacher_are_timed(classes: int) -> None:
    assert answer_seconds(SIZES, 7, classes, mx.cpu(), rows=4, seconds=0.0) > 0


def test_a_batch_may_have_more_inputs_than_a_trial_else() -> None:
    assert len(random_inputs(SIZES, np.full(10_000, 3), 2, batch_size=8_192)) == 10_000
    assert 4_096 <= len(random_inputs(SIZES, np.full(10_000, 3), 2, batch_size=32)) < 8_192


def test_inputs_that_are_too_long_are_refused() -> None:
    with pytest.raises(InputError, match="an input has 25 tokens"):
        step_seconds(SIZES, np.full(8, 25), 2, mx.cpu(), batch_size=8, seconds=0.0)
