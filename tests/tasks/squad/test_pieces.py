"""Contexts are cut into words and pieces, and every piece knows its word and its characters."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.tasks.squad.pieces import make_context_pieces
from tests.tasks.squad.squad_questions import BERT
from tests.text.tiny_vocabulary import tiny_vocabulary

BYTES = tiny_vocabulary()
CONTEXTS = st.lists(
    st.text("ab the,.é東\t\n\r\u202f\u00a0 \U0001f642", max_size=40), unique=True, max_size=6
)


def test_by_hand():
    pieces = make_context_pieces(["The  hotels,\u202f200 ", "", "york 2008"], BERT)
    names = [BERT.token_of(one) for one in pieces.ids.tolist()]
    assert names == ["the", "hotel", "##s", ",", "200", "york", "200", "##8"]
    assert pieces.words.tolist() == [0, 1, 1, 1, 2, 0, 1, 1]
    assert pieces.begins.tolist() == [0, 5, 10, 11, 13, 0, 5, 8]
    assert pieces.ends.tolist() == [3, 10, 11, 12, 16, 4, 8, 9]
    assert pieces.first_piece.tolist() == [0, 5, 5, 8]
    assert pieces.word_begins.tolist() == [0, 5, 13, 0, 5]
    assert pieces.first_word.tolist() == [0, 3, 3, 5]
    assert [pieces.word_at(0, place) for place in (0, 3, 4, 5, 11, 12, 13, 15)] == [
        0, 0, 0, 1, 1, 1, 2, 2,
    ]  # fmt: skip
    assert pieces.pieces_of_words(0, 1, 2) == (1, 5)
    assert pieces.pieces_of_words(2, 1, 1) == (1, 3)


@pytest.mark.parametrize("vocabulary", [BERT, BYTES], ids=["wordpiece", "bytes"])
@given(CONTEXTS)
def test_the_pieces_are_those_of_each_word_alone(vocabulary, contexts):
    pieces = make_context_pieces(contexts, vocabulary)
    for number, context in enumerate(contexts):
        inside = slice(pieces.first_piece[number], pieces.first_piece[number + 1])
        words = [word for word in re.split("[ \t\r\n\u202f]", context) if word]
        expected = [vocabulary.encode(f" {word}") for word in words]
        assert pieces.ids[inside].tolist() == [one for ids in expected for one in ids]
        lengths = [len(ids) for ids in expected]
        assert pieces.words[inside].tolist() == np.repeat(range(len(words)), lengths).tolist()
        begins = pieces.word_begins[pieces.first_word[number] : pieces.first_word[number + 1]]
        assert [context[b : b + len(w)] for b, w in zip(begins, words)] == words
        for word, begin, end in zip(
            pieces.words[inside], pieces.begins[inside], pieces.ends[inside]
        ):
            start = begins[word]
            assert start <= begin <= end <= start + len(words[word])


def test_a_context_of_one_long_word_takes_linear_time():
    """Quadratic work would not end here."""
    pieces = make_context_pieces(["東京" * 30_000, "\U0001f642" * 20_000], BYTES)
    assert pieces.ends[pieces.first_piece[1] - 1] == 60_000
    assert pieces.ends[-1] == 20_000
    assert make_context_pieces(["東☃" * 20_000], BERT).ends[-1] == 40_000
