"""Tests of the first weights of a super-network."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.gluon.network.measured_importance import ImportanceQuestions, measured_importance
from bort.gluon.super_network.start import WholeSource
from bort.network.array_network import ArrayNetwork
from bort.network.from_teacher import as_whole, student_from
from bort.network.head import HeadDescription, span_head
from bort.network.model_folder import read_model_folder
from bort.network.sub_network import extracted, part_of
from bort.super_network.config import SuperNetworkConfig, SuperNetworkPaths
from bort.teacher.source import TeacherSource
from tests.formats.parity import make_network, write_network
from tests.gluon.network.network_samples import make_batch
from tests.super_network.super_network_samples import ORDER, whole_network, write_sample
from tests.text.tiny_vocabulary import tiny_vocabulary
from tests.text.toy import ToyVocabulary

SIZES = Architecture(3, 2, 8, 10, vocabulary_size=90, maximum_length=24, token_types=2)
SMALLER = SIZES.replace(depth=2, hidden=6, intermediate=5, qkv=8)
VOCABULARY: Any = ToyVocabulary(90)
CONFIG = SuperNetworkConfig()
CLASSES = HeadDescription("linear", 3, ("a", "b", "c"), 0.2)


def questions(count: int) -> ImportanceQuestions:
    return ImportanceQuestions([make_batch(seed=seed) for seed in range(count)])


def no_questions(count: int) -> ImportanceQuestions:
    return pytest.fail("it measures")


def source(start: Any = None, config: SuperNetworkConfig = CONFIG, **paths: Any) -> WholeSource:
    given = None if start is None else str(start)
    return WholeSource(SuperNetworkPaths("unused", data="unused", start=given, **paths), config)


def same(one: ArrayNetwork, other: ArrayNetwork) -> bool:
    assert dict(one.arrays).keys() == dict(other.arrays).keys()
    return all(np.array_equal(array, other.arrays[name]) for name, array in one.arrays.items())


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    write_network(tmp_path / "teacher", make_network(SIZES, decoder=True))
    return tmp_path / "teacher"


@pytest.mark.parametrize("head", [span_head(), CLASSES], ids=["spans", "classes"])
def test_a_whole_network_has_the_head_of_its_task(head: HeadDescription, teacher: Path) -> None:
    for one in (source(teacher, CONFIG), source(architecture="3-2-8-10")):
        sizes = one.sizes(VOCABULARY)
        found = one.whole(sizes, questions, head=head).network
        assert found.description.head == head
        assert not found.description.has_decoder


def test_a_span_models_own_head_is_kept(tmp_path: Path) -> None:
    network = make_network(SIZES, head="span", num_classes=2, head_dropout=0.0)
    write_network(tmp_path / "spans", network)
    config = CONFIG.replace(importance="order")
    found = source(tmp_path / "spans", config).whole(SMALLER, questions, head=span_head()).network
    np.testing.assert_array_equal(
        found.arrays["qa_outputs.weight"], network.arrays["qa_outputs.weight"][:, :6]
    )
    fresh = source(tmp_path / "spans", config).whole(SMALLER, questions, head=CLASSES).network
    assert "qa_outputs.weight" not in fresh.arrays


def test_random_weights_depend_on_the_seed() -> None:
    one, again = source(architecture="3-2-8-10"), source(architecture="3-2-8-10")
    sizes = one.sizes(VOCABULARY)
    assert sizes.vocabulary_size == 90
    first = one.whole(sizes, no_questions)
    assert first.layer_order == (0, 1, 2)
    assert first.network.description.has_decoder
    assert same(first.network, again.whole(sizes, no_questions).network)
    other = source(architecture="3-2-8-10", config=CONFIG.replace(seed=1))
    assert not same(first.network, other.whole(sizes, no_questions).network)


def test_a_teacher_is_taken_whole_in_order_of_importance(teacher: Path) -> None:
    one = source(teacher)
    assert one.sizes(VOCABULARY) == SIZES
    found = one.whole(SIZES, questions)
    teacher_network = read_model_folder(teacher)
    scored = as_whole(teacher_network, measured_importance(teacher_network, questions(8)))
    assert found.layer_order == scored.layer_order
    assert same(found.network, scored.network)
    assert found.network.description.dropout == CONFIG.pretraining.dropout


def test_a_smaller_space_takes_the_best_slice(teacher: Path) -> None:
    found = source(teacher).whole(SMALLER, questions)
    whole = source(teacher).whole(SIZES, questions)
    assert sorted(found.layer_order) == [0, 1]
    expected = student_from(whole, SMALLER, decoder=True)
    assert same(found.network, expected)
    one_layer = SMALLER.replace(depth=1)
    assert same(
        extracted(found.network, part_of(SMALLER, one_layer, found.layer_order)),
        student_from(whole, one_layer, decoder=True),
    )


def test_a_larger_space_is_refused(teacher: Path) -> None:
    with pytest.raises(InputError, match="student: depth is 4, allowed is at most 3"):
        source(teacher).whole(SIZES.replace(depth=4), questions)


def test_the_word_teacher_stands_for_the_teacher(teacher: Path) -> None:
    one = source("teacher", teacher=TeacherSource(str(teacher)))
    assert one.fingerprint == source(teacher).fingerprint
    with pytest.raises(InputError, match="start is 'teacher', teacher_model is 'none'"):
        source("teacher", teacher=TeacherSource("none"))


def test_a_super_network_keeps_its_weights_and_its_order(tmp_path: Path) -> None:
    vocabulary = tiny_vocabulary()
    network = whole_network(vocabulary)
    written = write_sample(tmp_path, network)
    one, sizes = source(tmp_path), network.architecture
    assert one.fingerprint == written.fingerprint
    assert one.sizes(vocabulary) == sizes
    found = one.whole(sizes, no_questions)
    assert found.layer_order == ORDER
    assert same(found.network, network)
    shallower = one.whole(sizes.replace(depth=2), no_questions)
    kept = sorted(ORDER[:2])
    assert [kept[layer] for layer in shallower.layer_order] == list(ORDER[:2])
    with pytest.raises(InputError, match="tokens, the given one has 90"):
        one.sizes(VOCABULARY)


def test_a_resumed_run_takes_the_stored_measurement(teacher: Path, tmp_path: Path) -> None:
    first = source(teacher)
    expected = first.whole(SMALLER, questions)
    first.save(tmp_path / "run")
    again = source(teacher)
    found = again.whole(SMALLER, questions, stored_in=tmp_path / "run")
    assert found.layer_order == expected.layer_order
    assert same(found.network, expected.network)
    assert again.start._measured is None  # type: ignore[union-attr]


@pytest.mark.parametrize("labels", [CLASSES.labels, ("a", "b", "x"), None])
def test_a_task_takes_the_teachers_head_or_a_new_one(tmp_path: Path, labels: Any) -> None:
    """The head is the teacher's if its labels are those of the task."""
    classifies = labels == CLASSES.labels
    parts: Any = {"pooler": True} if labels is None else {"head": "linear", "num_classes": 3}
    teacher = make_network(SIZES, **parts)
    if labels is not None:
        head = dataclasses.replace(teacher.description.head, labels=labels)
        teacher = teacher.replace(head=head)
    write_network(tmp_path, teacher)
    one = source(tmp_path, CONFIG.replace(importance="order"))
    found = one.whole(SMALLER, no_questions, head=CLASSES).network
    assert found.description.head == CLASSES
    assert not found.description.has_decoder
    weight = found.arrays["classifier.1.weight"]
    if classifies:
        np.testing.assert_array_equal(weight, teacher.arrays["classifier.1.weight"][:, :6])
    else:
        assert 0.2 < np.abs(weight).max() <= 0.5
        again = source(tmp_path, CONFIG.replace(importance="order"))
        assert same(found, again.whole(SMALLER, no_questions, head=CLASSES).network)


def test_random_weights_get_a_head_too() -> None:
    one = source(architecture="2-2-8-10")
    found = one.whole(one.sizes(VOCABULARY), no_questions, head=CLASSES).network
    assert found.description.head == CLASSES


def test_another_head_is_drawn_anew(tmp_path: Path) -> None:
    write_network(tmp_path, make_network(SIZES, head="linear", num_classes=2))
    found = source(tmp_path, CONFIG.replace(importance="order")).whole(
        SIZES, no_questions, head=CLASSES
    )
    assert found.network.arrays["classifier.1.weight"].shape == (3, 8)


def test_a_teacher_of_another_vocabulary_is_refused(teacher: Path) -> None:
    with pytest.raises(InputError, match="vocabulary has 90 tokens, the given one has 91"):
        source(teacher).sizes(ToyVocabulary(91))  # type: ignore[arg-type]


def test_nothing_to_start_from_is_refused() -> None:
    with pytest.raises(InputError, match="start and architecture are both missing"):
        source()
