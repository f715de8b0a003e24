"""Tests of loading a vocabulary by folder, file or name, and of errors that name damage."""

from __future__ import annotations

import json

import pytest

from bort.downloads import gluonnlp as gluonnlp_files
from bort.errors import BortError, InputError
from bort.formats.huggingface.tokenizer import write_tokenizer
from bort.text.sentencepiece_vocabulary import SentencePieceConfig, train_sentencepiece
from bort.text.vocabularies import load_vocabulary
from tests.text.hugging_face_folders import bert_folder, roberta_folder, sentencepiece_folder
from tests.text.tiny_vocabulary import TEXT, tiny_vocabulary

BYTE_BPE = tiny_vocabulary()
SENTENCEPIECE = train_sentencepiece(
    TEXT.strip().split("\n"), SentencePieceConfig(vocabulary_size=330)
)


@pytest.mark.parametrize("vocabulary", [BYTE_BPE, SENTENCEPIECE])
def test_what_is_saved_is_loaded(vocabulary, tmp_path):
    vocabulary.save(tmp_path / "v")
    assert load_vocabulary(tmp_path / "v").fingerprint == vocabulary.fingerprint
    for file in sorted((tmp_path / "v").iterdir()):
        content = file.read_bytes()
        file.write_bytes(content[:-9] + b"x" + content[-8:])
        with pytest.raises(InputError, match=file.name):
            load_vocabulary(tmp_path / "v")
        file.unlink()
        if file.name != "vocabulary.json":
            with pytest.raises(InputError, match=f"{file.name}: is missing"):
                load_vocabulary(tmp_path / "v")
        file.write_bytes(content)


def test_two_separators_without_types_where_nothing_else_is_recorded():
    for vocabulary in (BYTE_BPE, SENTENCEPIECE):
        form = vocabulary.pair_separators, vocabulary.pair_second_type, vocabulary.pair_recorded
        assert form == (2, 0, True)


def test_the_bytes_of_tokens_are_those_of_the_normalised_text(tmp_path):
    own, wide = "The rain had 12 keys, Städte", "Städte, 東京 \U0001f642 \u0633"
    for vocabulary, text, expected in (
        (BYTE_BPE, wide, wide),
        (SENTENCEPIECE, own, own),
        (SENTENCEPIECE, wide, wide),  # with tokens of bytes
        (load_vocabulary(roberta_folder(tmp_path / "roberta")), wide, wide),
        (load_vocabulary(roberta_folder(tmp_path / "spaced", add_prefix_space=True)), wide, wide),
        (load_vocabulary(sentencepiece_folder(tmp_path / "xlm", "xlm-roberta")), own, own),
        (load_vocabulary(bert_folder(tmp_path / "bert")), "The Raining Cät.", "the raining cat."),
    ):
        ids = vocabulary.encode(text)
        assert vocabulary.unk_id not in ids
        found = b"".join(map(vocabulary.surface_of, ids)).decode()
        assert found.replace(" ", "") == expected.replace(" ", "")
        for special in vocabulary.special_ids:
            assert vocabulary.surface_of(special) == b""


def test_a_record_cannot_lead_out_of_its_folder(tmp_path):
    BYTE_BPE.save(tmp_path)
    path = tmp_path / "vocabulary.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "files": {"../secret": "0"}}))
    with pytest.raises(InputError, match="leads out of the folder"):
        load_vocabulary(tmp_path)
    path.write_text(json.dumps({**record, "kind": "pickle"}))
    with pytest.raises(InputError, match="unknown kind of vocabulary 'pickle'"):
        load_vocabulary(tmp_path)


def test_folders_and_files_without_a_record(tmp_path):
    BYTE_BPE.save(tmp_path / "hf")
    (tmp_path / "hf" / "vocabulary.json").unlink()
    assert load_vocabulary(str(tmp_path / "hf")).fingerprint == BYTE_BPE.fingerprint
    SENTENCEPIECE.save(tmp_path / "sp")
    (tmp_path / "sp" / "vocabulary.json").unlink()
    for path in (tmp_path / "sp", tmp_path / "sp" / "sentencepiece.model"):
        assert load_vocabulary(path).fingerprint == SENTENCEPIECE.fingerprint


def test_the_published_name_reads_the_cache(tmp_path, monkeypatch):
    """The published name loads GluonNLP's two files, here a small pair with its own checksums."""
    import hashlib

    models = tmp_path / "models"
    models.mkdir()
    BYTE_BPE.save(tmp_path / "v")
    names = [BYTE_BPE.token_of(i) for i in range(len(BYTE_BPE))]
    contents = {
        "BORT_VOCABULARY": json.dumps({"idx_to_token": names}).encode(),
        "GPT2_MERGES": (tmp_path / "v" / "merges.txt").read_bytes(),
    }
    for constant, content in contents.items():
        published = getattr(gluonnlp_files, constant)
        (models / published.name).write_bytes(content)
        sha1 = hashlib.sha1(content).hexdigest()
        monkeypatch.setattr(gluonnlp_files, constant, published._replace(sha1=sha1))
    monkeypatch.setenv("MXNET_HOME", str(tmp_path))
    for name in (gluonnlp_files.BORT_DATASET, models):
        assert load_vocabulary(name).fingerprint == BYTE_BPE.fingerprint


def test_what_is_no_vocabulary_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("text")
    for path, message in (
        (tmp_path, "holds no vocabulary"),
        (tmp_path / "a.txt", "is not a vocabulary"),
        ("no/such/folder", "is neither a folder, nor a file, nor one of openwebtext"),
    ):
        with pytest.raises(InputError, match=message):
            load_vocabulary(path)
    monkeypatch.setenv("MXNET_HOME", str(tmp_path))
    monkeypatch.setenv("BORT_OFFLINE", "1")
    with pytest.raises(BortError, match=r"2b804f8f\.vocab: is missing"):
        load_vocabulary(gluonnlp_files.BORT_DATASET)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("added_tokens",), 5),
        (("added_tokens",), [{}]),
        (("added_tokens",), [{"content": [], "id": 3}]),
        (("added_tokens",), [{"content": "new", "id": "x"}]),
        (("model", "merges"), [5]),
        (("model", "merges"), [[1, 2]]),
        (("model", "vocab", "<s>"), None),
    ],
)
def test_a_malformed_tokenizer_json_is_named(tmp_path, place, value):
    write_tokenizer(tmp_path, tiny_vocabulary(), 64)
    path = tmp_path / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    part = content
    for name in place[:-1]:
        part = part[name]
    part[place[-1]] = value
    path.write_text(json.dumps(content), encoding="utf-8")
    for name in ("vocabulary.json", "vocab.json", "merges.txt"):
        (tmp_path / name).unlink()
    with pytest.raises(InputError, match=r"tokenizer\.json: "):
        load_vocabulary(tmp_path)
