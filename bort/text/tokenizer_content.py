"""The content of a `tokenizer.json` for every class of Hugging Face tokenizers that is supported.

A class either takes `tokenizer.json` as it is, or takes the tokens of it or of the older files and
builds normalisation, pre-tokenisation and post-processing from the settings. Transformers 5 builds
BERT's, RoBERTa's, XLM-RoBERTa's and CamemBERT's tokenizers in the second way, whatever the rest of
their `tokenizer.json` says.
"""

from __future__ import annotations

import base64
import logging
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from bort.errors import InputError
from bort.storage.json_text import parse_json
from bort.storage.text_lines import text_of
from bort.text.merges import merge_lines
from bort.text.sentencepiece_file import CONTROL, USER_DEFINED, ModelFile, read_model
from bort.text.tokenizer_folder import (
    AS_IT_IS,
    BERT,
    CAMEMBERT,
    DISTILBERT,
    GPT2,
    MERGES_TXT,
    ROBERTA,
    ROLES,
    SENTENCEPIECE_MODEL,
    TOKENIZER_JSON,
    VOCAB_JSON,
    VOCAB_TXT,
    XLM_ROBERTA,
    AddedToken,
    TokenizerFolder,
    added_in,
)
from bort.text.vocabulary import BOS, EOS, MASK, PAD, UNK
from bort.text.wordpiece_file import bert_sections, wordpiece_ids, wordpiece_lines

log = logging.getLogger(__name__)

LARGEST_ID = (1 << 24) - 1
"""Largest id of a token."""

_BERT_ROLES = {"unk": "[UNK]", "sep": "[SEP]", "pad": "[PAD]", "cls": "[CLS]", "mask": "[MASK]"}
_ROBERTA_ROLES = {
    **{"bos": BOS, "eos": EOS, "unk": UNK, "sep": EOS, "pad": PAD, "cls": BOS, "mask": MASK}
}
_NOT_USED = ("<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED")
_METASPACE = "\u2581"


class TokenizerContent(NamedTuple):
    """The parts of a tokenizer.

    Attributes:
        content: the content of a complete `tokenizer.json`.
        names: the token of every id; "" where an id has none.
        added: the added tokens and their ids.
        roles: special tokens by role, `pad_token` to `mask_token`.
        model_inputs: names of the arrays that the tokenizer makes.
    """

    content: Dict[str, Any]
    names: List[str]
    added: Dict[str, Tuple[int, AddedToken]]
    roles: Dict[str, str]
    model_inputs: List[str]


def tokenizer_content(folder: TokenizerFolder) -> TokenizerContent:
    """Return the tokenizer that Transformers 5 makes of a folder.

    Raises:
        InputError: a file is missing, damaged or not supported, or a special token is missing; the
            message names file and field.
    """
    roles = _roles(folder)
    parts = _PARTS[folder.class_name](folder, roles)
    model = parts["model"]
    ids = model_ids(model, folder.tokens_path)
    size = len(model["vocab"])
    added: Dict[str, Tuple[int, AddedToken]] = {}
    known = set(ids) | {token.content for token in folder.declared}
    if folder.class_name == AS_IT_IS:
        place = folder.path(TOKENIZER_JSON)
        _add(added, (token for _, token in added_in(folder.tokenizer, place)), ids, size)
        known |= set(added)
        _usual_roles(roles, known)
    _add(added, folder.declared, ids, size)
    wanted = [(role, roles[role]) for role in roles if roles[role] is not None]
    for role, token in wanted:
        if role in ROLES and token is not None and token.content not in known:
            raise InputError(f"{folder.tokens_path}: the special token {token.content} is missing")
    _add(added, (token for _, token in wanted if token is not None), ids, size)
    _add(added, _extra(folder, parts), ids, size)
    names = _names(ids, added, folder.tokens_path)
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, **token._asdict()}
            for number, token in sorted(added.values(), key=lambda one: one[0])
        ],
        **parts,
    }
    if "post_processor" not in content:
        content["post_processor"] = _post_processor(folder, roles, {**ids, **_ids_of(added)})
    by_role = {role: token.content for role, token in roles.items() if token is not None}
    return TokenizerContent(content, names, added, by_role, _model_inputs(folder))


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


def _ids_of(added: Mapping[str, Tuple[int, AddedToken]]) -> Dict[str, int]:
    return {name: number for name, (number, _) in added.items()}


def _add(
    added: Dict[str, Tuple[int, AddedToken]],
    tokens: Iterable[AddedToken],
    ids: Mapping[str, int],
    size: int,
) -> None:
    """Add tokens that are new, with the ids that the package tokenizers gives them."""
    last = max((number for number, _ in added.values()), default=-1)
    for token in tokens:
        if not token.content or token.content in added:
            continue
        number = ids.get(token.content)
        if number is None:
            number = last + 1 if last >= size else size
        added[token.content] = (number, token)
        last = max(last, number)


def _names(ids: Mapping[str, int], added: Mapping[str, Any], source: Path) -> List[str]:
    every = {**ids, **_ids_of(added)}
    if not every:
        raise InputError(f"{source}: the vocabulary is empty")
    names = [""] * (max(every.values()) + 1)
    for name, number in every.items():
        names[number] = name
    return names


def _roles(folder: TokenizerFolder) -> Dict[str, Optional[AddedToken]]:
    """Return the special tokens of a folder by role, in the order in which they are added."""
    defaults = {
        BERT: _BERT_ROLES,
        DISTILBERT: _BERT_ROLES,
        GPT2: dict.fromkeys(("bos", "eos", "unk"), "<|endoftext|>"),
        AS_IT_IS: {},
    }.get(folder.class_name, _ROBERTA_ROLES)
    roles: Dict[str, Optional[AddedToken]] = {
        f"{role}_token": AddedToken(name, False, False, False, False, True)
        for role, name in defaults.items()
    }
    if folder.class_name == CAMEMBERT:
        roles["mask_token"] = AddedToken(MASK, False, True, False, False, True)
    roles.update(folder.roles)
    ordered = {role: roles[role] for role in ROLES if role in roles}
    ordered.update({role: token for role, token in roles.items() if role not in ordered})
    if folder.class_name == AS_IT_IS:
        return ordered
    for role in ("cls_token", "sep_token", "unk_token", "pad_token", "mask_token"):
        if ordered.get(role) is None:
            raise InputError(f"{folder.tokens_path}: the special token {role} is missing")
    return ordered


def _usual_roles(roles: Dict[str, Optional[AddedToken]], known: Iterable[str]) -> None:
    """Set roles that the files do not name to BERT's or RoBERTa's usual tokens, if they exist."""
    names = set(known)
    for role in ("unk", "pad", "mask"):
        if roles.get(f"{role}_token") is None:
            for usual in (_BERT_ROLES[role], _ROBERTA_ROLES[role]):
                if usual in names:
                    roles[f"{role}_token"] = AddedToken(usual, False, False, False, False, True)
                    break


def _extra(folder: TokenizerFolder, content: Mapping[str, Any]) -> Sequence[AddedToken]:
    special: Optional[Sequence[AddedToken]] = folder.extra
    if folder.class_name in (XLM_ROBERTA, CAMEMBERT) and TOKENIZER_JSON not in folder.files:
        model = _sentencepiece(folder)
        special = special or [
            AddedToken(name, False, False, False, False, kind == CONTROL)
            for name, _, kind in model.pieces
            if kind in (CONTROL, USER_DEFINED)
        ]
    elif folder.class_name == CAMEMBERT and special is None:
        special = [AddedToken(name, False, False, False, False, True) for name in _NOT_USED]
    return special or ()


def _model_inputs(folder: TokenizerFolder) -> List[str]:
    usual = ["input_ids", "attention_mask"]
    if folder.class_name == BERT:
        usual = ["input_ids", "token_type_ids", "attention_mask"]
    names = folder.settings.get("model_input_names", usual)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        place = folder.path("tokenizer_config.json")
        raise InputError(f"{place}: model_input_names is {str(names)[:60]!r}, allowed is a list")
    return list(names)


def _post_processor(
    folder: TokenizerFolder, roles: Mapping[str, Optional[AddedToken]], ids: Mapping[str, int]
) -> Dict[str, Any]:
    def name(role: str) -> str:
        token = roles.get(role)
        if token is None:
            raise InputError(f"{folder.tokens_path}: the special token {role} is missing")
        return token.content

    if folder.class_name == ROBERTA:
        cls, sep = name("cls_token"), name("sep_token")
        return {
            "type": "RobertaProcessing",
            "sep": [sep, ids[sep]],
            "cls": [cls, ids[cls]],
            "trim_offsets": folder.boolean("trim_offsets", True),
            "add_prefix_space": folder.boolean("add_prefix_space", False),
        }
    if folder.class_name in (XLM_ROBERTA, CAMEMBERT):
        begin, end, separators, second = name("bos_token"), name("eos_token"), 2, 0
    else:
        begin, end, separators, second = name("cls_token"), name("sep_token"), 1, 1
    return template(begin, end, separators, second, ids)


def template(
    begin: str, end: str, separators: int, second: int, ids: Mapping[str, int]
) -> Dict[str, Any]:
    """Return a post-processor that puts special tokens around a text and between two.

    Args:
        begin: name of the token before the first text.
        end: name of the token after each text.
        separators: number of `end` between two texts.
        second: token type of the second text and the token after it.
        ids: id of each token.
    """

    def special(name: str, kind: int) -> Dict[str, Any]:
        return {"SpecialToken": {"id": name, "type_id": kind}}

    def text(name: str, kind: int) -> Dict[str, Any]:
        return {"Sequence": {"id": name, "type_id": kind}}

    single = [special(begin, 0), text("A", 0), special(end, 0)]
    between = [special(end, 0)] * (separators - 1)
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, *between, text("B", second), special(end, second)],
        "special_tokens": {
            name: {"id": name, "ids": [ids[name]], "tokens": [name]} for name in {begin, end}
        },
    }


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
    content: Dict[str, Any] = {
        "normalizer": None,
        "pre_tokenizer": {
            "type": "ByteLevel",
            "add_prefix_space": folder.boolean("add_prefix_space", False),
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
            "merges": merges,
        },
    }
    if folder.class_name == GPT2:
        content["post_processor"] = None
    return content


def _sentencepiece(folder: TokenizerFolder) -> ModelFile:
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
        file = _sentencepiece(folder)
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


_PARTS = {
    BERT: _bert,
    DISTILBERT: _bert,
    ROBERTA: _roberta,
    GPT2: _roberta,
    XLM_ROBERTA: _unigram,
    CAMEMBERT: _unigram,
    AS_IT_IS: _as_it_is,
}
