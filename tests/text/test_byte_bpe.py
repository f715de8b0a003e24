"""Tests of byte-level BPE against its definition and GluonNLP's, and of every file format."""

from __future__ import annotations

import json
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.errors import InputError
from bort.text import byte_bpe
from bort.text.byte_bpe import (
    ByteBPE,
    Entry,
    bytes_of_name,
    bytes_of_names,
    name_of_bytes,
    names_of_bytes,
)
from bort.text.byte_bpe_files import read_byte_bpe, read_fairseq, read_gluonnlp
from bort.text.vocabulary import BOS, EOS, MASK, PAD, SPECIAL_TOKENS, UNK
from tests.text.tiny_vocabulary import TEXT, plain_bpe, tiny_merges, tiny_vocabulary

MERGES = tiny_merges()
VOCABULARY = tiny_vocabulary(MERGES)
ID_OF = {VOCABULARY.token_of(i): i for i in range(len(VOCABULARY))}

# White space of every kind next to words, the difficult cases of the word pattern.
PIECES = st.sampled_from(
    [
        "the",
        " ",
        "  ",
        "\t",
        "\n",
        "\u00a0",
        "\u3000",
        "\x1c",
        "'s",
        "'ll",
        "12",
        "—",
        "<mask>",
        "é",
    ]
)
TEXTS = st.one_of(
    st.lists(PIECES, max_size=12).map("".join),
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=40),
)


@given(TEXTS)
def test_encoding_is_the_definition(text):
    expected = [ID_OF[name_of_bytes(token)] for token in plain_bpe(text, MERGES)]
    assert VOCABULARY.encode(text) == expected
    assert VOCABULARY.encode(text) == expected, "remembered chunks change the answer"


@given(TEXTS)
def test_decoding_gives_the_text_back_and_no_special_token_comes_out(text):
    ids = VOCABULARY.encode(text)
    assert VOCABULARY.decode(ids) == text
    assert not set(ids) & set(VOCABULARY.special_ids)
    assert VOCABULARY.decode([VOCABULARY.bos_id, *ids, VOCABULARY.mask_id]) == text


@given(st.lists(TEXTS, max_size=4))
def test_batches_and_arrays_say_the_same(texts):
    one_by_one = [VOCABULARY.encode(text) for text in texts]
    assert VOCABULARY.encode_batch(texts) == one_by_one
    for space in (False, True):
        flat, counts = VOCABULARY.encode_flat(texts, space_in_front=space)
        expected = [VOCABULARY.encode(" " * space + text) for text in texts]
        assert counts.tolist() == [len(ids) for ids in expected]
        assert flat.tolist() == [i for ids in expected for i in ids]


@given(TEXTS)
def test_dropping_the_space_is_encoding_without_it(text):
    spaced = np.array(VOCABULARY.encode(" " + text), dtype=np.uint16)
    assert VOCABULARY.drop_space(text, spaced).tolist() == VOCABULARY.encode(text)


def test_lone_surrogates_become_replacement_characters_and_pairs_their_character():
    assert VOCABULARY.decode(VOCABULARY.encode("a\ud800 b\udfff c")) == "a\ufffd b\ufffd c"
    assert VOCABULARY.decode(VOCABULARY.encode("\ud83d\ude00")) == "\U0001f600"


def test_special_names_in_text_are_text():
    for name in SPECIAL_TOKENS:
        assert VOCABULARY.decode(VOCABULARY.encode(f"a {name} b")) == f"a {name} b"
    assert VOCABULARY.special_ids == (0, 1, 2, 3, len(VOCABULARY) - 2, len(VOCABULARY) - 1)


def test_words_and_characters_begin_where_they_begin():
    ids = VOCABULARY.encode("The rain 東")
    text = "".join("|" * int(VOCABULARY.starts_word[i]) + VOCABULARY.token_of(i) for i in ids)
    assert text.replace("Ġ", "").split("|")[:2] == ["The", "rain"]
    begins = VOCABULARY.starts_character[VOCABULARY.encode("東")]
    assert begins[0]
    continuation = VOCABULARY.starts_character[[ID_OF[name_of_bytes(bytes([0x9D]))]]]
    assert not continuation[0]


def test_a_full_memory_of_chunks_changes_nothing(monkeypatch):
    monkeypatch.setattr("bort.text.chunk_memory._REMEMBERED", 3)
    vocabulary = tiny_vocabulary(MERGES)
    assert vocabulary.encode_batch(TEXT.split("\n")) == VOCABULARY.encode_batch(TEXT.split("\n"))


def test_saved_pickled_and_foreign_layouts_are_one_vocabulary(tmp_path):
    VOCABULARY.save(tmp_path / "saved")
    saved = read_byte_bpe(tmp_path / "saved")
    copy = pickle.loads(pickle.dumps(VOCABULARY))
    names = [VOCABULARY.token_of(i) for i in range(len(VOCABULARY))]
    (tmp_path / "x.vocab").write_text(json.dumps({"idx_to_token": names, "token_to_idx": {}}))
    gluon = read_gluonnlp(tmp_path / "x.vocab", tmp_path / "saved" / "merges.txt")
    folder = tmp_path / "fairseq"
    folder.mkdir()
    shutil.copy(tmp_path / "saved" / "merges.txt", folder / "vocab.bpe")
    encoder = {name: number for number, name in enumerate(names[4:-2])}
    (folder / "encoder.json").write_text(json.dumps(encoder))
    lines = [f"{number} 1\n" for number in range(len(encoder))]
    (folder / "dict.txt").write_text("".join(lines) + "madeupword0000 0\n")
    for other in (saved, copy, gluon, read_fairseq(folder)):
        assert other.fingerprint == VOCABULARY.fingerprint
        assert other.special_ids == VOCABULARY.special_ids
        assert other.encode(TEXT) == VOCABULARY.encode(TEXT)


@pytest.mark.parametrize("word", ["99999", "9" * 5000])
def test_an_id_that_the_encoder_lacks_is_named(tmp_path, word):
    VOCABULARY.save(tmp_path / "saved")
    shutil.copy(tmp_path / "saved" / "merges.txt", tmp_path / "vocab.bpe")
    names = [VOCABULARY.token_of(i) for i in range(len(VOCABULARY))][4:-2]
    (tmp_path / "encoder.json").write_text(json.dumps({name: n for n, name in enumerate(names)}))
    (tmp_path / "dict.txt").write_text(f"0 1\n{word} 1\n")
    with pytest.raises(InputError, match=r"dict\.txt line 2: .*encoder\.json has no id 999"):
        read_fairseq(tmp_path)


def test_another_numbering_has_another_fingerprint():
    entries = [Entry(VOCABULARY.token_of(i), None) for i in range(4)]
    contents = [bytes([byte]) for byte in range(255, -1, -1)]
    entries += [Entry(name_of_bytes(content), content) for content in contents]
    backwards = ByteBPE([], [*entries, Entry(MASK, None)], "x")
    forwards = ByteBPE([], [*entries[:4], *entries[:3:-1], Entry(MASK, None)], "x")
    assert backwards.fingerprint != forwards.fingerprint


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("merges.txt", "#version: 0.2\nĠ t\nbroken\n", "merges.txt line 3: 'broken'"),
        (
            "merges.txt",
            "#version: 0.2\n\u4e00 t\n",
            "merges.txt line 2: '\u4e00 t' has a character that represents no byte",
        ),
        ("merges.txt", "#version: 0.2\nab c\n", "merge 1, 'ab c', uses an unknown token"),
        ("merges.txt", "#version: 0.2\na b\na b\n", "merge 2 makes 'ab' a second time"),
        ("merges.txt", "#version: 0.2\nq x\n", "the token 'qx' has no id"),
        ("vocab.json", "{", "is not valid JSON"),
        ("vocab.json", "[]", "is not a table from tokens to ids"),
        ("vocab.json", '{"a": 0, "b": 0}', "two tokens have the same id"),
        ("vocab.json", '{"a": 0, "b": 2}', "the ids are not 0 to 1, each once"),
        ("vocab.json", '{"<s>": 0, "<pad>": 1}', "the special token </s> is missing"),
    ],
)
def test_wrong_files_are_named(tmp_path, file, content, message):
    VOCABULARY.save(tmp_path)
    (tmp_path / file).write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_byte_bpe(tmp_path)
    assert message in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_missing_files_and_ids_are_named(tmp_path):
    with pytest.raises(InputError, match="vocab.bpe: cannot be read"):
        read_fairseq(tmp_path)
    with pytest.raises(InputError, match=f"token id {len(VOCABULARY)}, allowed are 0 to"):
        VOCABULARY.decode([len(VOCABULARY)])
    with pytest.raises(InputError, match="token id -1"):
        VOCABULARY.token_of(-1)


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "roberta_vocab"


@pytest.fixture(scope="module")
def roberta(folder: Path) -> ByteBPE:
    return read_fairseq(folder)


class TestRoberta:
    """The real vocabulary."""

    def test_ids_are_robertas(self, roberta):
        assert len(roberta) == 50265
        assert [roberta.token_of(i) for i in (0, 1, 2, 3)] == [BOS, PAD, EOS, UNK]
        assert (roberta.mask_id, roberta.token_of(50264)) == (50264, MASK)
        assert roberta.special_ids == (0, 1, 2, 3, 50260, 50261, 50262, 50263, 50264)
        assert roberta.encode("Hello world") == [31414, 232]
        assert roberta.encode("<mask>") == [41552, 43776, 15698]

    def test_ids_are_gluonnlps(self, roberta, folder, shared_data, tmp_path):
        """GluonNLP's own tokenizer, with ids in the order of `dict.txt`."""
        data = pytest.importorskip("gluonnlp").data
        shutil.copy(folder / "vocab.bpe", tmp_path / data.GPT2BPETokenizer.bpe_ranks_file_hash[0])
        tokenizer = data.GPT2BPETokenizer(root=str(tmp_path))
        numbers = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
        order = (folder / "dict.txt").read_text().split("\n")
        place = {line.split(" ")[0]: number + 4 for number, line in enumerate(order)}
        text = (shared_data / "wikitext-2" / "test.txt").read_text(encoding="utf-8")
        text += (shared_data / "gluon" / "sample_text.txt").read_text(encoding="utf-8")
        lines = text.split("\n")[:1500]
        assert sum(map(len, lines)) > 300000
        for line in lines:
            expected = [place[str(numbers[token])] for token in tokenizer(line)]
            assert roberta.encode(line) == expected

    @given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=60))
    def test_fuzz_is_without_loss(self, roberta, text):
        assert roberta.decode(roberta.encode(text)) == text

    @given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=30))
    def test_fuzz_is_the_definition(self, roberta, text):
        contents = [roberta._entries[i].content for i in roberta.encode(text)]
        assert contents == plain_bpe(text, roberta._merges)


@pytest.mark.parametrize("space", [" ", "\n", " \t\u3000\u2028\x85", "\u00a0"])
def test_a_million_white_space_characters_are_no_problem(space):
    run = (space * 1_000_000)[:1_000_000]
    short = (space * 40)[:40]
    for before, after in (
        ("", ""),
        ("a", ""),
        ("", "b"),
        ("a", " b"),
        ("1", "\x1cb"),
        ("!", "b c"),
    ):
        ids = VOCABULARY.encode(before + run + after)
        assert VOCABULARY.decode(ids) == before + run + after
        # The end of the run belongs to the next word, as in a short run.
        tail = VOCABULARY.encode(before + short + after)[-6:]
        assert ids[-6:] == tail


def test_long_runs_have_the_ids_of_the_pattern(monkeypatch):
    texts = [
        "a   b",
        "  \n\n  x",
        "a\u3000\u3000\u3000",
        "   ",
        "1 \x1c  \x1d b",
        "b\u200b   c   d e",
    ]
    expected = [VOCABULARY.encode(text) for text in texts]
    monkeypatch.setattr(byte_bpe, "_LONGEST_RUN", 2)
    monkeypatch.setattr(
        byte_bpe, "_LONG_WHITE_SPACE", re.compile(f"[{byte_bpe._WHITE_SPACE}]{{2,}}")
    )
    assert [tiny_vocabulary(MERGES).encode(text) for text in texts] == expected


def test_own_names_of_the_special_tokens():
    entries = [Entry(f"[{n}]", None) for n in "BPEUM"]
    entries += [Entry(name_of_bytes(bytes([byte])), bytes([byte])) for byte in range(256)]
    named = ByteBPE([], entries, "here", ["[B]", "[P]", "[E]", "[U]", "[M]"])
    again = pickle.loads(pickle.dumps(named))
    for one in (named, again):
        assert (one.bos_id, one.pad_id, one.eos_id, one.unk_id, one.mask_id) == (0, 1, 2, 3, 4)
    with pytest.raises(InputError, match="the special token <s> is missing"):
        ByteBPE([], entries, "here")


def test_names_and_bytes_of_many_tokens_are_those_of_each():
    contents = [b"", b" the", bytes(range(256)), "一".encode(), b"", b"\n"]
    names = names_of_bytes(contents)
    assert names == [name_of_bytes(content) for content in contents]
    assert bytes_of_names(names) == [bytes_of_name(name) for name in names] == contents
    assert names_of_bytes([]) == bytes_of_names([]) == []
    with pytest.raises(UnicodeEncodeError):
        bytes_of_names(["a", "一"])
