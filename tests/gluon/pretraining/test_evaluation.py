"""Tests of the scores on held-out text: a fixed set, which the record of a run names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np

from bort.gluon.pretraining.evaluation import evaluation_batches, score_masked_tokens
from bort.gluon.pretraining.trainer import DistillationTrainer
from bort.ranks import SingleProcess
from tests.gluon.pretraining.test_pretraining_run import run
from tests.gluon.pretraining.test_trainer import BASE, make_data, make_model, make_teacher


def batches_of(data: Any) -> Any:
    return evaluation_batches(
        data.validation,
        data.masking,
        batch_size=4,
        communicator=SingleProcess(),
        maximum_length=24,
    )


def test_batches_masks_and_scores_are_the_same_in_every_call() -> None:
    data = make_data()
    trainer = DistillationTrainer(make_model(), BASE, SingleProcess(), mx.cpu(), make_teacher())
    first, again = batches_of(data), batches_of(make_data())
    for one, other in zip(first, again):
        for name in ("input_ids", "masked_positions", "labels", "weights", "example_ids"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    scores = {
        score_masked_tokens(trainer.predict, batches, SingleProcess(), mx.cpu())
        for batches in (first, again, first)
    }
    assert len(scores) == 1


def test_the_record_of_a_run_names_the_held_out_text(tmp_path: Path) -> None:
    run(tmp_path)
    record = json.loads((tmp_path / "run.json").read_text())
    held_out = make_data().validation
    assert held_out is not None
    assert record["data_eval"] == held_out.fingerprint != record["data"]
