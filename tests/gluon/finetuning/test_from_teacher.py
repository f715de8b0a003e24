"""Tests of fine-tuning that starts from a slice of a teacher's weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
import pytest

from bort.errors import InputError
from bort.gluon.finetuning.from_teacher import task_questions
from bort.gluon.finetuning.run import run_finetuning
from bort.gluon.finetuning.seeds import run_seeds
from bort.gluon.finetuning.starting_point import (
    StartingPoint,
    build_classifier,
    pair_form,
    starting_point,
)
from bort.gluon.network.array_network import arrays_of
from bort.gluon.network.measured_importance import measured_importance
from bort.gluon.network.teacher_start import TeacherStart
from bort.network.description import TaskDescription
from bort.network.from_teacher import as_whole, student_from
from bort.ranks import SingleProcess
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from bort.text.pair_form import BERT_PAIRS, ROBERTA_PAIRS
from bort.training.finetuning_config import FinetuningConfig, FinetuningPaths
from bort.training.importance_config import ImportanceConfig
from data.tasks.sets import open_task_data
from tests.formats.parity import BORT, make_network, write_network
from tests.gluon.finetuning.test_pairs import WORDS
from tests.gluon.training.run_samples import contents, recorded

ALONE = SingleProcess()
CONFIG = FinetuningConfig(
    epochs=2, max_len=64, lr=1e-3, weight_decay=0.0, batch_size=4, ckpt_interval=1
)
SIZES = BORT.replace(depth=3, vocabulary_size=len(WORDS), maximum_length=64)
STUDENT = "2-4-40-20-32"
LABELS = ("0", "1")


@pytest.fixture(scope="module")
def data() -> Any:
    return open_task_data(get_task("SST-2"), WORDS, TaskOptions(), 64, sample=True)


def make_teacher(folder: Path, seed: int = 0, task: str = "SST-2", **changes: Any) -> Path:
    parts = {"head": "linear", "num_classes": 2, "labels": LABELS, **changes}
    described = {"task": TaskDescription(task)} if task else {}
    network = make_network(parts.pop("sizes", SIZES), seed=seed, **parts, **described)
    write_network(folder, network)
    WORDS.save(folder / "vocabulary")
    return folder


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    return make_teacher(tmp_path / "teacher")


def start(folder: Any, kind: str = "taylor", architecture: str = STUDENT) -> StartingPoint:
    source = TeacherStart(str(folder), ImportanceConfig(kind, 2))
    return StartingPoint(None, architecture, initialise_from=source)


def build(data: Any, begun: StartingPoint, config: FinetuningConfig = CONFIG) -> Any:
    return arrays_of(build_classifier(data, begun, config, mx.cpu()))


def run(data: Any, folder: Path, begun: StartingPoint, config: Any = CONFIG, **options: Any) -> Any:
    return run_finetuning(data, begun, config, folder, ALONE, **options)


def test_the_labels_are_those_of_the_task(data: Any) -> None:
    from bort.tasks.formulations import input_labels

    assert input_labels(data.record, data.options) == LABELS


def test_the_classifier_is_a_slice_with_the_teachers_head(data: Any, teacher: Path) -> None:
    begun = start(teacher)
    found = build(data, begun)
    assert begun.initialise_from is not None
    network = begun.initialise_from.network
    questions = task_questions(data, has_labels=True)(2)
    ranked = as_whole(network, measured_importance(network, questions))
    sizes = begun.initialise_from.sizes(STUDENT, WORDS)
    expected = student_from(ranked, sizes, head=True)
    assert found.keys() == expected.arrays.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, expected.arrays[name], err_msg=name)


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "CoLA"},
        {"task": ""},
        {"head": "release"},
        {"num_classes": 3, "labels": ("0", "1", "2")},
        {"labels": ("1", "0")},
        {"head": "", "num_classes": 0, "labels": (), "task": "", "decoder": True},
    ],
)
def test_another_head_is_drawn_by_the_seed(data: Any, tmp_path: Path, changes: Any) -> None:
    teacher = make_teacher(tmp_path, **changes)
    one, same, other = (
        build(data, start(teacher), dataclasses.replace(CONFIG, seed=seed)) for seed in (1, 1, 2)
    )
    name = "classifier.1.weight"
    assert one[name].shape == (2, 40)
    np.testing.assert_array_equal(one[name], same[name])
    assert not np.array_equal(one[name], other[name])
    rest = "encoder.transformer_cells.0.proj.weight"
    np.testing.assert_array_equal(one[rest], other[rest])


def test_labels_serve_a_teacher_of_the_task_only(
    data: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    seen = []
    monkeypatch.setattr(
        "bort.gluon.network.teacher_start.measured_importance",
        lambda network, questions, context: (
            seen.append(questions.has_labels) or measured_importance(network, questions, context)
        ),
    )
    build(data, start(make_teacher(tmp_path / "same")))
    build(data, start(make_teacher(tmp_path / "other", task="CoLA")))
    assert seen == [True, False]


def test_seeds_share_one_measurement(data: Any, teacher: Path, tmp_path: Path) -> None:
    begun = start(teacher)
    run_seeds(data, begun, CONFIG, tmp_path / "run", ALONE, seeds=2)
    assert begun.initialise_from is not None
    assert begun.initialise_from._ranked is not None
    apart = start(teacher)
    run(data, tmp_path / "apart", apart, dataclasses.replace(CONFIG, seed=1))
    name = "model/model.safetensors"
    assert contents(tmp_path / "apart")[name] == contents(tmp_path / "run" / "seed-1")[name]


def test_a_resumed_run_ends_as_an_uninterrupted_one(
    data: Any, teacher: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    run(data, tmp_path / "whole", start(teacher))
    folder, asked = tmp_path / "pieces", []
    stopped = run(
        data, folder, start(teacher), stop_requested=lambda: asked.append(1) or len(asked) == 3
    )
    assert stopped["stopped"]
    monkeypatch.setattr(
        "bort.gluon.network.teacher_start.measured_importance",
        lambda *given: pytest.fail("it measures"),
    )
    other = make_teacher(tmp_path / "other", seed=1)
    before = contents(folder)
    for begun, config, message in (
        (start(other), CONFIG, "initialise_from differs from that of the run to resume"),
        (StartingPoint(None, STUDENT), CONFIG, "initialise_from is None|architecture is"),
        (start(teacher), CONFIG.replace(importance="order"), "importance is 'order', the run to"),
    ):
        with pytest.raises(InputError, match=message):
            run(data, folder, begun, config, resume=True)
    assert contents(folder) == before
    run(data, folder, start(teacher), resume=True)
    assert recorded(folder) == recorded(tmp_path / "whole")
    name = "model/model.safetensors"
    assert contents(folder)[name] == contents(tmp_path / "whole")[name]


def test_the_form_of_pairs_is_the_teachers_if_its_types_are(tmp_path: Path) -> None:
    typed = make_teacher(
        tmp_path / "typed", sizes=SIZES.replace(token_types=2), task="", pairs=BERT_PAIRS
    )
    assert pair_form(start(typed), WORDS) == BERT_PAIRS
    sizes = tmp_path / "sizes.json"
    sizes.write_text('{"depth": 2, "heads": 4, "hidden": 40, "intermediate": 20, "qkv": 32}')
    assert pair_form(start(typed, architecture=str(sizes)), WORDS) != BERT_PAIRS
    plain = make_teacher(tmp_path / "plain")
    assert pair_form(start(plain), WORDS) == ROBERTA_PAIRS


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("4-8-64-48", "student: depth is 4, allowed is at most 3, that of .*teacher"),
        ("2-2-40-20", "so a head is 20 wide, allowed is at most 8"),
        ("bort_4_8_768_1024", "student: depth is 4, allowed is at most 3"),
    ],
)
def test_a_student_that_does_not_fit_leaves_nothing(
    data: Any, teacher: Path, tmp_path: Path, architecture: str, message: str
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(InputError, match=message):
        run(data, folder, start(teacher, architecture=architecture))
    assert not folder.exists() or not contents(folder)


def test_the_vocabulary_is_the_teachers(teacher: Path) -> None:
    source = TeacherStart(str(teacher), ImportanceConfig())
    paths = FinetuningPaths("SST-2", initialise_from="unused", architecture=STUDENT)
    begun, vocabulary = starting_point(paths, lambda: pytest.fail("a sample"), source)
    assert vocabulary.fingerprint == WORDS.fingerprint
    assert begun.architecture == STUDENT


def test_two_starts_are_refused() -> None:
    with pytest.raises(InputError, match="pretrained_parameters is 'a' and initialise_from is 'b'"):
        FinetuningPaths("RTE", pretrained_parameters="a", initialise_from="b")


def test_inputs_without_labels_need_a_teacher(data: Any, tmp_path: Path) -> None:
    """Their missing labels would count as the first class."""
    more = dataclasses.replace(data, unlabelled=data.dev[0])
    with pytest.raises(InputError, match="unlabelled is given without teacher, whose outputs it"):
        run(more, tmp_path / "run", StartingPoint(None, STUDENT))
    assert not (tmp_path / "run").exists()
