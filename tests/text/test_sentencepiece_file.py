"""Tests of reading a SentencePiece model file without the library that wrote it."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from bort.errors import InputError
from bort.text.sentencepiece_file import BPE, UNIGRAM, read_model
from bort.text.sentencepiece_vocabulary import SentencePieceConfig, train_sentencepiece
from tests.text.tiny_vocabulary import TEXT


def trained(**settings: Any) -> Any:
    settings.setdefault("vocabulary_size", 330)
    return train_sentencepiece(TEXT.splitlines(), SentencePieceConfig(**settings))


def test_the_model_file_is_read_without_its_library() -> None:
    model = trained(normalization="identity")
    file = read_model(model.model)
    assert [text for text, _, _ in file.pieces] == [model.token_of(i) for i in range(len(model))]
    assert (file.model_type, file.byte_fallback, file.character_map) == (UNIGRAM, True, b"")
    other = read_model(trained(model_type="bpe", byte_fallback=False, vocabulary_size=90).model)
    assert (other.model_type, other.byte_fallback) == (BPE, False)
    assert other.character_map
    for size in (1, 2, 50, len(model.model) - 1):
        with pytest.raises(InputError, match="SentencePiece model is"):
            read_model(model.model[:size])


def test_pieces_that_cannot_be_read_are_named() -> None:
    def piece(*fields: bytes) -> bytes:
        inside = b"".join(fields)
        return b"\x0a" + bytes([len(inside)]) + inside

    score = b"\x15" + struct.pack("<f", -1.5)
    settings = b"\x12\x02\x18\x01"  # of the training: the kind of model
    assert read_model(piece(b"\x0a\x01a", score) + settings).pieces == (("a", -1.5, 1),)
    for wrong, message in (
        (piece(b"\x0a\x01\xff", score), "a piece is not UTF-8"),
        (piece(b"\x0a\x01a", b"\x10\x05"), "a score is no number of 32 bits"),
        (piece(b"\x0b"), "the SentencePiece model is damaged"),
        (b"", "it has no pieces"),
        (settings, "it has no pieces"),
        (piece(b"\x0a\x01a", score), "it has no settings of its training"),
        (2 * (piece(b"\x0a\x01a", score) + settings), "it has a piece twice"),
    ):
        with pytest.raises(InputError, match=message):
            read_model(wrong)
