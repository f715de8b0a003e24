"""Tests of the form of two texts: token types from ids, records, what a vocabulary tells."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.errors import InputError
from bort.storage.json_fields import JsonFields
from bort.tasks.features import tokenise
from bort.tasks.items import Piece, Segment, TaskInput
from bort.text.pair_form import (
    BERT_PAIRS,
    ROBERTA_PAIRS,
    PairForm,
    natural_pair_form,
    token_types_of,
)
from bort.text.wordpiece import wordpiece_vocabulary
from tests.text.tiny_vocabulary import tiny_vocabulary

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"]
CLS, SEP, PAD = 2, 3, 0
TEXT = st.lists(st.integers(4, 9), max_size=6)


@given(st.lists(st.tuples(TEXT, st.none() | TEXT), min_size=1, max_size=5))
def test_the_second_text_and_its_separator_have_type_1(texts):
    rows, expected = [], []
    for first, second in texts:
        rows.append([CLS, *first, SEP, *([] if second is None else [*second, SEP])])
        head = len(first) + 2
        expected.append([0] * head + [1] * (len(rows[-1]) - head))
    lengths = [len(row) for row in rows]
    for pad in (PAD, SEP):  # padding of any id has type 0
        ids = np.array([row + [pad] * (20 - len(row)) for row in rows])
        types = token_types_of(ids, lengths, SEP)
        assert types.dtype == np.int32
        assert types.tolist() == [row + [0] * (20 - len(row)) for row in expected]


@given(TEXT, TEXT, st.booleans(), st.sampled_from([1, 2]))
def test_texts_are_joined_as_tasks_join_them(first, second, alone, separators):
    words = wordpiece_vocabulary(PIECES, True, "here")
    form = PairForm(separators)
    texts = [" ".join(words.token_of(5 + n % 2) for n in text) for text in (first, second)]
    texts = texts[:1] if alone else texts
    one = TaskInput(tuple(Segment((Piece(text),)) for text in texts), None, 0)
    expected = tokenise([one], words, 99, form)[0].tolist()
    assert form.join(words, *map(words.encode, texts)) == expected
    assert expected.count(SEP) == (1 if alone else 1 + separators)


@pytest.mark.parametrize("form", [BERT_PAIRS, ROBERTA_PAIRS, PairForm(1, typed=False)])
def test_a_form_comes_back(form):
    stored = json.loads(json.dumps(form.as_dict()))
    assert PairForm.from_fields(JsonFields(stored, "model.json", "extra.pairs")) == form


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"separators": 3, "token_types": False}, "separators is 3, allowed are 1 and 2"),
        ({"separators": True, "token_types": False}, "separators is True, allowed is an integer"),
        ({"separators": 2, "token_types": True}, "allowed with separators 2 is false"),
        ({"separators": 1}, "token_types is missing"),
        ({"separators": 1, "token_types": 1}, "token_types is 1, allowed is true or false"),
    ],
)
def test_bad_records_are_named(fields, message):
    with pytest.raises(InputError, match=f"^model.json: pairs.*{message}"):
        PairForm.from_fields(JsonFields(fields, "model.json", "pairs"))


@pytest.mark.parametrize(
    ("told", "types", "expected"),
    [
        ((1, 1), 2, BERT_PAIRS),
        ((1, 1), 0, PairForm(1, typed=False)),
        ((1, 1), 1, PairForm(1, typed=False)),
        ((1, 0), 2, PairForm(1, typed=False)),
        ((2, 0), 2, ROBERTA_PAIRS),
        (None, 2, BERT_PAIRS),
        (None, 0, ROBERTA_PAIRS),  # as version 0.2.0 trained it
        (None, 1, ROBERTA_PAIRS),
    ],
)
def test_the_form_follows_from_vocabulary_and_network(told, types, expected):
    vocabulary = wordpiece_vocabulary(PIECES, True, "here")
    if told is not None:
        vocabulary.pair_separators, vocabulary.pair_second_type = told
    vocabulary.pair_recorded = told is not None
    assert natural_pair_form(vocabulary, types) == expected
    assert expected.type_separator(vocabulary) == (SEP if expected.typed else None)


def test_byte_level_bpe_has_two_separators():
    assert natural_pair_form(tiny_vocabulary(), 2) == ROBERTA_PAIRS
