"""Descriptions of models: round trips, and a one-line error for each bad `model.json`."""

from __future__ import annotations

import copy
import json
from typing import Any, Callable, Dict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.architecture import LARGEST_SIZE, Architecture
from bort.errors import InputError
from bort.network.activations import FUNCTIONS
from bort.network.description import (
    CLASSIFIER,
    ENCODER,
    MASKED_LM,
    ModelDescription,
    TaskDescription,
    check_vocabulary,
)
from bort.network.head import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
    HeadDescription,
    span_head,
)
from bort.text.pair_form import BERT_PAIRS, ROBERTA_PAIRS, PairForm
from tests.text.tiny_vocabulary import tiny_merges, tiny_vocabulary

SIZES = Architecture(2, 4, 64, 48, vocabulary_size=211, maximum_length=40)
FINETUNED = ModelDescription(
    SIZES,
    HeadDescription("linear", 2, ("no", "yes"), 0.2),
    has_pooler=True,
    layer_norm_eps=1e-6,
    decoder_layer_norm_eps=1e-12,
    dropout=0.3,
    task=TaskDescription("RTE", {"drop_seed": 0}, "0" * 64),
    input_length=32,
    vocabulary_fingerprint="a" * 64,
    metrics={"accuracy": 0.5},
    notes={"epoch": 3, "origin": {"name": "x"}},
)

texts = st.text(max_size=8)
heads = st.integers(1, 4).flatmap(
    lambda count: st.builds(
        HeadDescription,
        st.sampled_from(["release", "linear", "two_linear"]),
        st.just(count),
        st.one_of(st.just(()), st.lists(texts, min_size=count, max_size=count).map(tuple)),
        st.floats(0, 0.9),
        st.sampled_from(["", MULTI_LABEL, REGRESSION] + [SINGLE_LABEL] * (count > 1)),
    )
)
descriptions = st.builds(
    ModelDescription,
    st.just(SIZES),
    st.none() | heads | st.builds(span_head, st.floats(0, 0.9)),
    has_decoder=st.booleans(),
    has_pooler=st.booleans(),
    layer_norm_eps=st.floats(0, 1, exclude_min=True, exclude_max=True),
    decoder_layer_norm_eps=st.floats(0, 1, exclude_min=True, exclude_max=True),
    activation=st.sampled_from(sorted(FUNCTIONS)),
    tied_decoder=st.booleans(),
    dropout=st.floats(0, 0.9),
    task=st.none()
    | st.builds(
        TaskDescription,
        texts,
        st.none() | st.dictionaries(texts, st.booleans()),
        st.none() | texts,
    ),
    input_length=st.none() | st.integers(1, 512),
    vocabulary_fingerprint=st.none() | texts,
    metrics=st.dictionaries(texts, st.floats(-1, 1)),
    pairs=st.sampled_from([None, ROBERTA_PAIRS, PairForm(1, typed=False)]),
    notes=st.dictionaries(st.sampled_from(["epoch", "step", "training"]), texts),
)


@given(descriptions)
def test_a_description_comes_back(description: ModelDescription) -> None:
    stored = json.loads(json.dumps(description.as_dict()))
    assert ModelDescription.from_dict(stored, "model.json") == description


def test_what_a_model_is_for() -> None:
    plain = ModelDescription(SIZES)
    assert plain.purpose == ENCODER
    assert plain.replace(has_decoder=True).purpose == MASKED_LM
    assert FINETUNED.purpose == FINETUNED.replace(has_decoder=True).purpose == CLASSIFIER
    assert (plain.num_classes, plain.labels) == (0, ())
    assert (FINETUNED.num_classes, FINETUNED.labels) == (2, ("no", "yes"))


def test_the_encoder_alone_keeps_what_is_known_of_it() -> None:
    alone = FINETUNED.replace(has_decoder=True).encoder_alone()
    assert (alone.head, alone.has_decoder) == (None, False)
    assert alone == FINETUNED.replace(head=None)
    assert "labels" not in alone.extra()


def test_the_form_of_pairs_is_recorded_or_follows() -> None:
    words = tiny_vocabulary()
    typed = ModelDescription(SIZES.replace(token_types=2), pairs=BERT_PAIRS)
    stored = json.loads(json.dumps(typed.as_dict()))
    assert stored["extra"]["pairs"] == {"separators": 1, "token_types": True}
    assert ModelDescription.from_dict(stored, "model.json").pair_form(words) == BERT_PAIRS
    assert typed.replace(pairs=None).pair_form(words) == ROBERTA_PAIRS
    assert FINETUNED.replace(pairs=BERT_PAIRS, architecture=typed.architecture).pair_form(
        words
    ) == (BERT_PAIRS)
    with pytest.raises(InputError, match="pairs have token types 0 and 1, the network has 1"):
        typed.replace(architecture=SIZES.replace(token_types=1))


def test_scores_are_added() -> None:
    scored = FINETUNED.with_scores({"f1": 0.25}, epoch=4, step=9)
    assert scored.metrics == {"f1": 0.25}
    assert scored.notes == {"epoch": 4, "step": 9, "origin": {"name": "x"}}


def test_what_is_not_known_is_not_written() -> None:
    assert ModelDescription(SIZES).extra() == {}
    assert ModelDescription(SIZES, HeadDescription("linear", 1)).extra() == {"labels": []}


def test_a_head_without_a_problem_type_follows_the_rule_of_transformers() -> None:
    assert HeadDescription("linear", 1).problem_type == REGRESSION
    assert HeadDescription("linear", 2).problem_type == SINGLE_LABEL
    assert HeadDescription("linear", 3, problem_type=SINGLE_LABEL) == HeadDescription("linear", 3)


@pytest.mark.parametrize(
    ("count", "problem_type", "is_written"),
    [
        (1, REGRESSION, False),
        (1, MULTI_LABEL, True),
        (3, SINGLE_LABEL, False),
        (3, REGRESSION, True),
        (3, MULTI_LABEL, True),
    ],
)
def test_only_another_problem_type_is_written(
    count: int, problem_type: str, is_written: bool
) -> None:
    head = HeadDescription("linear", count, problem_type=problem_type)
    stored = ModelDescription(SIZES, head).as_dict()["classifier"]
    assert stored.get("problem_type") == (problem_type if is_written else None)
    assert head.problem_type_if_other() == ({"problem_type": problem_type} if is_written else {})


@pytest.mark.parametrize(("count", "problem_type"), [(1, MULTI_LABEL), (3, REGRESSION)])
def test_a_task_needs_one_label_or_one_number(count: int, problem_type: str) -> None:
    HeadDescription("linear", count).check_for_task("x")
    with pytest.raises(InputError, match=f"^x: problem_type is '{problem_type}' with {count}"):
        HeadDescription("linear", count, problem_type=problem_type).check_for_task("x")


def test_options_without_a_task_stay_notes() -> None:
    stored = ModelDescription(SIZES).as_dict()
    stored["extra"] = {"options": {"a": 1}, "held_out": 3}
    found = ModelDescription.from_dict(stored, "model.json")
    assert found.task is None
    assert found.as_dict() == stored


Edit = Callable[[Dict[str, Any]], Any]


def put(value: Any, *path: str) -> Edit:
    def edit(stored: Dict[str, Any]) -> Any:
        for name in path[:-1]:
            stored = stored[name]
        stored[path[-1]] = value

    return edit


def drop(*path: str) -> Edit:
    def edit(stored: Dict[str, Any]) -> Any:
        for name in path[:-1]:
            stored = stored[name]
        del stored[path[-1]]

    return edit


BAD = (
    (drop("architecture"), "architecture is missing"),
    (put([2, 4], "architecture"), "architecture is [2, 4], allowed is an object"),
    (drop("architecture", "depth"), "architecture: field 'depth' is missing"),
    (put(1, "architecture", "width"), "architecture: unknown field 'width'"),
    (put("2", "architecture", "depth"), "architecture: depth is '2'"),
    (put(2.0, "architecture", "depth"), "architecture: depth is 2.0"),
    (put(True, "architecture", "depth"), "architecture: depth is True"),
    (put(0, "architecture", "hidden"), "architecture: hidden is 0, allowed is an integer of at"),
    (put(-4, "architecture", "heads"), "architecture: heads is -4, allowed"),
    (put(5, "architecture", "heads"), "heads is 5, which does not divide hidden 64"),
    (put(10**30, "architecture", "depth"), f"depth is {10**30}, allowed is at most {2**12}"),
    (put(10**9, "architecture", "intermediate"), f"intermediate is {10**9}, allowed is at most"),
    (drop("dropout"), "dropout is missing"),
    (put("0.1", "dropout"), "dropout is '0.1', allowed is a finite number"),
    (put(1.0, "dropout"), "dropout is 1.0, allowed is 0 to below 1"),
    (put(-0.1, "dropout"), "dropout is -0.1, allowed is 0 to below 1"),
    (put(None, "layer_norm_eps"), "layer_norm_eps is None, allowed is a finite number"),
    (put(-1e-5, "layer_norm_eps"), "layer_norm_eps is -1e-05, allowed is above 0"),
    (put(0, "layer_norm_eps"), "layer_norm_eps is 0, allowed is above 0"),
    (put(2**63, "layer_norm_eps"), f"layer_norm_eps is {2**63}, allowed is above 0 to below 1"),
    (put("mish", "activation"), "activation is 'mish', allowed are gelu, gelu_python"),
    (put(1, "tied_decoder"), "tied_decoder is 1, allowed is true or false"),
    (put(float("inf"), "decoder_layer_norm_eps"), "decoder_layer_norm_eps is inf"),
    (put(1, "use_decoder"), "use_decoder is 1, allowed is true or false"),
    (drop("use_pooler"), "use_pooler is missing"),
    (drop("classifier"), "classifier is missing"),
    (put(2, "classifier"), "classifier is 2, allowed is an object"),
    (put("lstm", "classifier", "head"), "head is 'lstm', allowed are release, linear, two_linear"),
    (put(None, "classifier", "head"), "classifier.head is None, allowed is a text"),
    (put(0, "classifier", "num_classes"), "num_classes is 0, allowed is 1 to"),
    (put(10**12, "classifier", "num_classes"), f"num_classes is {10**12}, allowed is 1 to"),
    (put("2", "classifier", "num_classes"), "classifier.num_classes is '2', allowed is an integer"),
    (put(3, "classifier", "num_classes"), "3 outputs have 2 labels"),
    (put("seq2seq", "classifier", "problem_type"), "problem_type is 'seq2seq', allowed are single"),
    (put(None, "classifier", "problem_type"), "problem_type is None, allowed is a text"),
    (put(1.5, "classifier", "dropout"), "the head's dropout is 1.5, allowed is 0 to below 1"),
    (drop("extra"), "extra is missing"),
    (put("", "extra"), "extra is '', allowed is an object"),
    (put("ab", "extra", "labels"), "extra.labels is 'ab', allowed is a list of texts"),
    (put(["a", 2], "extra", "labels"), "extra.labels is ['a', 2], allowed is a list of texts"),
    (put(["a"], "extra", "labels"), "2 outputs have 1 labels"),
    (put(None, "classifier"), "labels are ['no', 'yes'], but there is no head"),
    (put(7, "extra", "task"), "extra.task is 7, allowed is a text"),
    (put([1], "extra", "options"), "extra.options is [1], allowed is an object"),
    (put(0, "extra", "held_out"), "extra.held_out is 0, allowed is a text"),
    (put("48", "extra", "max_len"), "extra.max_len is '48', allowed is an integer"),
    (put(0, "extra", "max_len"), "max_len is 0, allowed is at least 1"),
    (put(None, "extra", "vocabulary"), "extra.vocabulary is None, allowed is a text"),
    (put({"f1": "x"}, "extra", "metrics"), "extra.metrics.f1 is 'x', allowed is a finite number"),
)


@pytest.mark.parametrize(("edit", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_a_bad_file_is_refused_in_one_line(edit: Edit, message: str) -> None:
    stored = copy.deepcopy(FINETUNED.as_dict())
    assert ModelDescription.from_dict(stored, "x/model.json") == FINETUNED
    edit(stored)
    with pytest.raises(InputError) as caught:
        ModelDescription.from_dict(stored, "x/model.json")
    assert str(caught.value).startswith("x/model.json: ")
    assert str(caught.value).count("x/model.json") == 1
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [None, [], "x", 3])
def test_what_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="x.json: it is .*, allowed is an object"):
        ModelDescription.from_dict(value, "x.json")


@pytest.mark.parametrize("name", ["labels", "task", "options", "max_len", "vocabulary", "metrics"])
def test_notes_do_not_hide_a_field(name: str) -> None:
    with pytest.raises(InputError, match=f"notes: '{name}' is the name of a field"):
        FINETUNED.replace(notes={name: 1})


def test_the_largest_size_is_allowed() -> None:
    stored = ModelDescription(SIZES.replace(vocabulary_size=LARGEST_SIZE)).as_dict()
    found = ModelDescription.from_dict(stored, "model.json")
    assert found.architecture.vocabulary_size == LARGEST_SIZE


def test_another_vocabulary_is_refused() -> None:
    vocabulary = tiny_vocabulary()
    architecture = SIZES.replace(vocabulary_size=len(vocabulary))
    fitting = ModelDescription(architecture, vocabulary_fingerprint=vocabulary.fingerprint)
    check_vocabulary(fitting, vocabulary)
    check_vocabulary(fitting.replace(vocabulary_fingerprint=None), vocabulary)
    smaller = tiny_vocabulary(tiny_merges()[:-3])
    with pytest.raises(InputError, match=r"^x: the model has \d+ tokens, the vocabulary has \d+"):
        check_vocabulary(fitting, smaller, "x")
    with pytest.raises(
        InputError, match=r"^x: the vocabulary \(.*\) is not the one that the model"
    ):
        check_vocabulary(fitting.replace(vocabulary_fingerprint="0" * 64), vocabulary, "x")
