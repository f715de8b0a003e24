"""Conversion of a SentencePiece model to a `tokenizer.json` that gives the same ids.

Models of kind `unigram` and `bpe` can be converted. Normalisation uses the model's own table, but
Hugging Face's reader applies it to whole characters with their combining marks. With NFKC before
it, the ids are the same for all text in NFKC. For other text they differ only where one character
carries several marks in an order that NFKC changes. Models that fold case (`nmt_nfkc_cf`) lose the
mark of a capital letter if there is no single letter with that mark. U+2581, which stands for a
space, makes a difference if the model's table does not turn it into a space.
"""

from __future__ import annotations

import base64
import unicodedata
from typing import Any, Dict, List, Optional, Sequence, Tuple

from bort.formats.huggingface.character_map import characters_that_become
from bort.text.sentencepiece_file import BPE, NORMAL, UNIGRAM, ScoredPiece, read_model
from bort.text.vocabulary import BOS, EOS, UNK

_SPACE = "\u2581"

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
