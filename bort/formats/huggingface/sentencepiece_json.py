"""Conversion of a SentencePiece model to a `tokenizer.json` that gives the same ids.

Models of kind `unigram` and `bpe` can be converted. Normalisation uses the model's own table, but
Hugging Face's reader applies it to whole characters with their combining marks. With NFKC before
it, the ids are the same for all text in NFKC. For other text they differ only where one character
carries several marks in an order that NFKC changes. Models that fold case (`nmt_nfkc_cf`) lose the
mark of a capital letter if there is no single letter with that mark. U+2581, which stands for a
space, makes a difference if the model's table does not turn it into a space.

The model file is a protocol buffer. This module reads the few fields that it needs itself instead
of using `sentencepiece_model_pb2`, for three reasons. That module needs the package protobuf, which
sentencepiece does not install. The one of sentencepiece 0.1.99 fails with protobuf 4 and later. It
cannot be imported in one process with the copy in Transformers, since both register the same file
name.
"""

from __future__ import annotations

import base64
import struct
import unicodedata
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple, Union

from bort.errors import InputError
from bort.formats.huggingface.character_map import characters_that_become
from bort.text.vocabulary import BOS, EOS, UNK

_SPACE = "\u2581"
NORMAL = 1
UNIGRAM, BPE = 1, 2
Field = Tuple[int, Union[int, bytes]]
ScoredPiece = Tuple[str, float, int]

_NORMALISED = (
    "tokenizer.json gives the ids of sentencepiece.model for all text in Unicode's form NFKC{but}; "
    "elsewhere they can differ where one character carries several combining marks."
)
_BUT_SPACES = " without U+2581, the sign that stands for a space"
_BUT_CAPITALS = (
    ", capital letters with a combining mark excepted where no letter of its own has that mark"
)
_AS_IT_IS = (
    "tokenizer.json gives the ids of sentencepiece.model for all text without U+2581, the sign "
    "that stands for a space."
)
_NO_TOKENIZER = (
    "There is no tokenizer.json: only SentencePiece models of kind unigram and bpe can be "
    "expressed; use sentencepiece.model."
)


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
        InputError: the file ends in the middle of a field.
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
    """Return the content of `tokenizer.json` for a model's bytes, and remarks for the user.

    Returns:
        The content, or None if the kind of model cannot be converted; and the remarks, which then
        give the reason.
    """
    file = read_model(model)
    ids = {text: number for number, (text, _, _) in enumerate(file.pieces)}
    if file.model_type == BPE:
        vocabulary: Dict[str, Any] = {"vocab": ids, "merges": _merges(file.pieces)}
        settings = {"dropout": None, "unk_token": UNK, "fuse_unk": True, "ignore_merges": False}
        settings.update(continuing_subword_prefix=None, end_of_word_suffix=None)
        body = {"type": "BPE", **settings, **vocabulary, "byte_fallback": file.byte_fallback}
    elif file.model_type == UNIGRAM:
        scored = [[text, score] for text, score, _ in file.pieces]
        body = {"type": "Unigram", "unk_id": ids[UNK], "vocab": scored}
        body["byte_fallback"] = file.byte_fallback
    else:
        return None, [_NO_TOKENIZER]
    normalizers: List[Dict[str, Any]] = [
        # As in `SentencePieceVocabulary.encode`: the library would cut the text there.
        {"type": "Replace", "pattern": {"String": "\0"}, "content": "\ufffd"}
    ]
    if file.character_map:
        normalizers += [{"type": "NFKC"}, *_apart(file.character_map)]
        text = base64.b64encode(file.character_map).decode("ascii")
        normalizers.append({"type": "Precompiled", "precompiled_charsmap": text})
    if file.remove_extra_whitespaces:
        normalizers += [
            {"type": "Replace", "pattern": {"Regex": pattern}, "content": content}
            for pattern, content in (("\\A +", ""), (" +\\z", ""), (" {2,}", " "))
        ]
    scheme = "always" if file.add_dummy_prefix else "never"
    space = {"type": "Metaspace", "replacement": _SPACE, "prepend_scheme": scheme, "split": False}
    decoders: List[Dict[str, Any]] = [{"type": "ByteFallback"}] if file.byte_fallback else []
    tokenizer: Dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": space,
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": [EOS, ids[EOS]],
            "cls": [BOS, ids[BOS]],
            "trim_offsets": False,
            "add_prefix_space": False,
        },
        "decoder": {"type": "Sequence", "decoders": [*decoders, space]},
        "model": body,
    }
    return tokenizer, [_note(file.character_map)]


def _note(character_map: bytes) -> str:
    """Return one sentence that tells for which texts the ids are the same."""
    if not character_map:
        return _AS_IT_IS
    spaces, folded = characters_that_become(character_map, (" ", "a"))
    but = "" if _SPACE in spaces else _BUT_SPACES
    return _NORMALISED.format(but=but + (_BUT_CAPITALS if "A" in folded else ""))


def _apart(character_map: bytes) -> List[Dict[str, Any]]:
    """Return steps that replace signs which the table drops or turns into a space.

    Control characters that the table treats alike take their place. Control characters never carry
    a combining mark, so the reader cannot lose the mark together with the sign.
    """
    found: List[Dict[str, Any]] = []
    for characters in characters_that_become(character_map, ("", " ")):
        controls = [one for one in characters if unicodedata.category(one) == "Cc"]
        others = [one for one in characters if one not in controls]
        if controls and others:
            pattern = "".join(f"\\x{{{ord(one):x}}}" for one in others)
            found.append(
                {"type": "Replace", "pattern": {"Regex": f"[{pattern}]"}, "content": controls[0]}
            )
    return found


def _merges(pieces: Sequence[ScoredPiece]) -> List[str]:
    """Return every way to merge two pieces into a piece, best score first."""
    score_of = {text: score for text, score, kind in pieces if kind == NORMAL}
    merges = []
    for text, score in score_of.items():
        for middle in range(1, len(text)):
            left, right = text[:middle], text[middle:]
            if left in score_of and right in score_of:
                merges.append((-score, f"{left} {right}"))
    # The sort is stable: splits of one piece stay from left to right.
    return [merge for _, merge in sorted(merges, key=lambda merge: merge[0])]


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
