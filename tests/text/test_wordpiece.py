"""Tests of WordPiece, against Hugging Face's tokenizer where it is installed."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any, Tuple

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bort.errors import InputError
from bort.formats.huggingface.tokenizer import write_tokenizer
from bort.text.fast_tokenizer import FastTokenizer
from bort.text.vocabularies import load_vocabulary
from bort.text.wordpiece import wordpiece_vocabulary
from tests.formats.huggingface.hard_texts import hard_texts, without_surrogates

SIGNS = [*"abcdefghijklmnopqrstuvwxyzABEST0123456789", *"äßéабв東京!?.,-'$"]
PIECES = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *SIGNS,
    *("##" + sign for sign in SIGNS),
    *("the", "rain", "##ed", "##ing", "Ber", "##lin"),
]
# Characters of Unicode 7 and before, which all Unicode tables treat alike.
OLD = (
    st.lists(
        st.sampled_from(["the", " ", "rained", "raining", "Berlin", "\u00c9", "e\u0301", "\u00a0"])
        | st.characters(max_codepoint=0x530)
        | st.sampled_from("東京\u3000\u2028\u200b\ufffd\x00—“”…"),
        max_size=20,
    )
    .map("".join)
    .filter(lambda text: "[" not in text)
)


@pytest.fixture(scope="module", params=[True, False])
def both(request: Any) -> Tuple[FastTokenizer, Any]:
    import tokenizers

    vocabulary = wordpiece_vocabulary(PIECES, request.param, "here")
    exported = tokenizers.Tokenizer.from_str(json.dumps(vocabulary.content))
    return vocabulary, exported


def test_the_longest_pieces_from_left_to_right() -> None:
    vocabulary = wordpiece_vocabulary(PIECES, True, "here")
    names = [vocabulary.token_of(i) for i in vocabulary.encode("The RAINING rained, 東 Ω é")]
    assert names == ["the", "rain", "##ing", "rain", "##ed", ",", "東", "[UNK]", "e"]
    assert vocabulary.encode("x" * 101) == [vocabulary.unk_id]
    assert vocabulary.decode(vocabulary.encode("the raining")) == "the raining"
    assert vocabulary.encode("") == vocabulary.encode(" \t\u3000") == []
    cased = wordpiece_vocabulary(PIECES, False, "here")
    assert [cased.token_of(i) for i in cased.encode("Berlin")] == ["Ber", "##lin"]
    assert cased.fingerprint != vocabulary.fingerprint


def test_arrays_agree_with_lists() -> None:
    vocabulary = wordpiece_vocabulary(PIECES, True, "here")
    texts = ["the rain", "", "rained!"]
    flat, counts = vocabulary.encode_flat(texts, space_in_front=True)
    assert flat.tolist() == sum(vocabulary.encode_batch(texts), [])
    np.testing.assert_array_equal(counts, [2, 0, 3])
    assert len(vocabulary.special_ids) == 5


@pytest.mark.parity("tokenizers")
@given(text=OLD)
@example(text="\u0130stanbul ǅ ﬁ")
def test_hugging_face_gives_the_same_ids(both: Tuple[FastTokenizer, Any], text: str) -> None:
    vocabulary, exported = both
    if any(unicodedata.category(sign) == "Cn" for sign in text):
        return
    assert list(exported.encode(text, add_special_tokens=False).ids) == vocabulary.encode(text)


@pytest.mark.parity("tokenizers")
@given(text=hard_texts(largest_code=0x530))
@example(text="the\ud83d\ude00rain \ud83d \ude00 \ufffd")
@example(text="a" * 100 + " " + "a" * 101)
def test_hard_texts_too(both: Tuple[FastTokenizer, Any], text: str) -> None:
    vocabulary, exported = both
    if "[" not in text and not any(unicodedata.category(sign) == "Cn" for sign in text):
        theirs = exported.encode(without_surrogates(text), add_special_tokens=False).ids
        assert list(theirs) == vocabulary.encode(text)


@pytest.mark.parametrize("lower_case", [True, False])
def test_folders_come_back(lower_case: bool, tmp_path: Path) -> None:
    vocabulary = wordpiece_vocabulary(PIECES, lower_case, "here")
    write_tokenizer(tmp_path / "mine", vocabulary, 64)
    assert load_vocabulary(tmp_path / "mine").fingerprint == vocabulary.fingerprint
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="whether vocab.txt is uncased"):
        load_vocabulary(theirs)
    settings = json.dumps({"do_lower_case": lower_case})
    (theirs / "tokenizer_config.json").write_text(settings, encoding="utf-8")
    assert load_vocabulary(theirs).fingerprint == vocabulary.fingerprint


def test_bad_vocabularies_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\[MASK\] is missing"):
        wordpiece_vocabulary([piece for piece in PIECES if piece != "[MASK]"], True, "here")
    (tmp_path / "vocab.txt").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"vocab\.txt line 1: byte 0xff is not valid UTF-8"):
        load_vocabulary(tmp_path)


def test_what_version_0_2_0_saved_is_loaded_whatever_its_lines(tmp_path: Path) -> None:
    pieces = [*PIECES, "", "two words", "end "]
    saved = wordpiece_vocabulary(pieces, True, "here")
    saved.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("vocab.txt", "vocabulary.json", "wordpiece.json")
    ]
    again = load_vocabulary(tmp_path)
    assert [again.token_of(number) for number in range(len(again))] == pieces
    assert again.fingerprint == saved.fingerprint
    assert not again.pair_recorded
