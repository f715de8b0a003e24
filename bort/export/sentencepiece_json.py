"""A SentencePiece model as a `tokenizer.json`, where that gives the same ids.

The model file is a protocol buffer; the few fields that matter are read here without its library.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

from bort.errors import InputError

_SPACE = "\u2581"
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
UNIGRAM, BPE = 1, 2
Field = Tuple[int, Union[int, bytes]]


@dataclass(frozen=True)
class ModelFile:
    """What a `.model` file says.

    Attributes:
        pieces: (text, score, type) of every id.
        model_type: `UNIGRAM`, `BPE`, or another number.
        byte_fallback: whether unseen characters become bytes.
        character_map: the compiled normalisation, empty for none.
        add_dummy_prefix: whether a space is put before the text.
        remove_extra_whitespaces: whether white space is trimmed and squeezed.
    """

    pieces: Tuple[Tuple[str, float, int], ...]
    model_type: int
    byte_fallback: bool
    character_map: bytes
    add_dummy_prefix: bool
    remove_extra_whitespaces: bool


def read_model(model: bytes) -> ModelFile:
    """Read the protocol buffer of a `.model` file.

    Raises:
        InputError: it ends in the middle of a field.
    """
    pieces: List[Tuple[str, float, int]] = []
    trainer: Dict[int, Union[int, bytes]] = {}
    normalizer: Dict[int, Union[int, bytes]] = {}
    for number, value in _fields(model):
        if number == 1 and isinstance(value, bytes):
            piece = dict(_fields(value))
            score = piece.get(2, b"\0\0\0\0")
            pieces.append(
                (
                    _bytes(piece.get(1)).decode("utf-8"),
                    struct.unpack("<f", _bytes(score))[0],
                    _integer(piece.get(3), NORMAL),
                )
            )
        elif number == 2:
            trainer = dict(_fields(_bytes(value)))
        elif number == 3:
            normalizer = dict(_fields(_bytes(value)))
    return ModelFile(
        tuple(pieces),
        _integer(trainer.get(3), UNIGRAM),
        bool(_integer(trainer.get(35), 0)),
        _bytes(normalizer.get(2)),
        bool(_integer(normalizer.get(3), 1)),
        bool(_integer(normalizer.get(4), 1)),
    )


def sentencepiece_tokenizer(model: bytes) -> Tuple[Optional[Dict[str, Any]], List[str]]:
    """The content of `tokenizer.json` for the bytes of a model, and what to know about it.

    Returns:
        None in its place, with the reason, for a kind of model that cannot be expressed.
    """
    return None, ["not yet"]


def _fields(message: bytes) -> Iterator[Field]:
    """Number and value of every field: an integer, or bytes (also for fixed-size numbers)."""
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
