"""Normaliser, pre-tokeniser, model and decoder of every class of Hugging Face tokenizers.

A class either takes `tokenizer.json` as it is, or takes the tokens of it or of the older files and
builds the rest from the settings. Transformers 5 builds BERT's, RoBERTa's, XLM-RoBERTa's and
CamemBERT's tokenizers in the second way, whatever the rest of their `tokenizer.json` says.
"""

from __future__ import annotations

import base64
import logging
from typing import Any, Dict, List, Mapping, Optional, Sequence

from bort.errors import InputError
from bort.storage.json_text import parse_json
from bort.storage.text_lines import text_of
from bort.text.merges import merge_lines
from bort.text.sentencepiece_file import ModelFile, read_model
from bort.text.tokenizer_folder import (
    AS_IT_IS,
    BERT,
    CAMEMBERT,
    DISTILBERT,
    GPT2,
    MERGES_TXT,
    ROBERTA,
    SENTENCEPIECE_MODEL,
    TOKENIZER_JSON,
    VOCAB_JSON,
    VOCAB_TXT,
    XLM_ROBERTA,
    AddedToken,
    TokenizerFolder,
)
from bort.text.wordpiece_file import bert_sections, wordpiece_ids, wordpiece_lines

log = logging.getLogger(__name__)

_METASPACE = "\u2581"
LARGEST_ID = (1 << 24) - 1
"""Largest id of a token."""


def tokenizer_sections(
    folder: TokenizerFolder, roles: Mapping[str, Optional[AddedToken]]
) -> Dict[str, Any]:
    """Return `normalizer`, `pre_tokenizer`, `model` and `decoder` in the form of `tokenizer.json`.

    `post_processor` is among them if the class takes it as it is.

    Args:
        folder: the folder's content.
        roles: its special tokens by role.

    Raises:
        InputError: a file is missing, damaged or not supported; the message names file and field.
    """
    return _SECTIONS_OF[folder.class_name](folder, roles)


def model_ids(model: Mapping[str, Any], source: Any) -> Dict[str, int]:
    """Return the id of each token of a model.

    Raises:
        InputError: the vocabulary is malformed; the message begins with `source`.
    """
    vocab = model["vocab"]
    if isinstance(vocab, list):
        for one in vocab:
            if not isinstance(one, (list, tuple)) or len(one) != 2 or not isinstance(one[0], str):
                raise InputError(
                    f"{source}: {str(one)[:40]!r} in model.vocab is no pair of token and score"
                )
        vocab = {name: number for number, (name, _) in enumerate(vocab)}
    for name, number in vocab.items():
        if not isinstance(name, str) or type(number) is not int or not 0 <= number <= LARGEST_ID:
            raise InputError(
                f"{source}: the id of {str(name)[:40]!r} is {str(number)[:40]}, allowed are 0 to "
                f"{LARGEST_ID}"
            )
    if len(set(vocab.values())) != len(vocab):
        raise InputError(f"{source}: two tokens have the same id")
    ids: Dict[str, int] = dict(vocab)
    return ids


def _model_of(folder: TokenizerFolder, kind: str) -> Dict[str, Any]:
    """Return the model of a `tokenizer.json`, which must be of a kind."""
    place = folder.path(TOKENIZER_JSON)
    model = (folder.tokenizer or {}).get("model")
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), (dict, list)):
        raise InputError(f"{place}: its model has no vocab")
    found = model_type(model)
    if kind and found != kind:
        raise InputError(
            f"{place}: model.type is {found!r}, allowed for {folder.class_name} is {kind!r}"
        )
    if (found == "Unigram") != isinstance(model["vocab"], list):
        raise InputError(f"{place}: model.vocab is no table of a {found} model")
    if found == "BPE" and not isinstance(model.get("merges"), list):
        raise InputError(f"{place}: its model has no merges")
    return {**model, "type": found}


def model_type(model: Mapping[str, Any]) -> str:
    """Return the type of a model, which old files do not name."""
    if "type" in model:
        return str(model["type"])
    if "merges" in model:
        return "BPE"
    return "Unigram" if isinstance(model.get("vocab"), list) else "WordPiece"


def _as_it_is(folder: TokenizerFolder, roles: Mapping[str, Optional[AddedToken]]) -> Dict[str, Any]:
    if folder.tokenizer is None:
        raise InputError(f"{folder.path(TOKENIZER_JSON)}: is missing")
    model = _model_of(folder, "")
    if model["type"] not in ("BPE", "WordPiece", "Unigram"):
        raise InputError(
            f"{folder.path(TOKENIZER_JSON)}: model.type is {model['type']!r}, allowed are BPE, "
            "WordPiece and Unigram"
        )
    if model.get("dropout"):
        raise InputError(
            f"{folder.path(TOKENIZER_JSON)}: model.dropout is {model['dropout']!r}, allowed is "
            "null: a text must always have the same ids"
        )
    sections = {name: folder.tokenizer.get(name) for name in _SECTIONS}
    return {**sections, "model": model}


_SECTIONS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")


def _bert(folder: TokenizerFolder, roles: Mapping[str, Optional[AddedToken]]) -> Dict[str, Any]:
    if folder.tokenizer is not None:
        vocab = _model_of(folder, "WordPiece")["vocab"]
    else:
        lines = wordpiece_lines(_bytes(folder, VOCAB_TXT), folder.path(VOCAB_TXT))
        vocab = wordpiece_ids(lines, folder.path(VOCAB_TXT))
        if "do_lower_case" not in folder.settings:
            raise InputError(
                f"{folder.source}: tokenizer_config.json with do_lower_case is missing, so it is "
                f"unknown whether {VOCAB_TXT} is uncased"
            )
    accents = folder.settings.get("strip_accents")
    if accents is not None:
        accents = folder.boolean("strip_accents", False)
    unknown = roles["unk_token"]
    assert unknown is not None
    content = bert_sections(
        vocab,
        unknown.content,
        lower_case=folder.boolean("do_lower_case", True),
        chinese=folder.boolean("tokenize_chinese_chars", True),
        accents=accents,
    )
    _say_what_is_ignored(folder, content["normalizer"])
    return content


def _say_what_is_ignored(folder: TokenizerFolder, normalizer: Mapping[str, Any]) -> None:
    theirs = (folder.tokenizer or {}).get("normalizer")
    if not isinstance(theirs, dict) or theirs.get("type") != "BertNormalizer":
        return
    names = {"lowercase": "do_lower_case", "handle_chinese_chars": "tokenize_chinese_chars"}
    for name, setting in names.items():
        if name in theirs and theirs[name] != normalizer[name]:
            log.warning(
                "%s: normalizer.%s is %s, but %s is %s in tokenizer_config.json or by default, "
                "which counts (as in Transformers)",
                folder.path(TOKENIZER_JSON),
                name,
                theirs[name],
                setting,
                normalizer[name],
            )


def _bytes(folder: TokenizerFolder, name: str) -> bytes:
    if name not in folder.files:
        raise InputError(f"{folder.path(name)}: is missing")
    return folder.files[name]


def byte_level_sections(
    vocab: Mapping[str, int], merges: Sequence[Any], add_prefix_space: bool = False
) -> Dict[str, Any]:
    """Return the sections of a `tokenizer.json` that byte-level BPE computes with.

    Args:
        vocab: the id of each token, in the readable letters of bytes.
        merges: the merges, first learnt first, as strings or pairs.
        add_prefix_space: whether a text without a space in front gets one.
    """
    return {
        "normalizer": None,
        "pre_tokenizer": {
            "type": "ByteLevel",
            "add_prefix_space": add_prefix_space,
            "trim_offsets": True,
            "use_regex": True,
        },
        "decoder": {
            "type": "ByteLevel",
            "add_prefix_space": True,
            "trim_offsets": True,
            "use_regex": True,
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": dict(vocab),
            "merges": list(merges),
        },
    }


def _roberta(folder: TokenizerFolder, roles: Mapping[str, Optional[AddedToken]]) -> Dict[str, Any]:
    merges: List[Any]
    if folder.tokenizer is not None:
        model = _model_of(folder, "BPE")
        vocab, merges = model["vocab"], model["merges"]
    else:
        place = folder.path(VOCAB_JSON)
        vocab = parse_json(text_of(_bytes(folder, VOCAB_JSON), place), str(place))
        if not isinstance(vocab, dict):
            raise InputError(f"{place}: is not a table from tokens to ids")
        lines = merge_lines(_bytes(folder, MERGES_TXT), folder.path(MERGES_TXT))
        merges = [line.text for line in lines]
    content = byte_level_sections(vocab, merges, folder.boolean("add_prefix_space", False))
    if folder.class_name == GPT2:
        content["post_processor"] = None
    return content


def sentencepiece_model(folder: TokenizerFolder) -> ModelFile:
    """Return the SentencePiece model of a folder.

    Raises:
        InputError: it is missing or damaged; the message names the file.
    """
    try:
        return read_model(_bytes(folder, SENTENCEPIECE_MODEL))
    except InputError as error:
        raise InputError(f"{folder.path(SENTENCEPIECE_MODEL)}: {error}") from error


def _unigram(folder: TokenizerFolder, roles: Mapping[str, Optional[AddedToken]]) -> Dict[str, Any]:
    unknown = roles["unk_token"]
    assert unknown is not None
    normalizer: Optional[Mapping[str, Any]] = None
    if folder.tokenizer is not None:
        vocab = _model_of(folder, "Unigram")["vocab"]
        model_ids({"vocab": vocab}, folder.path(TOKENIZER_JSON))
        normalizer = _character_map(folder.tokenizer.get("normalizer"))
    else:
        file = sentencepiece_model(folder)
        pieces = [[name, score] for name, score, _ in file.pieces]
        vocab = _with_offset(folder.class_name, pieces, roles)
        if file.character_map:
            text = base64.b64encode(file.character_map).decode("ascii")
            normalizer = {"type": "Precompiled", "precompiled_charsmap": text}
    number = 3
    if folder.class_name == CAMEMBERT:
        places = (place for place, one in enumerate(vocab) if one[0] == unknown.content)
        number = next(places, 0)
    prefix = folder.boolean("add_prefix_space", True)
    space = {
        "type": "Metaspace",
        "replacement": _METASPACE,
        "prepend_scheme": "always" if prefix else "never",
        "split": True,
    }
    cutters = [{"type": "WhitespaceSplit"}, space]
    return {
        "normalizer": normalizer,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": cutters},
        "decoder": space,
        "model": {
            "type": "Unigram",
            "unk_id": number,
            "vocab": vocab,
            "byte_fallback": False,
        },
    }


def _with_offset(
    class_name: str, pieces: List[List[Any]], roles: Mapping[str, Optional[AddedToken]]
) -> List[List[Any]]:
    """Return the pieces of a SentencePiece model with the ids that fairseq gave them."""

    def entry(role: str) -> List[Any]:
        token = roles[role]
        assert token is not None
        return [token.content, 0.0]

    if class_name == XLM_ROBERTA:
        first = [entry(role) for role in ("bos_token", "pad_token", "eos_token", "unk_token")]
        return [*first, *pieces[3:], entry("mask_token")]
    first = [["<s>NOTUSED", 0.0], entry("pad_token"), ["</s>NOTUSED", 0.0], entry("unk_token")]
    return [*first, ["<unk>NOTUSED", -100.0], *pieces[1:], entry("mask_token")]


def _character_map(normalizer: Any) -> Optional[Mapping[str, Any]]:
    """Return the first compiled table among the normalisers of a `tokenizer.json`."""
    steps = normalizer
    if isinstance(normalizer, dict):
        is_sequence = normalizer.get("type") == "Sequence"
        steps = normalizer.get("normalizers") if is_sequence else [normalizer]
    for step in steps if isinstance(steps, list) else ():
        if isinstance(step, dict) and step.get("type") == "Precompiled":
            return {"type": "Precompiled", "precompiled_charsmap": step.get("precompiled_charsmap")}
    return None


_SECTIONS_OF = {
    BERT: _bert,
    DISTILBERT: _bert,
    ROBERTA: _roberta,
    GPT2: _roberta,
    XLM_ROBERTA: _unigram,
    CAMEMBERT: _unigram,
    AS_IT_IS: _as_it_is,
}
