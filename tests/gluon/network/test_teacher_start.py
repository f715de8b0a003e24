"""Tests of starts from a teacher: sizes, vocabularies, stored measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.gluon.network.measured_importance import ImportanceQuestions
from bort.gluon.network.teacher_start import TeacherStart, folder_to_start_from
from bort.training.importance_config import ImportanceConfig
from tests.formats.parity import make_network, write_network
from tests.gluon.network.network_samples import make_batch
from tests.text.toy import ToyVocabulary

SIZES = Architecture(3, 2, 8, 10, vocabulary_size=90, maximum_length=24, token_types=2, qkv=12)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    write_network(tmp_path / "model", make_network(SIZES, decoder=True))
    return str(tmp_path / "model")


def questions(count: int) -> ImportanceQuestions:
    return ImportanceQuestions([make_batch(seed=seed) for seed in range(count)])


def start(folder: str, kind: str = "taylor", batches: int = 2) -> TeacherStart:
    return TeacherStart(folder, ImportanceConfig(kind, batches))


def test_the_students_other_sizes_are_its_teachers(folder: str) -> None:
    vocabulary: Any = ToyVocabulary(90)
    expected = Architecture(2, 1, 6, 5, 90, 24, 2)
    assert start(folder).sizes("2-1-6-5", vocabulary) == expected
    assert start(folder).sizes("2-1-6-5-4", vocabulary) == expected.replace(qkv=4)
    with pytest.raises(InputError, match="model has 90 tokens|vocabulary has 90 tokens"):
        start(folder).sizes("2-1-6-5", ToyVocabulary(91))  # type: ignore[arg-type]


def test_a_stored_measurement_is_taken(folder: str, tmp_path: Path, monkeypatch: Any) -> None:
    first = start(folder)
    expected = first.ranked(questions)
    assert first.ranked(questions) is expected
    first.save(tmp_path)
    forbid(monkeypatch)
    found = start(folder).ranked(questions, stored_in=tmp_path)
    assert found.layer_order == expected.layer_order
    for name, array in expected.network.arrays.items():
        np.testing.assert_array_equal(found.network.arrays[name], array)


def forbid(monkeypatch: Any) -> None:
    monkeypatch.setattr(
        "bort.gluon.network.teacher_start.measured_importance",
        lambda *given: pytest.fail("it measures"),
    )


def test_a_measurement_on_other_batches_is_not_taken(folder: str, tmp_path: Path) -> None:
    first = start(folder)
    first.ranked(questions)
    first.save(tmp_path)
    other = start(folder, batches=3)
    expected = start(folder, batches=3).ranked(questions)
    assert other.ranked(questions, stored_in=tmp_path).layer_order == expected.layer_order
    other.save(tmp_path)
    assert start(folder, batches=3).ranked(questions, mx.cpu(), tmp_path) is not None


@pytest.mark.parametrize("kind", ["magnitude", "order"])
def test_cheap_importance_asks_and_stores_nothing(
    folder: str, tmp_path: Path, kind: str, monkeypatch: Any
) -> None:
    forbid(monkeypatch)
    one = start(folder, kind)
    one.ranked(lambda count: pytest.fail("it asks"))
    one.save(tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_the_word_teacher_stands_for_its_folder(folder: str) -> None:
    assert folder_to_start_from(folder, None) == folder
    assert folder_to_start_from("teacher", folder) == folder
    for teacher in (None, "roberta_24_1024_16", folder + "/model.json"):
        with pytest.raises(InputError, match="initialise_from is 'teacher', socrates is "):
            folder_to_start_from("teacher", teacher, of="socrates")
