"""Vocabularies in Hugging Face folders, with the ids that Transformers 5 gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Optional, Tuple

from bort.errors import InputError
from bort.text.fast_tokenizer import FastTokenizer, TokenizerReading
from bort.text.merges import check_merges
from bort.text.tokenizer_checks import check_content
from bort.text.tokenizer_content import TokenizerContent, tokenizer_content
from bort.text.tokenizer_folder import (
    MERGES_TXT,
    SENTENCEPIECE_MODEL,
    SETTINGS_JSON,
    TOKENIZER_JSON,
    VOCAB_JSON,
    VOCAB_TXT,
    read_tokenizer_folder,
)
from bort.text.tokenizer_pairs import ids_around, joined_pair

HUGGING_FACE_KIND = "hugging-face"


def is_hugging_face(folder: Path) -> bool:
    """Return whether a folder holds a vocabulary in the files of Hugging Face."""
    if any(
        (folder / name).exists() for name in (TOKENIZER_JSON, VOCAB_TXT, VOCAB_JSON, MERGES_TXT)
    ):
        return True
    # Without settings it is an ordinary SentencePiece model.
    settings = (SETTINGS_JSON, "config.json")
    return (folder / SENTENCEPIECE_MODEL).exists() and any(
        (folder / name).exists() for name in settings
    )


def read_hugging_face(folder: Path, class_name: Optional[str] = None) -> FastTokenizer:
    """Read the vocabulary of a Hugging Face folder as Transformers 5 reads it.

    Args:
        folder: holds `tokenizer.json`; or `vocab.txt`; or `vocab.json` and `merges.txt`; or
            `sentencepiece.bpe.model` of an XLM-RoBERTa or CamemBERT model; and the settings next to
            them.
        class_name: the class of tokenizer; None takes what the folder says.

    Raises:
        InputError: a file is missing, damaged or not supported, or a special token is missing; the
            message names file and field.
    """
    read = read_tokenizer_folder(folder, class_name)
    source = str(read.tokens_path)
    found = tokenizer_content(read)
    check_content(found.content, source)
    check_merges(found.content["model"], found.added, source)
    role_ids = _role_ids(found, source)
    separators, second_type = joined_pair(found.content, found.model_inputs, source)
    return FastTokenizer(
        TokenizerReading(
            json.dumps(found.content, ensure_ascii=False),
            tuple(found.names),
            role_ids,
            (separators, second_type, True),
            tuple(read.files.items()),
            HUGGING_FACE_KIND,
            read.class_name,
            source,
        )
    )


def _role_ids(found: TokenizerContent, source: str) -> Tuple[int, int, int, int, int]:
    """Return the ids of the tokens that stand for `<s> <pad> </s> <unk> <mask>`."""
    ids = {}
    for role in ("pad_token", "unk_token", "mask_token"):
        name = found.roles.get(role)
        if name is None or name not in found.names:
            shown = role if name is None else name
            raise InputError(f"{source}: the special token {shown} is missing")
        ids[role] = found.added[name][0] if name in found.added else found.names.index(name)
    first, last = ids_around(found.content, source)
    for number in (first, last):
        if not 0 <= number < len(found.names):
            raise InputError(
                f"{source}: post_processor puts the id {number} around a text, allowed are 0 to "
                f"{len(found.names) - 1}"
            )
    return first, ids["pad_token"], last, ids["unk_token"], ids["mask_token"]
