"""The content of a SentencePiece `.model` file: pieces, scores and normalisation.

The model file is a protocol buffer. This module reads the few fields that it needs itself instead
of using `sentencepiece_model_pb2`, for three reasons. That module needs the package protobuf, which
sentencepiece does not install. The one of sentencepiece 0.1.99 fails with protobuf 4 and later. It
cannot be imported in one process with the copy in Transformers, since both register the same file
name.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Dict, Iterator, List, Tuple, Union

from bort.errors import InputError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED = 1, 2, 3, 4
"""Types of pieces."""

UNIGRAM, BPE = 1, 2
Field = Tuple[int, Union[int, bytes]]
ScoredPiece = Tuple[str, float, int]


@dataclass(frozen=True)
class ModelFile:
    """The content of a `.model` file.

    Attributes:
        pieces: (text, score, type) of every id.
        model_type: `UNIGRAM`, `BPE`, or another number.
        byte_fallback: whether unknown characters are encoded as bytes.
        character_map: the compiled normalisation table; empty for none.
        add_dummy_prefix: whether a space is put before the text.
        remove_extra_whitespaces: whether white space is trimmed and collapsed.
    """

    pieces: Tuple[Tuple[str, float, int], ...]
    model_type: int
    byte_fallback: bool
    character_map: bytes
    add_dummy_prefix: bool
    remove_extra_whitespaces: bool


def read_model(model: bytes) -> ModelFile:
    """Parse the protocol buffer of a `.model` file.

    Raises:
        InputError: the file is damaged, has no pieces or one twice, or ends before all its fields.
    """
    pieces: List[Tuple[str, float, int]] = []
    trainer: Dict[int, Union[int, bytes]] = {}
    normalizer: Dict[int, Union[int, bytes]] = {}
    for number, value in _fields(model):
        if number == 1 and isinstance(value, bytes):
            pieces.append(_piece(value))
        elif number == 2:
            trainer = dict(_fields(_bytes(value)))
        elif number == 3:
            normalizer = dict(_fields(_bytes(value)))
    if not pieces or not trainer:
        lacks = "settings of its training" if pieces else "pieces"
        raise InputError(f"the SentencePiece model is truncated or damaged: it has no {lacks}")
    if len({text for text, _, _ in pieces}) != len(pieces):
        raise InputError("the SentencePiece model is damaged: it has a piece twice")
    return ModelFile(
        tuple(pieces),
        _integer(trainer.get(3), UNIGRAM),
        bool(_integer(trainer.get(35), 0)),
        _bytes(normalizer.get(2)),
        bool(_integer(normalizer.get(3), 1)),
        bool(_integer(normalizer.get(4), 1)),
    )


def _piece(message: bytes) -> ScoredPiece:
    fields = dict(_fields(message))
    text, score = _bytes(fields.get(1)), _bytes(fields.get(2, b"\0\0\0\0"))
    if len(score) != 4:
        raise InputError("the SentencePiece model is damaged: a score is no number of 32 bits")
    try:
        name = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("the SentencePiece model is damaged: a piece is not UTF-8") from error
    return name, struct.unpack("<f", score)[0], _integer(fields.get(3), NORMAL)


def _fields(message: bytes) -> Iterator[Field]:
    """Yield number and value of every field: an integer, or bytes (also for fixed-size numbers)."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        kind = key & 7
        if kind == 0:
            value, position = _varint(message, position)
            yield key >> 3, value
            continue
        if kind == 2:
            size, position = _varint(message, position)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise InputError("the SentencePiece model is damaged")
        if position + size > len(message):
            raise InputError("the SentencePiece model is truncated")
        yield key >> 3, message[position : position + size]
        position += size


def _varint(message: bytes, position: int) -> Tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(message) or shift > 63:
            raise InputError("the SentencePiece model is truncated")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position


def _bytes(value: Union[int, bytes, None]) -> bytes:
    return value if isinstance(value, bytes) else b""


def _integer(value: Union[int, bytes, None], default: int) -> int:
    return value if isinstance(value, int) else default
