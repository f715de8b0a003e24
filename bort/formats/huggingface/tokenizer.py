"""Conversion of a vocabulary to tokenizer files for `AutoTokenizer` that give the same ids.

A vocabulary from a Hugging Face folder keeps its files; `tokenizer.json`, the name of its class and
its maximum length are added where they were missing. Byte-level BPE from elsewhere becomes
RoBERTa's tokenizer, WordPiece that version 0.2.0 saved becomes BERT's. SentencePiece models are
copied (`sentencepiece.model`) and also converted to a `tokenizer.json` where
`bort.formats.huggingface.sentencepiece_json` can do so. As in every Hugging Face folder, and unlike
`encode` here, the tokenizer puts `<s>` and `</s>` around a text, and the name of a special token
inside a text is that token.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Optional

from bort.formats.huggingface.sentencepiece_json import sentencepiece_tokenizer
from bort.storage.files import atomic_write, write_json
from bort.storage.json_text import parse_json
from bort.storage.text_lines import text_of
from bort.text.byte_bpe import ByteBPE, name_of_bytes
from bort.text.fast_tokenizer import FastTokenizer
from bort.text.hugging_face import HUGGING_FACE_KIND
from bort.text.sentencepiece_vocabulary import SentencePieceVocabulary
from bort.text.tokenizer_folder import CAMEMBERT
from bort.text.tokenizer_sections import byte_level_sections
from bort.text.vocabulary import BOS, EOS, Vocabulary

TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"


def write_tokenizer(folder: Path, vocabulary: Vocabulary, maximum_length: int) -> List[str]:
    """Write the vocabulary's own files and those of Hugging Face.

    Args:
        folder: receives `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json` and
            the files of `vocabulary.save` (for byte-level BPE `vocab.json` and `merges.txt`).
        vocabulary: the vocabulary to write.
        maximum_length: maximum input length in tokens.

    Returns:
        Remarks for users of the files, one sentence each.
    """
    if isinstance(vocabulary, FastTokenizer) and vocabulary.reading.kind == HUGGING_FACE_KIND:
        _write_as_it_was(folder, vocabulary, maximum_length)
        return []
    vocabulary.save(folder)
    notes: List[str] = []
    tokenizer: Optional[Dict[str, Any]]
    if isinstance(vocabulary, ByteBPE):
        tokenizer, kind = byte_bpe_tokenizer(vocabulary), "RobertaTokenizer"
    elif isinstance(vocabulary, SentencePieceVocabulary):
        tokenizer, notes = sentencepiece_tokenizer(vocabulary.model)
        kind = "PreTrainedTokenizerFast"
        if tokenizer is None:
            return notes
    elif isinstance(vocabulary, FastTokenizer):
        tokenizer, kind = dict(vocabulary.content), "PreTrainedTokenizerFast"
    else:
        return ["The tokenizer is not among the files: Hugging Face's format does not know it."]
    mask_id = vocabulary.mask_id
    special = sorted({vocabulary.bos_id, vocabulary.pad_id, vocabulary.eos_id, vocabulary.unk_id})
    tokenizer["added_tokens"] = [
        _added_token(vocabulary.token_of(number), number, number == mask_id)
        for number in sorted([*special, mask_id])
    ]
    with atomic_write(folder / TOKENIZER_FILE) as stream:
        stream.write(json.dumps(tokenizer, ensure_ascii=False).encode("utf-8"))
    mask = _added_token(vocabulary.token_of(mask_id), mask_id, True)
    del mask["id"]
    roles = special_roles(vocabulary)
    config: Dict[str, Any] = {
        **roles,
        "mask_token": {"__type": "AddedToken", **mask},
        "tokenizer_class": kind,
        "model_max_length": maximum_length,
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
    }
    if kind == "RobertaTokenizer":
        config.update(add_prefix_space=False, trim_offsets=True, errors="replace")
    write_json(folder / TOKENIZER_CONFIG_FILE, config)
    write_json(folder / "special_tokens_map.json", {**roles, "mask_token": mask})
    return notes


def _write_as_it_was(folder: Path, vocabulary: FastTokenizer, maximum_length: int) -> None:
    """Write the files of a Hugging Face folder, so that `AutoTokenizer` reads what it read there.

    `config.json` told the class of a tokenizer whose settings do not, but an export has another
    `config.json`.
    """
    reading = vocabulary.reading
    files = dict(reading.files)
    given: Dict[str, Any] = {**special_roles(vocabulary)}
    given["mask_token"] = vocabulary.token_of(vocabulary.mask_id)
    if TOKENIZER_CONFIG_FILE in files:
        source = folder / TOKENIZER_CONFIG_FILE
        given = parse_json(text_of(files[TOKENIZER_CONFIG_FILE], source), str(source))
    settings = {"tokenizer_class": reading.class_name, "model_max_length": maximum_length, **given}
    if TOKENIZER_FILE not in files:
        files[TOKENIZER_FILE] = reading.content.encode("utf-8")
        if reading.class_name == CAMEMBERT:
            # The model file's special tokens, where CamemBERT has others with a tokenizer.json.
            special = [one for one in vocabulary.content["added_tokens"] if one["special"]]
            settings.setdefault("extra_special_tokens", [one["content"] for one in special])
    if TOKENIZER_CONFIG_FILE not in files or settings != given:
        write_json(folder / TOKENIZER_CONFIG_FILE, settings)
        files.pop(TOKENIZER_CONFIG_FILE, None)
    for name, content in files.items():
        with atomic_write(folder / name) as stream:
            stream.write(content)


def byte_bpe_tokenizer(vocabulary: ByteBPE) -> Dict[str, Any]:
    """Return the content of `tokenizer.json` for a byte-level BPE vocabulary."""
    merges = [f"{name_of_bytes(left)} {name_of_bytes(right)}" for left, right in vocabulary.merges]
    ids = {entry.name: number for number, entry in enumerate(vocabulary.entries)}
    sections = byte_level_sections(ids, merges)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": sections["normalizer"],
        "pre_tokenizer": sections["pre_tokenizer"],
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": [EOS, vocabulary.eos_id],
            "cls": [BOS, vocabulary.bos_id],
            "trim_offsets": True,
            "add_prefix_space": False,
        },
        "decoder": sections["decoder"],
        "model": sections["model"],
    }


def _added_token(name: str, token_id: int, is_mask: bool) -> Dict[str, Any]:
    return {
        "id": token_id,
        "content": name,
        "single_word": False,
        # A mask stands for a word together with the space before it.
        "lstrip": is_mask,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }


def special_roles(vocabulary: Vocabulary) -> Dict[str, str]:
    """Return the names of a vocabulary's special tokens, without the mask, by their roles."""
    bos, eos = vocabulary.token_of(vocabulary.bos_id), vocabulary.token_of(vocabulary.eos_id)
    return {
        "bos_token": bos,
        "cls_token": bos,
        "eos_token": eos,
        "sep_token": eos,
        "unk_token": vocabulary.token_of(vocabulary.unk_id),
        "pad_token": vocabulary.token_of(vocabulary.pad_id),
    }
