"""Vocabularies give sixteen threads the ids that each would get alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from bort.text import chunk_memory
from bort.text.vocabularies import load_vocabulary
from tests.engines.test_threads import THREADS, in_threads
from tests.text.hugging_face_folders import bert_folder, sentencepiece_folder
from tests.text.test_vocabularies import SENTENCEPIECE
from tests.text.tiny_vocabulary import TEXT, tiny_vocabulary

KINDS = ["byte_bpe", "sentencepiece", "bert", "unigram"]
WORDS = TEXT.split()


def folder_of(kind: str, folder: Path) -> Path:
    if kind == "bert":
        return bert_folder(folder)
    if kind == "unigram":
        return sentencepiece_folder(folder, "xlm-roberta")
    (tiny_vocabulary() if kind == "byte_bpe" else SENTENCEPIECE).save(folder)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_every_thread_gets_its_own_ids(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory of words is emptied all the time, since it holds three only."""
    monkeypatch.setattr(chunk_memory, "_REMEMBERED", 3)
    vocabulary = load_vocabulary(folder_of(kind, tmp_path / kind))
    texts = [
        " ".join(WORDS[(start * 3 + number) % len(WORDS)] for number in range(5 + start))
        for start in range(THREADS)
    ]
    expected = [vocabulary.encode(text) for text in texts]
    flat = [vocabulary.encode_flat([text])[0].tolist() for text in texts]
    assert len({tuple(ids) for ids in expected}) == THREADS

    def ask(number: int) -> None:
        for _ in range(40):
            assert vocabulary.encode(texts[number]) == expected[number]
            assert vocabulary.encode_batch(texts[:4]) == expected[:4]
            assert vocabulary.encode_flat([texts[number]])[0].tolist() == flat[number]
            assert vocabulary.decode(expected[number])

    in_threads(ask)
