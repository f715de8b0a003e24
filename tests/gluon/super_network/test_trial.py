"""The trial of a super-network's steps: as many sub-networks as asked for, and no files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List

import mxnet as mx
import numpy as np
import pytest

from bort.architecture import Architecture
from bort.gluon.finetuning.trial import LEAST_STEPS_OF_TRIAL
from bort.gluon.super_network import trial
from bort.gluon.super_network.trainer import SuperNetworkReport, SuperNetworkTrainer
from bort.gluon.super_network.trial import super_network_step_seconds
from tests.gluon.network.network_samples import needs_bf16

WHOLE = Architecture(3, 4, 32, 64, vocabulary_size=50, maximum_length=24, token_types=2)
PART = WHOLE.replace(depth=2, heads=2, qkv=16, intermediate=16)


@pytest.mark.parametrize(
    ("classes", "math"), [(2, "exact"), (1, "exact"), pytest.param(2, "fast", marks=needs_bf16)]
)
def test_steps_of_sub_networks_are_timed_and_nothing_is_written(
    classes: int, math: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    reports: List[SuperNetworkReport] = []
    shapes = set()

    class Noted(SuperNetworkTrainer):  # type: ignore[type-arg]
        def step(self, *given, **named):  # type: ignore[no-untyped-def]
            reports.append(super().step(*given, **named))
            shapes.update(batch.input_ids.shape for batch in given[1])
            assert self.config.pretraining.math == math
            return reports[-1]

    monkeypatch.setattr(trial, "SuperNetworkTrainer", Noted)
    found = super_network_step_seconds(
        WHOLE,
        np.array([3, 24] * 40),
        classes,
        mx.cpu(),
        part=PART,
        batch_size=4,
        sub_networks=2,
        seconds=0.0,
        relation_heads=2,
        math=math,
    )
    assert found > 0
    assert shapes == {(4, 16)}, "the mean length, rounded up to a multiple of 8"
    assert len(reports) == LEAST_STEPS_OF_TRIAL
    assert {report.architectures for report in reports} == {(PART, PART)}
    assert all(report.terms["relations"] > 0 for report in reports)
    assert all(report.terms["distillation"] > 0 for report in reports)
    assert os.listdir(tmp_path) == []
