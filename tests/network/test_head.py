"""Tests of heads: what a description allows, and which tasks a head serves."""

from __future__ import annotations

from typing import Any, Dict

import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.network.array_network import places_of
from bort.network.description import QUESTION_ANSWERING, ModelDescription
from bort.network.head import HEAD_KINDS, HeadDescription, default_problem_type, span_head
from bort.network.parameter_names import HEAD_PREFIXES, name_in, shape_of

SIZES = Architecture(1, 2, 8, 12, vocabulary_size=11, maximum_length=6)


def test_a_span_head_has_two_outputs_without_names() -> None:
    head = span_head(0.2)
    assert head == HeadDescription("span", 2, dropout=0.2)
    assert (head.is_span, head.num_classes, head.labels, head.problem_type) == (True, 2, (), "span")
    assert head.problem_type_if_other() == {}
    assert ModelDescription(SIZES, head).purpose == QUESTION_ANSWERING
    assert span_head().dropout == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_classes": 3}, "num_classes is 3, allowed with head 'span' is 2"),
        ({"labels": ("a", "b")}, r"labels are \['a', 'b'\], allowed with head 'span' is none"),
        ({"problem_type": "regression"}, "problem_type is 'regression', allowed with head 'span'"),
        ({"dropout": 1.0}, "the head's dropout is 1.0, allowed is 0 to below 1"),
    ],
)
def test_a_bad_span_head_is_refused(fields: Dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        HeadDescription(**{"kind": "span", "num_classes": 2, **fields})


def test_no_classifier_gives_spans() -> None:
    with pytest.raises(InputError, match="problem_type is 'span', allowed are single_label_cl"):
        HeadDescription("linear", 2, problem_type="span")
    with pytest.raises(InputError, match="head is 'spans', allowed are release, linear, two_li"):
        HeadDescription("spans", 2)
    assert [default_problem_type("linear", count) for count in (1, 2)] == [
        "regression",
        "single_label_classification",
    ]


def test_a_task_needs_its_own_kind_of_head() -> None:
    classifier = HeadDescription("linear", 2)
    classifier.check_for_task("m")
    span_head().check_for_task("m", spans=True)
    with pytest.raises(InputError, match="m: head is 'linear', the task needs head 'span'"):
        classifier.check_for_task("m", spans=True)
    with pytest.raises(InputError, match="m: head is 'span', the task needs the head of a class"):
        span_head().check_for_task("m")


@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_the_parameters_of_a_head_have_their_own_prefix(kind: str) -> None:
    model = ModelDescription(SIZES, HeadDescription(kind, 2), has_decoder=True, has_pooler=True)
    plain = {place.gluon for place in places_of(model.replace(head=None))}
    rows = {place.gluon: place for place in places_of(model)}
    of_head = set(rows) - plain
    assert of_head
    assert all(name.startswith(HEAD_PREFIXES) for name in of_head)
    assert not any(name.startswith(HEAD_PREFIXES) for name in plain)
    if kind == "span":
        assert {name: shape_of(rows[name], SIZES, 2) for name in of_head} == {
            "qa_outputs.weight": (2, 8),
            "qa_outputs.bias": (2,),
        }
        for family in ("bert", "roberta"):
            assert {name_in(rows[name], family) for name in of_head} == of_head


def test_a_task_with_several_labels_needs_their_problem_type():
    several = HeadDescription("linear", 3, problem_type="multi_label_classification")
    several.check_for_task("m", several_labels=True)
    with pytest.raises(InputError, match="m: problem_type is 'multi_label_classification' with 3"):
        several.check_for_task("m")
    with pytest.raises(InputError, match="m: problem_type is 'single_label_classification', a tas"):
        HeadDescription("linear", 3).check_for_task("m", several_labels=True)
    with pytest.raises(InputError, match="m: head is 'span', the task needs the head of a classif"):
        span_head().check_for_task("m", several_labels=True)
