"""The complete content of the `tokenizer.json` that Transformers 5 would make of a folder.

It joins the sections of the folder's class, the added tokens with the ids that they get, the names
of the special tokens, and the post-processor.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from bort.errors import InputError
from bort.text.sentencepiece_file import CONTROL, USER_DEFINED
from bort.text.tokenizer_folder import (
    AS_IT_IS,
    BERT,
    CAMEMBERT,
    DISTILBERT,
    GPT2,
    ROBERTA,
    ROLES,
    TOKENIZER_JSON,
    XLM_ROBERTA,
    AddedToken,
    TokenizerFolder,
    added_in,
)
from bort.text.tokenizer_sections import model_ids, sentencepiece_model, tokenizer_sections
from bort.text.vocabulary import BOS, EOS, MASK, PAD, UNK

_BERT_ROLES = {"unk": "[UNK]", "sep": "[SEP]", "pad": "[PAD]", "cls": "[CLS]", "mask": "[MASK]"}
_ROBERTA_ROLES = {
    **{"bos": BOS, "eos": EOS, "unk": UNK, "sep": EOS, "pad": PAD, "cls": BOS, "mask": MASK}
}
_NOT_USED = ("<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED")


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
    parts = tokenizer_sections(folder, roles)
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
        model = sentencepiece_model(folder)
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
