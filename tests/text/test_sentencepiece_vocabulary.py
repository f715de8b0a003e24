"""Tests of SentencePiece: any language, deterministic training, lossless round trips."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.errors import InputError
from bort.text.long_lines import split_line
from bort.text.sentencepiece_vocabulary import (
    SentencePieceConfig,
    SentencePieceVocabulary,
    draw_sentences,
    read_sentencepiece,
    train_sentencepiece,
)
from bort.text.vocabulary import SPECIAL_TOKENS
from tests.text.tiny_vocabulary import TEXT

SENTENCES = TEXT.strip().split("\n") * 3
IDENTITY = SentencePieceConfig(vocabulary_size=340, normalization="identity")
VOCABULARY = train_sentencepiece(SENTENCES, IDENTITY)


@pytest.mark.parametrize(("model_type", "size"), [("unigram", 340), ("bpe", 340), ("word", 40)])
def test_every_kind_has_the_fixed_ids_and_repeats_itself(model_type, size):
    config = SentencePieceConfig(
        vocabulary_size=size, model_type=model_type, byte_fallback=model_type != "word"
    )
    vocabulary = train_sentencepiece(SENTENCES, config)
    assert [vocabulary.token_of(i) for i in range(5)] == list(SPECIAL_TOKENS)
    assert vocabulary.special_ids == (0, 1, 2, 3, 4)
    assert len(vocabulary) == size
    assert train_sentencepiece(SENTENCES, config).fingerprint == vocabulary.fingerprint
    assert vocabulary.decode(vocabulary.encode("The rain had")) == "The rain had"


DRAW = """
import hashlib, sys
from bort.text.sentencepiece_vocabulary import SentencePieceConfig, train_sentencepiece
sentences = [f"the {number} of {number * number} words" for number in range(400)]
config = SentencePieceConfig(
    vocabulary_size=300, maximum_sentences=150, random_seed=int(sys.argv[1])
)
print(train_sentencepiece(sentences, config).fingerprint)
"""


def test_a_draw_of_sentences_is_the_same_in_every_process_and_depends_on_the_seed():
    root = Path(__file__).resolve().parents[2]

    def trained(seed: int) -> str:
        command = [sys.executable, "-c", DRAW, str(seed)]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
        return done.stdout

    assert trained(3) == trained(3) != trained(4)


def test_sentences_are_drawn_uniformly_and_kept_in_order_when_they_are_few():
    few = ["a", "b", "c"]
    assert list(draw_sentences(few, 3, 0)) == few
    counts = Counter(
        sentence
        for seed in range(2000)
        for sentence in draw_sentences(map(str, range(10)), 4, seed)
    )
    assert sum(counts.values()) == 8000
    # 800 expected of each; the standard deviation is 22.
    assert all(abs(counts[str(number)] - 800) < 110 for number in range(10))


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\u2581")))
def test_byte_fallback_loses_nothing_but_surplus_spaces(text):
    ids = VOCABULARY.encode(text)
    assert not set(ids) & set(VOCABULARY.special_ids)
    assert VOCABULARY.decode(ids) == " ".join(filter(None, text.split(" ")))


@given(st.lists(st.text(max_size=20), max_size=4))
def test_batches_and_arrays_say_the_same(texts):
    one_by_one = [VOCABULARY.encode(text) for text in texts]
    assert VOCABULARY.encode_batch(texts) == one_by_one
    for space in (False, True):
        flat, counts = VOCABULARY.encode_flat(texts, space_in_front=space)
        assert counts.tolist() == [len(ids) for ids in one_by_one]
        assert flat.tolist() == [i for ids in one_by_one for i in ids]
    for text, ids in zip(texts, one_by_one):
        assert VOCABULARY.encode(" " + text) == ids
        assert VOCABULARY.drop_space(text, np.array(ids)).tolist() == ids


def test_normalisation_is_what_is_stated():
    folded = train_sentencepiece(SENTENCES, SentencePieceConfig(vocabulary_size=340))
    for text in ("ﬁne", "Ｔｈｅ", "①"):
        assert folded.decode(folded.encode(text)) == unicodedata.normalize("NFKC", text)
        assert VOCABULARY.decode(VOCABULARY.encode(text)) == text


def test_special_names_and_surrogates_in_text_are_text():
    for name in SPECIAL_TOKENS:
        assert VOCABULARY.decode(VOCABULARY.encode(f"a {name} b")) == f"a {name} b"
    assert VOCABULARY.decode(VOCABULARY.encode("a\ud800b")) == "a\ufffdb"


def test_without_byte_fallback_unseen_characters_are_unknown():
    config = SentencePieceConfig(vocabulary_size=85, byte_fallback=False)
    assert train_sentencepiece(SENTENCES, config).encode("☃")[-1] == 3


def test_words_and_characters_begin_where_they_begin():
    ids = VOCABULARY.encode("the rain")
    begins = VOCABULARY.starts_word[ids]
    assert begins[0]
    assert begins.sum() == 2
    assert VOCABULARY.starts_character[VOCABULARY.encode("☃")].tolist()[-3:] == [True, False, False]


def test_saved_and_pickled_is_the_same(tmp_path):
    VOCABULARY.save(tmp_path)
    for other in (
        read_sentencepiece(tmp_path / "sentencepiece.model"),
        pickle.loads(pickle.dumps(VOCABULARY)),
    ):
        assert other.fingerprint == VOCABULARY.fingerprint
        assert other.encode(TEXT) == VOCABULARY.encode(TEXT)


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_too_small_a_corpus_says_what_would_do(model_type):
    config = SentencePieceConfig(vocabulary_size=30000, model_type=model_type)
    with pytest.raises(InputError, match=r"vocabulary_size is 30000.*too small.*at most \d+"):
        train_sentencepiece(SENTENCES, config)


def test_too_small_a_size_and_no_text_are_refused():
    with pytest.raises(InputError, match="has more characters"):
        train_sentencepiece(SENTENCES, SentencePieceConfig(vocabulary_size=12, byte_fallback=False))
    with pytest.raises(InputError, match="no sentence"):
        train_sentencepiece(["", "  "], SentencePieceConfig(vocabulary_size=300))
    with pytest.raises(InputError, match="at least 262"):
        SentencePieceConfig(vocabulary_size=200)
    with pytest.raises(InputError, match="word model does not"):
        SentencePieceConfig(model_type="word")


def test_foreign_and_damaged_models_are_named(tmp_path):
    import io

    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_writer=model, vocab_size=80, minloglevel=2
    )
    with pytest.raises(InputError, match="t5.model: the special token <pad> is missing"):
        SentencePieceVocabulary(model.getvalue(), "t5.model")
    (tmp_path / "x.model").write_bytes(b"nonsense" * 9)
    with pytest.raises(InputError, match="x.model: is not a SentencePiece model"):
        read_sentencepiece(tmp_path / "x.model")
    with pytest.raises(InputError, match="y.model: cannot be read"):
        read_sentencepiece(tmp_path / "y.model")


RUSSIAN = "\u043f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440 \u043a\u043e\u0448\u043a\u0430"


def test_long_lines_count_and_what_happens_to_lines_is_said(caplog):
    config = SentencePieceConfig(vocabulary_size=330)
    long_line = " ".join([RUSSIAN] * 300)
    vocabulary = train_sentencepiece([*SENTENCES, long_line, "a\u2585b"], config)
    assert any("\u043f" in vocabulary.token_of(i) for i in range(len(vocabulary)))
    messages = [record.message for record in caplog.records]
    assert messages[0].startswith("1 lines are longer than 4192 bytes")
    assert messages[1].startswith("1 lines hold U+2585")
    caplog.clear()
    few = SentencePieceConfig(vocabulary_size=330, maximum_sentences=101)
    train_sentencepiece(SENTENCES * 60, few)
    drawn = f"the corpus has {60 * len(SENTENCES)} sentences: maximum_sentences, 101, are drawn"
    assert [record.message.startswith(drawn) for record in caplog.records] == [True]


def test_a_long_line_gives_the_vocabulary_of_its_parts():
    config = SentencePieceConfig(vocabulary_size=276)
    line = " ".join([RUSSIAN] * 400)
    parts = list(split_line(line, 4192))
    assert len(parts) > 2
    assert train_sentencepiece([line], config).model == train_sentencepiece(parts, config).model


def test_short_lines_give_the_bits_that_they_gave_in_version_0_2_0():
    model = train_sentencepiece(SENTENCES, SentencePieceConfig(vocabulary_size=340)).model
    library = pytest.importorskip("sentencepiece")
    stream = io.BytesIO()
    library.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES),
        model_writer=stream,
        model_type="unigram",
        vocab_size=340,
        byte_fallback=True,
        normalization_rule_name="nmt_nfkc",
        character_coverage=0.9995,
        input_sentence_size=2_000_000,
        **{"bos_id": 0, "pad_id": 1, "eos_id": 2, "unk_id": 3},
        **{"bos_piece": "<s>", "pad_piece": "<pad>", "eos_piece": "</s>", "unk_piece": "<unk>"},
        control_symbols=["<mask>"],
        unk_surface="",
        num_threads=1,
        minloglevel=2,
    )
    assert model == stream.getvalue()


@pytest.mark.parametrize(
    ("lines", "size", "message"),
    [
        (["\u200b"], 300, "holds no sentence"),
        (["\u2585", ""], 300, "holds no sentence"),
        (["a b"], 300, "is too small for it: allowed is at most"),
        (["abcdefghij"], 262, "has more characters: raise it to at least 272"),
    ],
)
def test_no_message_of_the_library_itself_reaches_the_user(lines, size, message):
    with pytest.raises(InputError, match=message) as caught:
        train_sentencepiece(lines, SentencePieceConfig(vocabulary_size=size))
    assert "INTERNAL" not in str(caught.value)


def test_pieces_that_are_not_utf_8_are_named():
    model = VOCABULARY.model
    place = model.index(b"<mask>")
    for damaged in (model[:place] + b"<m\xb2sk>" + model[place + 6 :], model[:-50] + b"\xff" * 50):
        with pytest.raises(InputError, match="here: is "):
            SentencePieceVocabulary(damaged, "here")


def test_long_rows_of_a_character_are_shortened(caplog: pytest.LogCaptureFixture) -> None:
    config = SentencePieceConfig(vocabulary_size=290)
    words = ["the cat sat on the mat", "a dog ran to the cat"] * 20
    short = train_sentencepiece([*words, "x" * 256, "- " + "京" * 256], config)
    assert "in a row" not in caplog.text
    # Rows of a million take the library days.
    long = train_sentencepiece([*words, "x" * 1_000_000, "- " + "京" * 1_000_000], config)
    assert long.fingerprint == short.fingerprint
    assert "2 lines repeat a character more than 256 times in a row" in caplog.text
