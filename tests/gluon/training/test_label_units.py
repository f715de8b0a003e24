"""Tests of regressions on labels of any size: the same training, in units of the labels."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Dict

import mxnet as mx
import numpy as np
import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.gluon.finetuning.run import run_finetuning
from bort.gluon.finetuning.starting_point import StartingPoint
from bort.gluon.finetuning.trainer import ClassificationTrainer
from bort.gluon.network.array_network import arrays_of, with_head
from bort.gluon.network.model import BortModel
from bort.gluon.super_network.task_run import train_on_task
from bort.gluon.training.flat_trainer import FlatTrainer
from bort.gluon.training.run_checkpoints import RunCheckpoints
from bort.network.head import HEAD_KINDS, RELEASE, SPAN, HeadDescription, LabelUnit
from bort.network.model_folder import read_model_folder
from bort.ranks import ALONE
from bort.super_network.config import SuperNetworkConfig, SuperNetworkPaths
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from bort.teacher.source import TeacherSource
from bort.text.asking import PaddedInputs
from bort.text.labelled import make_labelled_batch
from bort.training.finetuning_config import FinetuningConfig
from bort.training.pretraining_config import PretrainingConfig
from data.tasks.sets import open_task_data
from tests.gluon.finetuning.test_from_teacher import WORDS, make_teacher
from tests.gluon.super_network.test_task_run import SPACE
from tests.text.toy_labelled import ToyLabelled

ARCHITECTURE = Architecture(1, 2, 16, 32, vocabulary_size=60, maximum_length=24)
FACTOR = 1024.0
"""A power of two, so that float32 computes the same bits."""

LAST = ("classifier.3.weight", "classifier.3.bias")
"""The last layer of a head of kind `release`."""


def larger(data: Any, factor: float = FACTOR) -> Any:
    """Return the data of a task with labels times a factor; the scores do not depend on it."""

    def scaled(one: Any) -> Any:
        labels = (one.features.labels * factor).astype("float32")
        features = dataclasses.replace(one.features, labels=labels)
        record = dataclasses.replace(one.record, label_range=(0.0, 5.0 * factor))
        return dataclasses.replace(one, record=record, features=features)

    record = dataclasses.replace(data.record, label_range=(0.0, 5.0 * factor))
    sets = {"train": scaled(data.train), "dev": [*map(scaled, data.dev)]}
    return dataclasses.replace(data, record=record, **sets)


def assert_larger(found: Dict[str, np.ndarray], others: Dict[str, np.ndarray]) -> None:
    """Check that networks agree bit by bit but for the factor of the last layer."""
    assert set(LAST) <= set(found) == set(others)
    for name, array in found.items():
        factor = FACTOR if name in LAST else 1.0
        np.testing.assert_array_equal(array * np.float32(factor), others[name], err_msg=name)


@pytest.fixture(scope="module")
def data() -> Any:
    return open_task_data(get_task("STS-B"), WORDS, TaskOptions(), 64, sample=True)


@pytest.mark.parametrize(
    ("labels", "unit"),
    [
        ([0.0, 6.0], (3.0, 2.0)),  # a deviation of 3
        ([1_000.0, 3_048.0], (2_024.0, 1_024.0)),
        ([0.25, -0.25], (0.0, 0.25)),
        ([7.0, 7.0], (7.0, 1.0)),
        ([], (0.0, 1.0)),
    ],
)
def test_the_unit_is_a_power_of_two_near_the_deviation(labels: Any, unit: Any) -> None:
    assert LabelUnit.of(np.array(labels, dtype="float32")) == unit


@pytest.mark.parametrize("kind", [kind for kind in HEAD_KINDS if kind != SPAN])
@pytest.mark.parametrize("optimizer", ["adamw", "bertadam", "sgd"])
@pytest.mark.parametrize("side", [1, -1], ids=["above zero", "below zero"])
def test_far_numbers_are_learnt_in_the_steps_of_near_ones(
    optimizer: str, kind: str, side: int
) -> None:
    examples = ToyLabelled(64)
    near = examples.labels.copy()

    def outputs_after(labels: np.ndarray, unit: LabelUnit, steps: int = 60) -> np.ndarray:
        examples.labels = labels
        mx.random.seed(0)
        model = BortModel(ARCHITECTURE, dropout=0.0, use_decoder=False)
        network = with_head(model, HeadDescription(kind, 1, dropout=0.0, unit=unit))
        network.initialize(ctx=mx.cpu())
        config = FinetuningConfig(optimizer=optimizer, weight_decay=0.01, dropout=0.0)
        trainer = ClassificationTrainer(network, config, ALONE, mx.cpu())
        batch = make_labelled_batch(examples, np.arange(64), 24, 1)
        for number in range(1, steps + 1):
            trainer.step(number, [batch], 1e-2 if optimizer == "sgd" else 3e-3)
        inputs = PaddedInputs(np.arange(64), batch.input_ids, batch.valid_lengths, None)
        return trainer.predict(inputs)[:, 0].astype("float64")

    def error(outputs: np.ndarray, labels: np.ndarray) -> float:
        return float(np.mean((outputs - labels) ** 2) / np.var(labels))

    far = side * (near * 4_096 + 100_000)
    near = near * float(side)
    expected = outputs_after(near, LabelUnit.of(near))
    found = outputs_after(far, LabelUnit.of(far))
    assert abs(error(found, far) - error(expected, near)) < 0.1
    if optimizer != "sgd":
        assert error(found, far) < 0.3
        assert error(outputs_after(far, LabelUnit()), far) > 1, "the raw numbers are not learnt"


def super_network(data: Any, folder: Path, space: Any, **start: Any) -> Dict[str, np.ndarray]:
    """Train a super-network for four steps and return its weights."""
    paths = SuperNetworkPaths(
        output_dir=str(folder), task_name="STS-B", cpu_only=True, **start, **space
    )
    settings = {"num_steps": 4, "batch_size": 4, "lr": 1e-3, "max_len": 64}
    settings.update(random_samples=1, importance_batches=2)
    train_on_task(paths, SuperNetworkConfig.from_dict(settings, "test"), data, ALONE, lambda: False)
    return dict(read_model_folder(folder / "model").arrays)


def test_no_training_depends_on_the_size_of_the_labels(data: Any, tmp_path: Path) -> None:
    """A teacher, and the super-network that starts from it and learns from its outputs."""
    encoder = make_teacher(tmp_path / "encoder", task="")
    config = FinetuningConfig.from_dict(
        {"epochs": 2, "batch_size": 8, "lr": 1e-3, "head": RELEASE, "optimizer": "adamw"}, "test"
    )
    found = []
    for number, one in enumerate((data, larger(data))):
        folder = tmp_path / f"run-{number}"
        summary = run_finetuning(one, StartingPoint(str(encoder), ""), config, folder, ALONE)
        teacher = folder / "model"
        learnt = super_network(
            one, folder / "super", SPACE, start="teacher", teacher=TeacherSource(str(teacher))
        )
        scores = summary["best"]["metrics"]
        found.append((scores, dict(read_model_folder(teacher).arrays), learnt))
    near, far = found
    assert near[0] == pytest.approx(far[0], abs=1e-6)
    assert_larger(near[1], far[1])
    assert_larger(near[2], far[2])
    assert (near[1][LAST[0]] != near[2][LAST[0]]).any(), "the super-network has learnt"


def test_a_run_in_another_unit_is_not_continued(tmp_path: Path) -> None:
    def trainer(scale: float) -> FlatTrainer:
        model = BortModel(ARCHITECTURE, use_decoder=False)
        network = with_head(model, HeadDescription(RELEASE, 1, unit=LabelUnit(0.0, scale)))
        network.initialize(ctx=mx.cpu())
        return FlatTrainer(network, PretrainingConfig(), ALONE, mx.cpu())

    def checkpoints(scale: float) -> RunCheckpoints:
        return RunCheckpoints(tmp_path / "run", trainer(scale), {"lr": 0.1}, {}, 2)

    (tmp_path / "run").mkdir()
    checkpoints(1.0).save(1, {})
    checkpoints(1.0).restore(None)
    with pytest.raises(InputError, match=r"label_scale is 1024\.0, the run to resume started"):
        checkpoints(1024.0).restore(None)


def test_an_initializer_draws_the_last_layer_of_a_classifier_too() -> None:
    model = BortModel(ARCHITECTURE, use_decoder=False)
    network = with_head(model, HeadDescription(RELEASE, 3))
    network.initialize(mx.init.Constant(0.5))
    arrays = arrays_of(network)
    assert all((arrays[name] == 0.5).all() for name in ("classifier.1.weight", LAST[0]))
    assert not arrays[LAST[1]].any()


def test_a_super_network_from_random_weights_does_not_depend_on_it_either(
    data: Any, tmp_path: Path
) -> None:
    space: Dict[str, Any] = {"depths": ("1:2:1",), "architecture": "2-4-32-32"}
    space.update(dict.fromkeys(("hiddens", "intermediates", "qkvs"), ("16", "32")))
    found = [
        super_network(one, tmp_path / f"run-{number}", space, teacher=TeacherSource("none"))
        for number, one in enumerate((data, larger(data)))
    ]
    assert_larger(*found)
