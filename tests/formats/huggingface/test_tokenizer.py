"""Exported tokenizers give the ids of this toolkit for any text."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any, List, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bort.errors import InputError
from bort.formats.huggingface.character_map import characters_that_become
from bort.formats.huggingface.sentencepiece_json import (
    read_model,
    sentencepiece_tokenizer,
)
from bort.formats.huggingface.tokenizer import byte_bpe_tokenizer, write_tokenizer
from bort.text.sentencepiece_vocabulary import SentencePieceConfig, train_sentencepiece
from bort.text.vocabularies import load_vocabulary
from bort.text.vocabulary import SPECIAL_TOKENS
from tests.formats.huggingface.hard_texts import hard_texts, without_surrogates
from tests.text.tiny_vocabulary import TEXT, tiny_vocabulary

PROJECT_ROOT = Path(__file__).resolve().parents[3]

# A special token's name inside a text is that token to Hugging Face's reader, and text to ours.
TEXTS = st.text(max_size=60).filter(lambda text: not any(name in text for name in SPECIAL_TOKENS))
MIXED = (
    st.lists(
        st.sampled_from(
            [" ", "  ", "\n", "\t", "'s", "'ll", "the", " rain", "Stra\u00dfe", "12", "\u00a0"]
        )
        | st.characters(exclude_categories=("Cs",)),
        max_size=30,
    )
    .map("".join)
    .filter(lambda text: not any(name in text for name in SPECIAL_TOKENS))
)
KINDS = {
    "bpe": {"model_type": "bpe", "vocabulary_size": 500},
    "bpe, no bytes": {"model_type": "bpe", "byte_fallback": False, "vocabulary_size": 250},
    "unigram": {"model_type": "unigram", "vocabulary_size": 500},
    "unigram, no bytes": {"byte_fallback": False, "vocabulary_size": 250},
    "bpe, as it is": {"model_type": "bpe", "normalization": "identity", "vocabulary_size": 500},
    "unigram, as it is": {"normalization": "identity", "vocabulary_size": 500},
    "unigram, plain NFKC": {"normalization": "nfkc", "vocabulary_size": 500},
}


class Pair(NamedTuple):
    """A model and its export; shown by its kind in a failure."""

    model: Any
    exported: Any
    kind: str

    def __repr__(self) -> str:
        return self.kind


def trained(**settings: Any) -> Any:
    """Return a SentencePiece model of this toolkit's English and some words of other languages."""
    english = PROJECT_ROOT / "test_data" / "generated_english_sample.txt"
    lines = english.read_text(encoding="utf-8").splitlines()[:600] + TEXT.splitlines() * 4
    settings.setdefault("vocabulary_size", 500)
    return train_sentencepiece(lines, SentencePieceConfig(**settings))


@pytest.fixture(scope="module")
def vocabulary() -> Any:
    return tiny_vocabulary()


@pytest.fixture(scope="module")
def exported(vocabulary: Any) -> Any:
    import tokenizers

    return tokenizers.Tokenizer.from_str(json.dumps(byte_bpe_tokenizer(vocabulary)))


@pytest.fixture(scope="module", params=sorted(KINDS))
def sentencepiece(request: Any) -> Any:
    import tokenizers

    model = trained(**KINDS[request.param])
    content, notes = sentencepiece_tokenizer(model.model)
    assert len(notes) == 1
    return Pair(model, tokenizers.Tokenizer.from_str(json.dumps(content)), request.param)


def plain(tokenizer: Any, text: str) -> List[int]:
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


def names_special_token(text: str) -> bool:
    return any(name in text for name in SPECIAL_TOKENS)


@pytest.mark.parity("tokenizers")
@given(text=TEXTS | MIXED)
@example(text="")
@example(text="\x00\x85\u2028 \u3000 it's 'LL")
@example(text="e\u0301 \U0001f469\u200d\U0001f680")
def test_byte_bpe_gives_our_ids(vocabulary: Any, exported: Any, text: str) -> None:
    assert plain(exported, text) == vocabulary.encode(text)


@pytest.mark.parity("tokenizers")
@given(text=hard_texts())
@example(text="\ud83d\ude00 \ud83d \ude00\u0301")
def test_byte_bpe_gives_our_ids_for_hard_texts(vocabulary: Any, exported: Any, text: str) -> None:
    if not names_special_token(text):
        assert plain(exported, without_surrogates(text)) == vocabulary.encode(text)


@pytest.mark.parity("tokenizers")
def test_byte_bpe_gives_our_ids_for_every_character(vocabulary: Any, exported: Any) -> None:
    """Ids are the same next to a letter, a digit, a sign and a space, whose kinds matter."""
    codes = [*range(1, 0xD800), *range(0xE000, 0x20000, 3), *range(0x20000, 0x110000, 97)]
    for start in range(0, len(codes), 512):
        text = "".join(
            f"a{chr(code)}1{chr(code)}! {chr(code)}" for code in codes[start : start + 512]
        )
        assert plain(exported, text) == vocabulary.encode(text)


@pytest.mark.parity("tokenizers")
def test_it_puts_our_signs_around_texts_and_pairs(vocabulary: Any, exported: Any) -> None:
    first, second = vocabulary.encode("It rained."), vocabulary.encode("the key")
    bos, eos = vocabulary.bos_id, vocabulary.eos_id
    assert exported.encode("It rained.").ids == [bos, *first, eos]
    pair = exported.encode("It rained.", "the key")
    assert pair.ids == [bos, *first, eos, eos, *second, eos]


@pytest.mark.parity("tokenizers", "transformers")
def test_auto_tokenizer_opens_the_folder(vocabulary: Any, tmp_path: Path) -> None:
    import transformers

    assert write_tokenizer(tmp_path, vocabulary, 128) == []
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(tmp_path))
    text = "It wasn't the old man's key — Städte, привет 12!"
    bos, eos = vocabulary.bos_id, vocabulary.eos_id
    assert tokenizer(text)["input_ids"] == [bos, *vocabulary.encode(text), eos]
    assert set(tokenizer(text)) == {"input_ids", "attention_mask"}
    pair = [bos, *vocabulary.encode("a"), eos, eos, *vocabulary.encode("b"), eos]
    assert tokenizer("a", "b")["input_ids"] == pair
    masked = tokenizer("a <mask> b", add_special_tokens=False)["input_ids"]
    spaced = vocabulary.encode(" b")
    assert masked == [*vocabulary.encode("a"), vocabulary.mask_id, *spaced]
    assert tokenizer.mask_token_id == vocabulary.mask_id
    assert tokenizer.model_max_length == 128
    assert tokenizer.decode(vocabulary.encode(text)) == text
    padded = tokenizer(["a", "a b"], padding=True)
    assert padded["input_ids"][0][-1] == vocabulary.pad_id


@pytest.mark.parity("tokenizers")
def test_roberta_itself_gives_our_ids(shared_data: Path) -> None:
    import tokenizers

    vocabulary = load_vocabulary(shared_data / "roberta_vocab")
    exported = tokenizers.Tokenizer.from_str(json.dumps(byte_bpe_tokenizer(vocabulary)))
    lines = (shared_data / "wikitext-2" / "valid.txt").read_text(encoding="utf-8").splitlines()
    for line in lines[:1500]:
        line = line.replace("<unk>", "?")
        assert plain(exported, line) == vocabulary.encode(line)
    codes = [*range(1, 0xD800), *range(0xE000, 0x20000, 3)]
    for start in range(0, len(codes), 512):
        some = map(chr, codes[start : start + 512])
        text = "".join(f"a{sign}1{sign}! {sign}" for sign in some)
        assert plain(exported, text) == vocabulary.encode(text)


def test_tokenizer_json_comes_back(vocabulary: Any, tmp_path: Path) -> None:
    write_tokenizer(tmp_path, vocabulary, 128)
    assert load_vocabulary(tmp_path).fingerprint == vocabulary.fingerprint
    for name in ("vocab.json", "merges.txt", "vocabulary.json"):
        (tmp_path / name).unlink()
    assert load_vocabulary(tmp_path).fingerprint == vocabulary.fingerprint


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("model", {"type": "WordLevel", "vocab": {}}, "model.type is 'WordLevel'"),
        ("model", {"type": "BPE", "vocab": {}}, "has no merges"),
        ("pre_tokenizer", {"type": "Nothing"}, "is no tokenizer that can be read"),
        ("post_processor", {"type": "ByteLevel"}, "is no tokenizer that can be read"),
        ("post_processor", None, "puts 0 special tokens around a text"),
    ],
)
def test_other_tokenizers_are_refused(
    vocabulary: Any, tmp_path: Path, part: str, value: Any, message: str
) -> None:
    content = {**byte_bpe_tokenizer(vocabulary), part: value}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load_vocabulary(tmp_path)


def in_reach(text: str, kind: str) -> str:
    """Return the text in the form for which the same ids are promised."""
    if "as it is" in kind or "plain" in kind:
        text = text.replace("\u2581", "_")
    if "as it is" in kind:
        return text
    return unicodedata.normalize("NFKC", without_surrogates(text))


@pytest.mark.parity("tokenizers")
@given(text=TEXTS | MIXED)
@example(text="  The  rain\u00a0had\t only\n ceased ")
@example(text="\u2581 \u0085 \u3000")
def test_sentencepiece_gives_our_ids(sentencepiece: Any, text: str) -> None:
    model, exported, kind = sentencepiece
    text = in_reach(text, kind)
    if not names_special_token(text):
        assert plain(exported, text) == model.encode(text)


@pytest.mark.parity("tokenizers")
@given(text=hard_texts())
@example(text="a\ufffd\u034f b\u1680\u0327 c\u200c\u0657 d\x01\u0301 e\x8f\u0301")
@example(text="\ud83d\ude00 \ud83d\u0301 \ude00")
def test_sentencepiece_gives_our_ids_for_hard_texts(sentencepiece: Any, text: str) -> None:
    model, exported, kind = sentencepiece
    text = in_reach(text, kind)
    if not names_special_token(text):
        assert plain(exported, without_surrogates(text)) == model.encode(text)


@pytest.mark.parity("tokenizers")
def test_sentencepiece_gives_our_ids_for_every_character(sentencepiece: Any) -> None:
    model, exported, kind = sentencepiece
    codes = [*range(0x3100), *range(0xF900, 0x10000), *range(0x1F000, 0x1F800)]
    texts = {code: f"a{chr(code)} b" for code in codes if code != 0x2581}
    expected = model.encode_batch(list(texts.values()))
    found = exported.encode_batch(list(texts.values()), add_special_tokens=False)
    differing = [
        code for code, ids, one in zip(texts, expected, found) if list(one.ids) != list(ids)
    ]
    if "as it is" in kind:
        assert differing == []
    else:
        # Combining marks after a letter: composed forms that one side's Unicode tables know.
        assert all(unicodedata.combining(chr(code)) or code > 0x1000 for code in differing)
        assert len(differing) < 30


@pytest.mark.parity("tokenizers", "transformers")
def test_auto_tokenizer_opens_a_sentencepiece_folder(tmp_path: Path) -> None:
    import transformers

    model = trained(model_type="bpe")
    assert len(write_tokenizer(tmp_path, model, 64)) == 1
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(tmp_path))
    text = "They found 12 letters, привет 東京!"
    expected = [model.bos_id, *model.encode(text), model.eos_id]
    assert tokenizer(text)["input_ids"] == expected
    assert tokenizer.decode(expected, skip_special_tokens=True) == model.decode(expected)
    assert tokenizer.mask_token_id == model.mask_id
    assert load_vocabulary(tmp_path).fingerprint == model.fingerprint


@pytest.mark.parametrize(
    ("normalization", "words"),
    [
        ("identity", "all text without U+2581"),
        ("nfkc", "form NFKC without U+2581"),
        ("nmt_nfkc", "form NFKC; elsewhere"),
        ("nmt_nfkc_cf", "form NFKC, capital letters with a combining mark"),
    ],
)
def test_what_is_not_promised_is_said(normalization: str, words: str) -> None:
    _, (note,) = sentencepiece_tokenizer(trained(normalization=normalization).model)
    assert words in note


def test_the_table_of_characters_is_read_with_care() -> None:
    table = read_model(trained().model).character_map
    dropped, spaces = characters_that_become(table, ("", " "))
    assert dropped[:3] == "\x01\x02\x03"
    assert set("\t\n\u200b\u2028\ufffd") <= set(spaces)
    assert not set("a \u200d") & {*dropped, *spaces}
    trie = 4 + int.from_bytes(table[:4], "little")
    for size in (0, 7, trie // 2, trie):
        with pytest.raises(InputError, match="normalisation is"):
            characters_that_become(table[:size], ("",))


def test_a_kind_that_cannot_be_expressed_is_named(tmp_path: Path) -> None:
    model = trained(vocabulary_size=40, model_type="word", byte_fallback=False)
    (note,) = write_tokenizer(tmp_path, model, 64)
    assert "no tokenizer.json" in note
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "sentencepiece.model",
        "vocabulary.json",
    ]
