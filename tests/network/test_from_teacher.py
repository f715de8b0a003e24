"""Tests of students with a slice of their teacher's weights, against a forward pass in NumPy."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np
import pytest

from bort.architecture import NORMS, Architecture
from bort.errors import InputError
from bort.network.array_network import ArrayNetwork
from bort.network.description import TaskDescription
from bort.network.embedding import EmbeddingDescription
from bort.network.from_teacher import OrderedNetwork, as_whole, student_from
from bort.network.head import span_head
from bort.network.importance import Importance, descending
from bort.network.sub_network import extracted, part_of
from tests.formats.parity import make_network
from tests.gluon.network.reference import decode, encode

SIZES = Architecture(4, 4, 32, 40, vocabulary_size=23, maximum_length=16, token_types=2)
SMALL = SIZES.replace(depth=2, heads=2, hidden=20, intermediate=12, qkv=10)
IDS = np.random.default_rng(5).integers(0, 20, (3, 9))
LENGTHS = np.array([9, 4, 6])
POSITIONS = np.array([[0, 3], [1, 2], [5, 0]])


def random_importance(sizes: Architecture = SIZES, seed: int = 0) -> Importance:
    generator = np.random.default_rng(seed)
    return Importance(
        generator.random(sizes.hidden),
        generator.random((sizes.depth, sizes.intermediate)),
        generator.random((sizes.depth, sizes.qkv)),
        generator.random(sizes.depth),
    )


def encoded(network: ArrayNetwork, types: Any = None) -> np.ndarray:
    return encode(dict(network.arrays), network.architecture.heads, IDS, LENGTHS, types)


def test_a_whole_answers_as_its_teacher_and_ranks_its_layers() -> None:
    teacher, importance = make_network(SIZES, decoder=True, pooler=True), random_importance()
    whole = as_whole(teacher, importance)
    before, after = encoded(teacher), encoded(whole.network)
    np.testing.assert_allclose(
        after, before[:, :, descending(importance.hidden)], rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(
        decode(dict(whole.network.arrays), after, POSITIONS),
        decode(dict(teacher.arrays), before, POSITIONS),
        rtol=0,
        atol=1e-12,
    )
    assert importance.layers is not None
    assert list(np.diff(importance.layers[list(whole.layer_order)]) <= 0) == [True] * 3


def test_without_importance_nothing_moves() -> None:
    teacher = make_network(SIZES)
    assert as_whole(teacher) == OrderedNetwork(teacher, (0, 1, 2, 3))


def test_without_scores_of_layers_the_first_ones_are_taken() -> None:
    importance = random_importance()
    bare = Importance(importance.hidden, importance.intermediate, importance.attention)
    assert as_whole(make_network(SIZES), bare).layer_order == (0, 1, 2, 3)


@pytest.mark.parametrize("norm", NORMS)
def test_a_student_is_the_sub_network_of_the_whole(norm: str) -> None:
    sizes, small = SIZES.replace(norm=norm), SMALL.replace(norm=norm)
    whole = as_whole(make_network(sizes, decoder=True), random_importance())
    student = student_from(whole, small, decoder=True)
    expected = extracted(whole.network, part_of(sizes, small, whole.layer_order))
    assert dict(student.arrays).keys() == dict(expected.arrays).keys()
    for name, array in expected.arrays.items():
        np.testing.assert_array_equal(student.arrays[name], array, err_msg=name)


def test_a_student_of_the_same_sizes_answers_as_its_teacher() -> None:
    teacher = make_network(SIZES, decoder=True)
    student = student_from(as_whole(teacher, random_importance()), SIZES, decoder=True)
    answers = [decode(dict(one.arrays), encoded(one), POSITIONS) for one in (teacher, student)]
    np.testing.assert_allclose(answers[1], answers[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("norm", NORMS)
def test_token_type_0_moves_into_the_positions(norm: str) -> None:
    sizes = SIZES.replace(norm=norm)
    teacher = make_network(sizes, decoder=True)
    student = student_from(as_whole(teacher), sizes.replace(token_types=0), decoder=True)
    np.testing.assert_allclose(encoded(student), encoded(teacher), rtol=0, atol=1e-6)
    of_type_1 = encoded(teacher, np.ones_like(IDS))
    assert np.abs(encoded(student) - of_type_1).max() > 0.1


def test_a_shorter_student_has_the_first_positions_and_tokens() -> None:
    teacher = make_network(SIZES, decoder=True)
    shorter = SIZES.replace(maximum_length=9, vocabulary_size=20)
    student = student_from(as_whole(teacher), shorter, decoder=True)
    np.testing.assert_array_equal(encoded(student), encoded(teacher))
    np.testing.assert_array_equal(
        decode(dict(student.arrays), encoded(student), POSITIONS),
        decode(dict(teacher.arrays), encoded(teacher), POSITIONS)[:, :, :20],
    )


def test_a_decoder_that_the_teacher_lacks_is_drawn_by_the_seed() -> None:
    whole = as_whole(make_network(SIZES, head="release", num_classes=3, layer_norm_eps=1e-6))
    one, same, other = (student_from(whole, SMALL, decoder=True, seed=n) for n in (1, 1, 2))
    name = "decoder.0.weight"
    np.testing.assert_array_equal(one.arrays[name], same.arrays[name])
    assert not np.array_equal(one.arrays[name], other.arrays[name])
    assert 0.015 < one.arrays[name].std() < 0.025
    assert (one.arrays["decoder.2.gamma"] == 1).all()
    assert (one.arrays["decoder.3.bias"] == 0).all()
    assert one.description.head is None
    assert one.description.decoder_layer_norm_eps == 1e-6


def test_a_classifier_hands_its_head_on() -> None:
    teacher = make_network(SIZES, head="release", num_classes=3, labels=("a", "b", "c"))
    importance = random_importance()
    student = student_from(as_whole(teacher, importance), SMALL, head=True)
    assert student.description.labels == ("a", "b", "c")
    columns = descending(importance.hidden)[:20]
    np.testing.assert_array_equal(
        student.arrays["classifier.1.weight"],
        teacher.arrays["classifier.1.weight"][np.ix_(columns, columns)],
    )
    np.testing.assert_array_equal(
        student.arrays["classifier.3.weight"], teacher.arrays["classifier.3.weight"][:, columns]
    )


def test_a_span_model_hands_its_head_on() -> None:
    teacher = make_network(SIZES, head="span", num_classes=2, head_dropout=0.0)
    importance = random_importance()
    student = student_from(as_whole(teacher, importance), SMALL, head=True)
    assert student.description.head == span_head()
    columns = descending(importance.hidden)[:20]
    np.testing.assert_array_equal(
        student.arrays["qa_outputs.weight"], teacher.arrays["qa_outputs.weight"][:, columns]
    )
    np.testing.assert_array_equal(
        student.arrays["qa_outputs.bias"], teacher.arrays["qa_outputs.bias"]
    )


def test_an_untied_decoder_stays_untied() -> None:
    whole = as_whole(make_network(SIZES, decoder=True, tied_decoder=False))
    student = student_from(whole, SMALL, decoder=True)
    assert student.arrays["decoder.3.weight"].shape == (23, 20)


def test_the_student_computes_as_its_teacher_but_is_no_sentence_encoder() -> None:
    teacher = make_network(
        SIZES,
        pooler=True,
        layer_norm_eps=1e-7,
        activation="relu",
        dropout=0.3,
        embedding=EmbeddingDescription(),
        task=TaskDescription("CoLA"),
        vocabulary_fingerprint="f" * 64,
    )
    found = student_from(as_whole(teacher), SMALL).description
    assert (found.layer_norm_eps, found.activation, found.dropout) == (1e-7, "relu", 0.3)
    assert found.vocabulary_fingerprint == "f" * 64
    assert not found.has_pooler
    assert not found.has_decoder
    assert found.embedding is None
    assert found.task is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm": "pre"}, "student: norm is pre, allowed is post, that of some/model"),
        ({"depth": 5}, "student: depth is 5, allowed is at most 4, that of some/model"),
        ({"hidden": 36, "qkv": 32}, "student: hidden is 36, allowed is at most 32, that of"),
        ({"intermediate": 41}, "student: intermediate is 41"),
        ({"heads": 8}, "student: heads is 8"),
        ({"heads": 2, "qkv": 32}, "student: qkv is 32 with 2 heads, so a head is 16 wide"),
        ({"vocabulary_size": 24}, "student: vocabulary_size is 24, allowed is at most 23, that of"),
        ({"maximum_length": 17}, "student: maximum_length is 17, allowed is at most 16"),
        ({"token_types": 1}, "student: token_types is 1, allowed is 2, that of some/model"),
    ],
)
def test_a_student_that_is_larger_than_its_teacher_is_refused(
    changes: Dict[str, int], message: str
) -> None:
    whole = as_whole(make_network(SIZES))
    with pytest.raises(InputError, match=message):
        student_from(whole, SIZES.replace(**changes), source="some/model")


def test_a_teacher_without_types_has_none_for_its_student() -> None:
    whole = as_whole(make_network(SIZES.replace(token_types=0)))
    with pytest.raises(InputError, match="student: token_types is 2, allowed is 0"):
        student_from(whole, SIZES)


def test_a_teacher_without_head_has_none_for_its_student() -> None:
    with pytest.raises(InputError, match="some/model: holds no classifier"):
        student_from(as_whole(make_network(SIZES)), SMALL, head=True, source="some/model")


def test_the_order_within_a_smaller_whole_counts_its_own_layers() -> None:
    whole = OrderedNetwork(make_network(SIZES), (3, 1, 0, 2))
    assert whole.order_within(3) == (2, 1, 0)
    assert whole.order_within(4) == (3, 1, 0, 2)
