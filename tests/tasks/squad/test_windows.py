"""Windows of passages: by hand, against a second implementation, and on real questions.

A comparison with Hugging Face's conversion (Transformers 2.4.1 with its slow tokenizers, window
sizes 384/128/64 and 64/16/20, XQuAD's 1,190 questions and 240 made impossible) found ids, types,
maximum contexts, words and, with BERT's vocabulary, spans equal in all 13,939 windows. Two
differences are intended. With RoBERTa's vocabulary, that conversion compares an answer's tokens
without the space in front of the first word, never finds them and keeps punctuation behind the
answer; here both forms are tried. And with a stride longer than the window that conversion leaves
out a part of the context; here windows then follow each other.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.errors import InputError
from bort.tasks.features import NO_LABEL, TooLittleRoom
from bort.tasks.squad.config import SpanOptions
from bort.tasks.squad.windows import (
    Window,
    make_span_features,
    maximum_context,
    windows_of,
)
from bort.text.examples import ExampleSource
from bort.text.pair_form import BERT_PAIRS, ROBERTA_PAIRS, PairForm
from bort.text.sentencepiece_vocabulary import SentencePieceConfig, train_sentencepiece
from tests.tasks.squad.squad_questions import (
    BERT,
    maximum_context_of,
    question,
    real_questions,
    real_vocabulary,
    text_of_gold,
)
from tests.text.tiny_vocabulary import TEXT, tiny_vocabulary

DEFAULTS = SpanOptions()
BYTES = tiny_vocabulary()
SIZES = st.tuples(st.integers(0, 60), st.integers(1, 20), st.integers(1, 25))


@pytest.mark.parametrize(
    ("count", "room", "stride", "expected"),
    [
        (500, 361, 128, [(0, 361), (128, 361), (256, 244)]),
        (361, 361, 128, [(0, 361)]),
        (362, 361, 128, [(0, 361), (128, 234)]),
        (0, 361, 128, [(0, 0)]),
        (1, 1, 1, [(0, 1)]),
        (5, 2, 7, [(0, 2), (2, 2), (4, 1)]),
    ],
)
def test_windows_by_hand(count, room, stride, expected):
    assert windows_of(count, room, stride) == [Window(*one) for one in expected]


@given(SIZES)
def test_windows_cover_a_context(sizes):
    count, room, stride = sizes
    windows = windows_of(count, room, stride)
    covered = {place for start, length in windows for place in range(start, start + length)}
    assert covered == set(range(count))
    assert all(length <= room for _, length in windows)
    assert windows[-1].start + windows[-1].length == count
    assert all(start + length < count for start, length in windows[:-1])
    assert {b.start - a.start for a, b in zip(windows, windows[1:])} <= {min(room, stride)}


@given(SIZES)
def test_the_maximum_context_is_the_definition_s(sizes):
    count, room, stride = sizes
    windows = windows_of(count, room, stride)
    chosen = maximum_context(windows, count)
    for piece in range(count):
        scores = [
            min(piece - start, start + length - 1 - piece) + 0.01 * length
            if start <= piece < start + length
            else -1.0
            for start, length in windows
        ]
        assert chosen[piece] == scores.index(max(scores))


def test_a_window_by_hand():
    items = [
        question("the new hotel, york", "hotel", text="New hotel ?", index="a"),
        question("the hotel", text="the?", index="b"),
        question("the hotel", "hotel", text="the?", index="c", known=False),
    ]
    features = make_span_features(items, BERT, BERT_PAIRS, DEFAULTS, 20)
    rows = [[BERT.token_of(one) for one in features[n].tolist()] for n in range(len(features))]
    assert rows[0] == "[CLS] new hotel ? [SEP] the new hotel , york [SEP]".split()
    assert rows[1] == rows[2] == "[CLS] the ? [SEP] the hotel [SEP]".split()
    assert features.labels.tolist() == [[7, 7], [0, 0], [NO_LABEL, NO_LABEL]]
    assert features.starts.tolist() == features.ends.tolist() == [7, 0, NO_LABEL]
    assert (features.context_begins.tolist(), features.context_ends.tolist()) == (
        [5, 4, 4], [10, 6, 6],
    )  # fmt: skip
    assert features.lengths.tolist() == [11, 7, 7]
    assert features.item_numbers.tolist() == [0, 1, 2]
    assert features.first_pieces.tolist() == [0, 5, 5], "equal contexts are cut once"
    assert features.type_separator == BERT.eos_id
    assert BERT_PAIRS.token_types(BERT, features[0].tolist()) == [0] * 5 + [1] * 6
    assert features.is_maximum_context.all()
    source: ExampleSource = features
    assert source.vocabulary_fingerprint == BERT.fingerprint
    with pytest.raises(IndexError, match="input 3, allowed are 0 to 2"):
        features[3]


def test_two_separators_take_a_token_of_the_context():
    (item,) = items = [question("a b c d e f g h", "e", text="a")]
    one = make_span_features(items, BYTES, PairForm(1, False), SpanOptions(doc_stride=2), 9)
    two = make_span_features(items, BYTES, ROBERTA_PAIRS, SpanOptions(doc_stride=2), 9)
    assert (one.context_begins[0], two.context_begins[0]) == (3, 4)
    assert (one.context_ends[0], two.context_ends[0]) == (8, 8)
    asked = BYTES.encode("a")
    assert two[0].tolist()[: len(asked) + 3] == [
        BYTES.bos_id, *asked, BYTES.eos_id, BYTES.eos_id,
    ]  # fmt: skip
    assert two.type_separator is None
    assert {text_of_gold(items, two, w) for w in range(len(two)) if two.starts[w]} == {"e"}
    assert item.text("context").startswith("a")


def test_long_questions_are_cut_and_counted():
    items = [question("the hotel", "the", text="new york hotel ?"), question("the", text="a ?")]
    options = SpanOptions(max_query_length=3)
    features = make_span_features(items, BERT, BERT_PAIRS, options, 20)
    assert [BERT.token_of(one) for one in features[0].tolist()[:5]] == [
        "[CLS]", "new", "york", "hotel", "[SEP]",
    ]  # fmt: skip
    assert (features.truncated, features.dropped_tokens) == (1, 1)


def test_a_window_without_the_whole_answer_has_no_answer():
    items = [question("a b c d e f", "c d", text="a")]
    options = SpanOptions(doc_stride=1)
    features = make_span_features(items, BERT, BERT_PAIRS, options, 7)
    found = [
        text_of_gold(items, features, w) if start else "" for w, start in enumerate(features.starts)
    ]
    assert found == ["", "c d", "c d", ""]
    assert [maximum_context_of(features, w) for w in range(4)] == [
        [True, True, False], [False, True, False], [False, True, False], [False, True, True],
    ]  # fmt: skip


def test_training_leaves_out_answers_that_are_not_there(caplog):
    items = [
        question("the hotel", "hotel", index="a"),
        question("the hotel", "york", index="b", starts=[4]),
        question("the hotel", index="c"),
    ]
    features = make_span_features(items, BERT, BERT_PAIRS, DEFAULTS, 20, training=True)
    assert features.item_numbers.tolist() == [0, 2]
    assert features.skipped == 1
    assert "1 of 3 answers are not at their offsets: left out" in caplog.text
    whole = make_span_features(items, BERT, BERT_PAIRS, DEFAULTS, 20)
    assert whole.item_numbers.tolist() == [0, 1, 2]
    assert whole.labels[1].tolist() == [0, 0]
    with pytest.raises(InputError, match="question q: has no label to train on"):
        make_span_features(
            [question("the", known=False)], BERT, BERT_PAIRS, DEFAULTS, 20, training=True
        )


def test_a_question_that_leaves_no_room_is_named():
    expected = (
        "item 0: question q: its 5 tokens and 3 special tokens leave no room for the passage: "
        "max_length is 5, allowed is at least 9"
    )
    with pytest.raises(TooLittleRoom, match=expected):
        make_span_features([question("the hotel")], BERT, BERT_PAIRS, DEFAULTS, 5)
    assert len(make_span_features([question("the hotel")], BERT, BERT_PAIRS, DEFAULTS, 9)) == 2


@pytest.mark.parametrize(
    "context",
    [
        "",
        "   ",
        "\u0001",
        "\U0001f642\U0001f469\u200d\U0001f52c",
        "من هو؟ كتب",
        "東京都に住む",
        "\ufffd",
        "e\u0301",
    ],
)
@pytest.mark.parametrize("asked", ["", " \t", "\U0001f642?", "東京?"])
@pytest.mark.parametrize("vocabulary", ["wordpiece", "bytes", "sentencepiece"])
def test_unusual_texts_have_windows(vocabulary, context, asked, sentencepiece):
    chosen = {"wordpiece": BERT, "bytes": BYTES, "sentencepiece": sentencepiece}[vocabulary]
    pairs = BERT_PAIRS if vocabulary == "wordpiece" else ROBERTA_PAIRS
    items = [question(context, context, text=asked, starts=[0])]
    features = make_span_features(items, chosen, pairs, DEFAULTS, 64)
    assert len(features) >= 1
    if features.starts[0] > 0:
        assert text_of_gold(items, features, 0) in context


@pytest.fixture(scope="module")
def sentencepiece():
    settings = SentencePieceConfig(vocabulary_size=400, model_type="bpe")
    return train_sentencepiece(TEXT.splitlines(), settings)


def test_sentencepiece_finds_answers(sentencepiece):
    context = 'They found 12 letters and a key — "the key," she said, in Städte.'
    for answer in ("12 letters", "a key", "Städte", "she said"):
        items = [question(context, answer)]
        features = make_span_features(items, sentencepiece, ROBERTA_PAIRS, DEFAULTS, 128)
        assert answer in text_of_gold(items, features, 0)
        assert len(text_of_gold(items, features, 0)) <= len(answer) + 2


def test_everything_counts_in_the_fingerprint():
    base = [question("the hotel", "hotel")]

    def print_of(items=base, vocabulary=BERT, pairs=BERT_PAIRS, max_length=20, **options):
        training = options.pop("training", False)
        made = make_span_features(
            items, vocabulary, pairs, SpanOptions(**options), max_length, training
        )
        return made.fingerprint

    others = [
        print_of([question("the hotels", "hotel")]),
        print_of([question("the hotel", "the")]),
        print_of([question("the hotel", "hotel", text="who?")]),
        print_of([question("the hotel", "hotel", index="other")]),
        print_of([question("the hotel", "hotel", starts=[3])]),
        print_of(vocabulary=BYTES),
        print_of(pairs=ROBERTA_PAIRS),
        print_of(max_length=21),
        print_of(doc_stride=5),
        print_of(max_query_length=5),
        print_of(training=True),
    ]
    assert len({print_of(), *others}) == 12
    assert print_of() == print_of(n_best_size=3, max_answer_length=2, null_score_threshold=1.0)


def test_real_questions_keep_their_answers(shared_data: Path):
    """With bytes, a token may hold the bracket or full stop behind an answer as well."""
    items = real_questions(shared_data)
    vocabulary = real_vocabulary(shared_data)
    options = SpanOptions(doc_stride=64)
    features = make_span_features(items, vocabulary, ROBERTA_PAIRS, options, 128, training=True)
    assert features.skipped == 0
    found = {
        int(features.item_numbers[w]): text_of_gold(items, features, w)
        for w in np.flatnonzero(features.starts)
    }
    exact = [items[number].label[0] == text for number, text in found.items()]
    assert len(found) >= 0.99 * len(items)
    assert all(items[number].label[0] in text for number, text in found.items())
    assert np.mean(exact) > 0.98
    assert features.lengths.max() == 128
