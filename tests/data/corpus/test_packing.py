"""Packing: decoding gives the text back, whole sentences, full sequences, every pass differs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.text.sentencepiece_vocabulary import SentencePieceConfig, train_sentencepiece
from data.corpus.packing import Packer
from tests.data.corpus.corpora import VOCABULARY, WORDS, documents
from tests.text.tiny_vocabulary import TEXT

SENTENCEPIECE = train_sentencepiece(
    TEXT.strip().split("\n") * 3,
    SentencePieceConfig(vocabulary_size=340, normalization="identity"),
)
# Sentences as the reader gives them: not empty, no white space at the ends.
SENTENCES = st.lists(
    st.sampled_from([*WORDS, "  ", "'s", "\u00a0x", "€uro", "<mask>"]), min_size=1, max_size=40
).map(lambda words: " ".join(words).strip())
DOCUMENTS = st.lists(st.lists(SENTENCES.filter(bool), min_size=1, max_size=8), max_size=4)


def sequences(packer, several):
    """Ids of every sequence, by document."""
    packed = packer.pack(several)
    ends = np.cumsum([0, *packed.lengths])
    ids = np.frombuffer(packed.tokens, dtype=packer.dtype)
    rows = np.cumsum([0, *packed.sequences])
    return packed, [
        [ids[ends[row] : ends[row + 1]].tolist() for row in range(rows[i], rows[i + 1])]
        for i in range(len(several))
    ]


@given(
    several=DOCUMENTS,
    length=st.integers(8, 60),
    passes=st.integers(1, 3),
    short=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_decoding_a_sequence_gives_the_text_back(several, length, passes, short):
    """Each pass holds every sentence once and in order, between `<s>` and `</s>`."""
    packed, found = sequences(Packer(VOCABULARY, length, passes, short, 7), several)
    for sentences, rows, long_ones in zip(several, found, packed.split_sentences):
        for row in rows:
            assert row[0] == VOCABULARY.bos_id
            assert row[-1] == VOCABULARY.eos_id
            assert 3 <= len(row) <= length
            assert not set(row[1:-1]) & set(VOCABULARY.special_ids)
        # A sentence has another number of tokens behind a space; where it stands decides.
        sizes = [(len(VOCABULARY.encode(s)), len(VOCABULARY.encode(" " + s))) for s in sentences]
        surely = sum(min(pair) > length - 2 for pair in sizes)
        assert surely <= long_ones <= sum(max(pair) > length - 2 for pair in sizes)
        # Joined by the space that a cut between two sentences swallows; where sentences were
        # split, no space was swallowed, so spaces are left out of the comparison.
        texts = [VOCABULARY.decode(row) for row in rows]
        if long_ones == 0:
            whole = " ".join(sentences)
            assert " ".join(texts) == " ".join([whole] * passes)
        elif length > 12:
            glued = "".join("".join(texts).split())
            assert glued == "".join(" ".join(sentences).split()) * passes


@given(several=DOCUMENTS)
def test_sentencepiece_gives_the_text_back(several):
    _, found = sequences(Packer(SENTENCEPIECE, 400), several)
    for sentences, rows in zip(several, found):
        texts = [SENTENCEPIECE.decode(row) for row in rows]
        assert " ".join(texts) == " ".join(filter(None, " ".join(sentences).split(" ")))


@given(several=DOCUMENTS, length=st.integers(8, 60))
def test_sequences_are_as_full_as_whole_sentences_allow(several, length):
    """The first sentence of the next sequence would not have fitted."""
    packed, found = sequences(Packer(VOCABULARY, length), several)
    for sentences, rows, split in zip(several, found, packed.split_sentences):
        if split:
            continue
        left = list(sentences)
        for row in rows:
            text = left.pop(0)
            while left and len(text) < len(VOCABULARY.decode(row)):
                text += " " + left.pop(0)
            assert text == VOCABULARY.decode(row)
            if left:
                assert len(VOCABULARY.encode(text + " " + left[0])) > length - 2


def test_a_character_is_not_torn_apart():
    text = "東" * 200
    _, found = sequences(Packer(VOCABULARY, 16), [[text]])
    assert "".join(VOCABULARY.decode(row) for row in found[0]) == text
    assert len(found[0]) > 10


def test_what_a_document_becomes_depends_on_seed_and_content_alone():
    several = documents(12)
    packer = Packer(VOCABULARY, 24, passes=2, short_seq_prob=0.5, seed=3)
    _, together = sequences(packer, several)
    alone = [sequences(packer, [document])[1][0] for document in several]
    assert together == alone
    assert sequences(Packer(VOCABULARY, 24, 2, 0.5, 4), several)[1] != together
    assert sequences(Packer(VOCABULARY, 24, 2, 0.5, 3), several)[1] == together


def test_further_passes_are_cut_at_other_places():
    _, once = sequences(Packer(VOCABULARY, 150, passes=1), documents(20))
    _, twice = sequences(Packer(VOCABULARY, 150, passes=2), documents(20))
    moved = 0
    for first, both in zip(once, twice):
        assert both[: len(first)] == first
        moved += both[len(first) :] != first
    assert moved > 10


@pytest.mark.parametrize("length", [3, 4])
def test_the_shortest_sequences_work(length):
    _, found = sequences(Packer(VOCABULARY, length, 2, 0.5), [["The rain", "x"]])
    text = "".join(VOCABULARY.decode(row) for row in found[0])
    assert text.replace(" ", "") == "Therainx" * 2
