"""Tests of tokenised sets: every kind of vocabulary, truncation, fingerprints."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.errors import InputError
from bort.tasks.features import NO_LABEL, features_fingerprint, tokenise
from bort.tasks.formulations import make_inputs
from bort.tasks.items import Piece, Segment, TaskInput, TaskItem
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from bort.text.pair_form import BERT_PAIRS, ROBERTA_PAIRS, PairForm
from tests.tasks.task_samples import VOCABULARY, PlainVocabulary, shown

WORDS = st.lists(st.sampled_from('the rain é — \'tis "old" mine东 12'.split()), min_size=1)
SENTENCES = WORDS.map(" ".join)


def pair(first, second, label=0, item=0):
    return TaskInput((Segment((Piece(first),), 0), Segment((Piece(second),), 1)), label, item)


@given(st.lists(st.tuples(SENTENCES, SENTENCES), max_size=5))
def test_sequences_are_in_roberta_s_pair_form(pairs):
    inputs = [pair(first, second, item=n) for n, (first, second) in enumerate(pairs)]
    features = tokenise(inputs, VOCABULARY, 10_000)
    assert len(features) == len(inputs)
    for number, (first, second) in enumerate(pairs):
        bos, eos = VOCABULARY.bos_id, VOCABULARY.eos_id
        parts = (VOCABULARY.encode(first), VOCABULARY.encode(second))
        expected = [bos, *parts[0], eos, eos, *parts[1], eos]
        assert features[number].tolist() == expected
    assert features.tokens.dtype == np.int32
    assert features.offsets.dtype == np.int64


@given(st.lists(st.tuples(SENTENCES, st.none() | SENTENCES), max_size=5), st.booleans())
def test_sequences_are_in_bert_s_pair_form(texts, typed):
    inputs = [
        TaskInput((Segment((Piece(first),), 0),), 0, n)
        if second is None
        else pair(first, second, item=n)
        for n, (first, second) in enumerate(texts)
    ]
    features = tokenise(inputs, VOCABULARY, 10_000, PairForm(1, typed))
    assert features.type_separator == (VOCABULARY.eos_id if typed else None)
    for number, (first, second) in enumerate(texts):
        bos, eos = VOCABULARY.bos_id, VOCABULARY.eos_id
        expected = [bos, *VOCABULARY.encode(first), eos]
        if second is not None:
            expected += [*VOCABULARY.encode(second), eos]
        assert features[number].tolist() == expected


@given(SENTENCES, SENTENCES, st.integers(6, 40))
def test_a_pair_of_one_separator_is_cut_by_the_same_rule(first, second, max_length):
    two = tokenise([pair(first, second)], VOCABULARY, max_length)
    one = tokenise([pair(first, second)], VOCABULARY, max_length - 1, BERT_PAIRS)
    assert one.dropped_tokens == two.dropped_tokens
    eos = VOCABULARY.eos_id
    (place,) = np.flatnonzero((two[0][:-1] == eos) & (two[0][1:] == eos))
    assert one[0].tolist() == np.delete(two[0], place).tolist()


def test_a_fingerprint_covers_the_form_of_pairs_alone():
    single, double = TaskInput((Segment((Piece("a"),)),), 0, 0), pair("a", "b")
    for inputs, count in (([single], 1), ([single, double], 3)):
        forms = (ROBERTA_PAIRS, BERT_PAIRS, PairForm(1, typed=False))
        marks = [features_fingerprint(inputs, VOCABULARY, 20, form) for form in forms]
        assert len(set(marks)) == count
        assert marks[0] == features_fingerprint(inputs, VOCABULARY, 20)
        assert [tokenise(inputs, VOCABULARY, 20, f).fingerprint for f in forms] == marks


@given(st.lists(st.tuples(SENTENCES, SENTENCES), max_size=4), st.integers(5, 40))
def test_a_vocabulary_that_fills_no_arrays_gives_the_same(pairs, max_length):
    inputs = [pair(*texts) for texts in pairs]
    fast = tokenise(inputs, VOCABULARY, max_length)
    plain = tokenise(inputs, PlainVocabulary(VOCABULARY), max_length)
    for field in dataclasses.fields(fast):
        assert np.array_equal(getattr(fast, field.name), getattr(plain, field.name))


@given(SENTENCES, SENTENCES, st.integers(5, 60))
def test_what_is_cut_is_counted(first, second, max_length):
    whole = tokenise([pair(first, second)], VOCABULARY, 10_000)
    cut = tokenise([pair(first, second)], VOCABULARY, max_length)
    assert cut.lengths[0] == min(max_length, whole.lengths[0])
    assert cut.dropped_tokens == whole.lengths[0] - cut.lengths[0]
    assert cut.truncated == int(cut.dropped_tokens > 0)
    if cut.lengths[0] - 4 > len(VOCABULARY.encode(second)):
        assert shown(cut[0]).endswith(f"</s></s>{second}</s>"), (
            "the question is cut before the passage"
        )


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(36, 60))
def test_both_spans_and_their_marks_survive(before, between, after, max_length):
    filler = ["rain"]
    words = filler * before + ["the", "cup"] + filler * between + ["it"] + filler * after
    fields = {
        "text": " ".join(words), "span1_text": "the cup", "span1_index": before,
        "span2_text": "it", "span2_index": before + 2 + between,
    }  # fmt: skip
    inputs = make_inputs(get_task("WSC"), [TaskItem(0, fields, "true")], TaskOptions())
    text = shown(tokenise(inputs, VOCABULARY, max_length)[0])
    assert "<mask> the cup<mask>" in text
    assert "<mask> it<mask>" in text


@given(st.integers(0, 40), st.integers(0, 40), st.integers(45, 70))
def test_the_candidate_of_record_and_the_word_of_wic_survive(before, after, max_length):
    query = " ".join(["rain"] * before + ["@placeholder"] + ["rain"] * after)
    fields = {"passage": "the " * 50, "query": query, "entities": ("Ann Bo", "Cy")}
    inputs = make_inputs(get_task("ReCoRD"), [TaskItem(0, fields)], TaskOptions())
    features = tokenise(inputs, VOCABULARY, max_length)
    assert "Ann Bo" in shown(features[0])
    assert "Cy" in shown(features[1])
    sentence = " ".join(["rain"] * before + ["bank"] + ["rain"] * after)
    start = 5 * before
    fields = {
        "word": "bank", "sentence1": sentence, "start1": start, "end1": start + 4,
        "sentence2": sentence, "start2": start, "end2": start + 4,
    }  # fmt: skip
    inputs = make_inputs(get_task("WiC"), [TaskItem(0, fields, "true")], TaskOptions())
    assert shown(tokenise(inputs, VOCABULARY, max_length)[0]).count("bank") == 3


def test_labels_have_the_type_of_their_task():
    assert tokenise([pair("a", "b", 2)], VOCABULARY, 32).labels.dtype == np.int32
    assert tokenise([pair("a", "b", 2.5)], VOCABULARY, 32).labels.dtype == np.float32
    assert tokenise([pair("a", "b", None)], VOCABULARY, 32).labels.tolist() == [NO_LABEL]
    mixed = tokenise([pair("a", "b", -1.0), pair("c", "d", None)], VOCABULARY, 32).labels
    assert mixed[0] == -1
    assert np.isnan(mixed[1]), "-1 is a number"


def test_an_empty_set_is_no_error():
    features = tokenise([], VOCABULARY, 32)
    assert len(features) == 0
    assert features.tokens.shape == (0,)


def test_a_span_longer_than_the_room_is_named():
    kept = TaskInput((Segment((Piece("the rain " * 9, keep=True),)),), 0, item=7)
    with pytest.raises(InputError, match=r"item 7: .*'the rain .* max_length leaves"):
        tokenise([kept], VOCABULARY, 12)
    with pytest.raises(InputError, match="max_length is 4"):
        tokenise([kept], VOCABULARY, 4)


def test_a_fingerprint_tells_everything_apart():
    base = [pair("a", "b"), pair("a", "c", item=1)]
    changed = [
        [pair("a", "b")],
        base[::-1],
        [pair("a", "b", label=1), base[1]],
        [pair("a", "b", item=1), base[1]],
        [pair("ab", ""), base[1]],
        [base[0]._replace(choice=1), base[1]],
        [base[0]._replace(segments=base[0].segments[::-1]), base[1]],
        [TaskInput((Segment((Piece("a", True),), 0), base[0].segments[1]), 0, 0), base[1]],
        [TaskInput((Segment((Piece("a"),), 1), base[0].segments[1]), 0, 0), base[1]],
    ]
    prints = {features_fingerprint(inputs, VOCABULARY, 32) for inputs in [base, *changed]}
    prints.add(features_fingerprint(base, VOCABULARY, 33))
    assert len(prints) == len(changed) + 2
    assert features_fingerprint(list(base), VOCABULARY, 32) in prints


PIECES = st.builds(
    Piece, SENTENCES.map(" {}".format), st.sampled_from([False, False, True]), st.just(False)
)
INPUTS = st.builds(
    TaskInput,
    st.lists(
        st.builds(Segment, st.lists(PIECES, min_size=1, max_size=3).map(tuple), st.integers(0, 1)),
        min_size=1,
        max_size=2,
    ).map(tuple),
    st.sampled_from([None, 0, 1]),
    st.integers(0, 3),
    st.integers(0, 9),
)


@given(st.lists(INPUTS, max_size=6), st.integers(5, 60))
def test_a_sequence_does_not_depend_on_what_else_is_in_the_set(inputs, max_length):
    fitting = []
    for one in inputs:
        kept = sum(len(VOCABULARY.encode(p.text)) for s in one.segments for p in s.pieces if p.keep)
        if kept + 2 * len(one.segments) <= max_length:
            fitting.append(one)
    together = tokenise(fitting, VOCABULARY, max_length)
    alone = [tokenise([one], VOCABULARY, max_length) for one in fitting]
    assert [row.tolist() for row in together] == [one[0].tolist() for one in alone]
    assert together.truncated == sum(one.truncated for one in alone)
    assert together.dropped_tokens == sum(one.dropped_tokens for one in alone)
    assert together.lengths.tolist() == [len(one[0]) for one in alone]
    assert all(len(row) <= max_length for row in together)


def test_several_labels_are_rows():
    def made(labels):
        inputs = [TaskInput((Segment((Piece(f"text {n}"),)),), x, n) for n, x in enumerate(labels)]
        return tokenise(inputs, VOCABULARY, 40)

    features = made([(1.0, 0.0, 1.0), None, (0.0, 0.0, 0.0)])
    assert features.labels.dtype == np.float32
    assert features.labels.tolist() == [[1, 0, 1], [-1, -1, -1], [0, 0, 0]]
    assert made([None, None]).labels.tolist() == [-1, -1]
    other = made([(1.0, 0.0, 1.0), None, (0.0, 0.0, 1.0)])
    assert features.fingerprint != other.fingerprint


@given(st.one_of(SENTENCES, SENTENCES.map(" {}".format), st.sampled_from(["", " ", "  two", "\n"])))
@pytest.mark.parametrize("vocabulary", [VOCABULARY, PlainVocabulary(VOCABULARY)])
@pytest.mark.parametrize("pairs", [ROBERTA_PAIRS, BERT_PAIRS])
@pytest.mark.parametrize("max_length", [6, 10_000])
def test_one_text_without_a_fingerprint_has_the_same_features(vocabulary, pairs, max_length, text):
    inputs = [TaskInput((Segment((Piece(text),)),), None, 3, 2)]
    expected = tokenise(inputs, vocabulary, max_length, pairs)
    found = tokenise(inputs, vocabulary, max_length, pairs, has_fingerprint=False)
    assert expected.fingerprint
    assert not found.fingerprint
    for field in dataclasses.fields(found):
        ours, theirs = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(ours, np.ndarray):
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)
        elif field.name != "fingerprint":
            assert ours == theirs, field.name


def test_one_input_of_another_form_is_tokenised_without_a_fingerprint():
    masked = (Piece("the "), Piece("<mask>", is_mask=True), Piece(" rain"))
    for one in (pair("the rain", "is old"), TaskInput((Segment(masked),), None, 0)):
        expected = tokenise([one], VOCABULARY, 100)
        found = tokenise([one], VOCABULARY, 100, has_fingerprint=False)
        np.testing.assert_array_equal(found.tokens, expected.tokens)
