"""Tests of pre-training that starts from a teacher's weights."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import mxnet as mx
import numpy as np
import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.gluon.network.array_network import arrays_of
from bort.gluon.network.measured_importance import measured_importance
from bort.gluon.network.teacher_start import TeacherStart
from bort.gluon.pretraining.from_teacher import student_of, text_questions
from bort.network.from_teacher import as_whole, student_from
from bort.ranks import SingleProcess
from bort.teacher.source import TeacherSource
from bort.training.importance_config import ImportanceConfig
from bort.training.pretraining_config import PretrainingConfig, PretrainingPaths
from tests.formats.parity import make_network, write_network
from tests.gluon.pretraining.test_pretraining_run import VOCABULARY
from tests.gluon.pretraining.test_pretraining_run import run as run_in
from tests.gluon.pretraining.test_trainer import BASE, make_data
from tests.gluon.training.run_samples import contents, recorded

SIZES = Architecture(3, 2, 16, 24, vocabulary_size=60, maximum_length=24)
STUDENT = "2-1-12-10-8"


@pytest.fixture
def teacher(tmp_path: Any) -> Any:
    write_network(tmp_path / "teacher", make_network(SIZES, decoder=True))
    return tmp_path / "teacher"


def run(folder: Any, start: Any, stop_at: int = 0, resume: bool = False, **settings: Any) -> Any:
    paths = {
        "initialise_from": None if start is None else str(start),
        "teacher": TeacherSource(str(settings.pop("teacher_model", "none"))),
    }
    return run_in(folder, stop_at, resume, **{"architecture": STUDENT, "paths": paths, **settings})


@pytest.mark.parametrize("kind", ["taylor", "magnitude", "order"])
def test_the_student_is_a_slice_of_the_ranked_teacher(teacher: Any, kind: str) -> None:
    config = dataclasses.replace(BASE, dropout=0.3, ranking=ImportanceConfig(kind, 2))
    train = make_data(config).train
    start = TeacherStart(str(teacher), config.ranking)
    model = student_of(start, STUDENT, config, train, VOCABULARY, mx.cpu())
    importance = None
    if kind == "taylor":
        questions = text_questions(train, config, VOCABULARY)(2)
        importance = measured_importance(start.network, questions)
    elif kind == "magnitude":
        from bort.network.importance import magnitude_importance

        importance = magnitude_importance(SIZES, start.network.arrays)
    sizes = Architecture(2, 1, 12, 10, vocabulary_size=60, maximum_length=24, qkv=8)
    expected = student_from(as_whole(start.network, importance), sizes, decoder=True)
    assert model.architecture == sizes
    assert model.dropout == 0.3
    for name, array in arrays_of(model).items():
        np.testing.assert_array_equal(array, expected.arrays[name], err_msg=name)


def test_importance_does_not_depend_on_the_batch_size() -> None:
    train = make_data().train
    changed = dataclasses.replace(BASE, batch_size=9, accumulate=2, use_avg_len=True, num_buckets=3)
    one, other = (text_questions(train, config, VOCABULARY)(3) for config in (BASE, changed))
    assert one.fingerprint == other.fingerprint
    other_seed = dataclasses.replace(BASE, data_seed=5)
    assert text_questions(train, other_seed, VOCABULARY)(3).fingerprint != one.fingerprint


def test_a_student_of_its_teachers_sizes_answers_as_the_teacher(teacher: Any) -> None:
    config = dataclasses.replace(BASE, num_steps=1, eval_interval=1, lr=1e-30)
    found = run(teacher.parent / "run", teacher, architecture="3-2-16-24", lr=1e-30, num_steps=1)[
        "validation"
    ]
    from bort.gluon.network.model_folder import load_model_folder
    from bort.gluon.pretraining.evaluation import evaluation_batches, score_masked_tokens

    data = make_data(config)
    network, _ = load_model_folder(teacher)
    batches = evaluation_batches(
        data.validation,  # type: ignore[arg-type]
        data.masking,
        batch_size=8,
        communicator=SingleProcess(),
        maximum_length=24,
    )

    def answer(batch: Any) -> Any:
        ids, positions = mx.nd.array(batch.input_ids), mx.nd.array(batch.masked_positions)
        return network(ids, mx.nd.array(batch.valid_lengths), positions)[-1]

    score = score_masked_tokens(answer, batches, SingleProcess(), mx.cpu())
    assert found["mlm_loss"] == pytest.approx(score.mlm_loss, rel=1e-4)


@pytest.mark.parametrize("named", [True, False])
def test_a_resumed_run_records_what_an_uninterrupted_one_does(teacher: Any, named: bool) -> None:
    start: Any = teacher if named else "teacher"
    options: Any = {} if named else {"teacher_model": teacher}
    folder = teacher.parent / "pieces"
    run(teacher.parent / "whole", start, **options)
    assert run(folder, start, 5, **options)["stopped"]
    run(folder, start, resume=True, **options)
    assert recorded(folder) == recorded(teacher.parent / "whole")
    name = "model/model.safetensors"
    assert contents(folder)[name] == contents(teacher.parent / "whole")[name]


def test_a_resume_does_not_measure_again(teacher: Any, monkeypatch: Any) -> None:
    folder = teacher.parent / "run"
    run(folder, teacher, 5)
    monkeypatch.setattr(
        "bort.gluon.network.teacher_start.measured_importance",
        lambda *given: pytest.fail("it measures"),
    )
    run(folder, teacher, resume=True)


def test_another_start_is_refused(teacher: Any) -> None:
    folder, other = teacher.parent / "run", teacher.parent / "other"
    write_network(other, make_network(SIZES, decoder=True, seed=1))
    run(folder, teacher, 5)
    before = contents(folder)
    for start, settings, message in (
        (other, {}, "initialise_from differs from that of the run to resume"),
        (None, {}, "initialise_from is None, the run to resume started with"),
        (
            teacher,
            {"ranking": ImportanceConfig("order")},
            "importance is 'order', the run to resume started with 'taylor'",
        ),
        (
            teacher,
            {"ranking": ImportanceConfig(importance_batches=9)},
            "importance_batches is 9, the run to resume started with 8",
        ),
    ):
        with pytest.raises(InputError, match=message):
            run(folder, start, resume=True, **settings)
    assert contents(folder) == before
    run(folder, teacher, resume=True)


def test_a_run_without_a_teacher_to_start_from_stays_the_same_run(tmp_path: Any) -> None:
    run(tmp_path, None, 5, architecture="1-2-16-32")
    for path in tmp_path.glob("step-*/state.json"):
        record = json.loads(path.read_text())
        for name in ("initialise_from", "importance", "importance_batches"):
            del record["state"]["settings"][name]
        path.write_text(json.dumps(record))
    run(tmp_path, None, resume=True, architecture="1-2-16-32")


@pytest.mark.parametrize(
    ("start", "settings", "message"),
    [
        ("teacher", {}, "initialise_from is 'teacher', teacher_model is 'none', allowed is"),
        ("nowhere", {}, "nowhere"),
        (None, {"architecture": "4-2-16-24"}, "student: depth is 4, allowed is at most 3"),
        (None, {"architecture": "3-1-16-24"}, "a head is 16 wide, allowed is at most 8"),
        (None, {"architecture": "bort_4_8_768_1024"}, "student: depth is 4"),
    ],
)
def test_a_bad_start_leaves_nothing(teacher: Any, start: Any, settings: Any, message: str) -> None:
    folder = teacher.parent / "run"
    with pytest.raises(InputError, match=message) as error:
        run(folder, start or teacher, **settings)
    assert "\n" not in str(error.value)
    assert not contents(folder) if folder.exists() else True


@pytest.mark.parametrize("parts", [{}, {"head": "release", "num_classes": 3}, {"pooler": True}])
def test_a_teacher_without_decoder_serves_too(tmp_path: Any, parts: Any) -> None:
    sizes = SIZES.replace(token_types=2, vocabulary_size=64)
    with pytest.raises(InputError, match="vocabulary has 64 tokens, the given one has 60"):
        write_network(tmp_path / "wide", make_network(sizes, **parts))
        run(tmp_path / "run", tmp_path / "wide")
    write_network(tmp_path / "teacher", make_network(SIZES.replace(token_types=2), **parts))
    found = run(tmp_path / "run", tmp_path / "teacher")
    description = json.loads((tmp_path / "run" / "model" / "model.json").read_text())
    assert description["architecture"]["token_types"] == 2
    assert description["use_decoder"]
    assert found["steps"] == 12


def test_a_teacher_of_another_vocabulary_is_refused(tmp_path: Any) -> None:
    sizes = SIZES.replace(vocabulary_size=61)
    write_network(tmp_path / "teacher", make_network(sizes, decoder=True))
    with pytest.raises(InputError, match="vocabulary has 61 tokens, the given one has 60"):
        run(tmp_path / "run", tmp_path / "teacher")


def test_two_starts_are_refused() -> None:
    with pytest.raises(InputError, match="initial_model is 'a' and initialise_from is 'b'"):
        PretrainingPaths(data="unused", initial_model="a", initialise_from="b")


def test_the_flags_have_defaults_that_older_runs_had() -> None:
    assert PretrainingConfig().ranking == ImportanceConfig("taylor", 8)
