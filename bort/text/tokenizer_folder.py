"""The tokenizer files of a Hugging Face folder, read with the precedence of Transformers 5.

`tokenizer_config.json` holds the settings and names the class; without a name there, `config.json`
tells it. Its `added_tokens_decoder` lists the added tokens; without that list,
`special_tokens_map.json` overrides names of special tokens, and added tokens come from
`added_tokens.json` and `tokenizer.json`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from bort.errors import InputError
from bort.storage.files import LARGEST_JSON_BYTES, read_json
from bort.storage.json_text import parse_json
from bort.storage.text_lines import read_content, text_of

TOKENIZER_JSON, SETTINGS_JSON = "tokenizer.json", "tokenizer_config.json"
SPECIAL_TOKENS_JSON, ADDED_TOKENS_JSON = "special_tokens_map.json", "added_tokens.json"
VOCAB_TXT, VOCAB_JSON, MERGES_TXT = "vocab.txt", "vocab.json", "merges.txt"
SENTENCEPIECE_MODEL = "sentencepiece.bpe.model"
VOCABULARY_FILES = (TOKENIZER_JSON, VOCAB_TXT, VOCAB_JSON, MERGES_TXT, SENTENCEPIECE_MODEL)
SETTINGS_FILES = (SETTINGS_JSON, SPECIAL_TOKENS_JSON, ADDED_TOKENS_JSON)

BERT, DISTILBERT = "BertTokenizer", "DistilBertTokenizer"
ROBERTA, GPT2 = "RobertaTokenizer", "GPT2Tokenizer"
XLM_ROBERTA, CAMEMBERT = "XLMRobertaTokenizer", "CamembertTokenizer"
AS_IT_IS = "PreTrainedTokenizerFast"
"""The class that takes `tokenizer.json` as it is."""

# Names that Transformers gives to the classes above, without the ending "Fast".
_CLASSES = {
    **dict.fromkeys((BERT, "ElectraTokenizer", "MobileBertTokenizer"), BERT),
    **dict.fromkeys(("SqueezeBertTokenizer", "LayoutLMTokenizer"), BERT),
    **dict.fromkeys((ROBERTA, "BartTokenizer", "LongformerTokenizer"), ROBERTA),
    **dict.fromkeys(("PreTrainedTokenizer", "TokenizersBackend"), AS_IT_IS),
    **{name: name for name in (DISTILBERT, GPT2, XLM_ROBERTA, CAMEMBERT)},
}
_CLASS_OF_MODEL = {
    **dict.fromkeys(("bert", "megatron-bert", "electra"), BERT),
    "distilbert": BERT,
    "roberta": ROBERTA,
    "xlm-roberta": XLM_ROBERTA,
    "camembert": CAMEMBERT,
    "gpt2": GPT2,
}
_FILE_OF_CLASS = {
    **dict.fromkeys((BERT, DISTILBERT), VOCAB_TXT),
    **dict.fromkeys((ROBERTA, GPT2), VOCAB_JSON),
    **dict.fromkeys((XLM_ROBERTA, CAMEMBERT), SENTENCEPIECE_MODEL),
}
ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class AddedToken(NamedTuple):
    """A token that is looked for in text before the text is cut into words.

    Attributes:
        content: the text of the token.
        single_word: whether it must not touch a letter or digit.
        lstrip, rstrip: whether it takes the white space before or after it.
        normalized: whether it is looked for in the normalised text.
        special: whether it has a role, so that text never produces it here.
    """

    content: str
    single_word: bool
    lstrip: bool
    rstrip: bool
    normalized: bool
    special: bool


@dataclass(frozen=True)
class TokenizerFolder:
    """The content of a folder's tokenizer files.

    Attributes:
        source: path of the folder.
        files: bytes of the files that exist, by name.
        class_name: one of the classes of this module.
        settings: content of `tokenizer_config.json`; {} without it.
        tokenizer: content of `tokenizer.json`; None without it.
        roles: special tokens by role; a role that the files do not name is absent, one that they
            name as null is None.
        declared: the added tokens, in the order of their ids.
        extra: further special tokens; None if the files do not list any.
    """

    source: Path
    files: Mapping[str, bytes]
    class_name: str
    settings: Mapping[str, Any]
    tokenizer: Optional[Mapping[str, Any]]
    roles: Mapping[str, Optional[AddedToken]]
    declared: Tuple[AddedToken, ...]
    extra: Optional[Tuple[AddedToken, ...]]

    def path(self, name: str) -> Path:
        """Return the path of a file in the folder."""
        return self.source / name

    @property
    def tokens_path(self) -> Path:
        """The path of the file that holds the tokens."""
        names = [name for name in VOCABULARY_FILES if name in self.files]
        return self.path(names[0]) if names else self.source

    def boolean(self, name: str, default: bool) -> bool:
        """Return a setting that is true or false.

        Raises:
            InputError: it has another value.
        """
        value = self.settings.get(name, default)
        if not isinstance(value, bool):
            raise InputError(
                f"{self.path(SETTINGS_JSON)}: {name} is {value!r}, allowed are true and false"
            )
        return value


def read_tokenizer_folder(folder: Path, class_name: Optional[str] = None) -> TokenizerFolder:
    """Read the tokenizer files of a folder.

    Args:
        folder: the folder.
        class_name: the class that reads the files; None takes what the folder says.

    Raises:
        InputError: a file is damaged, or names a class that is not supported; the message names
            the file.
    """
    files = {
        name: read_content(folder / name, LARGEST_JSON_BYTES)
        for name in (*VOCABULARY_FILES, *SETTINGS_FILES)
        if os.path.lexists(folder / name)  # a broken link is refused, and so is a folder
    }
    settings = _object(files, SETTINGS_JSON, folder) or {}
    tokenizer = _object(files, TOKENIZER_JSON, folder)
    roles, declared, extra = _special_tokens(folder, files, settings, tokenizer)
    if class_name is None:
        class_name = _class_name(folder, settings, files)
    else:
        class_name = _known_class(class_name, folder / "vocabulary.json")
    return TokenizerFolder(
        folder,
        files,
        class_name,
        settings,
        tokenizer,
        roles,
        declared,
        extra,
    )


def _object(files: Mapping[str, bytes], name: str, folder: Path) -> Optional[Dict[str, Any]]:
    if name not in files:
        return None
    value = parse_json(text_of(files[name], folder / name), str(folder / name))
    if not isinstance(value, dict):
        raise InputError(f"{folder / name}: is not a JSON object")
    return value


def _class_name(folder: Path, settings: Mapping[str, Any], files: Mapping[str, bytes]) -> str:
    """Return the class that Transformers takes for a folder."""
    path = folder / "config.json"
    config = read_json(path) if path.is_file() else {}
    config = config if isinstance(config, dict) else {}
    for place, values in ((folder / SETTINGS_JSON, settings), (path, config)):
        named = values.get("tokenizer_class")
        if named is not None:
            return _known_class(named, place)
    model_type = config.get("model_type")
    usual = _CLASS_OF_MODEL.get(model_type) if isinstance(model_type, str) else None
    if usual is not None and (TOKENIZER_JSON in files or _FILE_OF_CLASS[usual] in files):
        return usual
    if TOKENIZER_JSON in files:
        return AS_IT_IS
    return BERT if VOCAB_TXT in files else ROBERTA


def _known_class(named: Any, place: Path) -> str:
    name = named[: -len("Fast")] if isinstance(named, str) and named.endswith("Fast") else named
    if not isinstance(name, str) or name not in _CLASSES:
        allowed = ", ".join(sorted(_CLASSES))
        raise InputError(f"{place}: tokenizer_class is {named!r}, allowed are {allowed}")
    return _CLASSES[name]


_Special = Tuple[
    Dict[str, Optional[AddedToken]], Tuple[AddedToken, ...], Optional[Tuple[AddedToken, ...]]
]


def _special_tokens(
    folder: Path,
    files: Mapping[str, bytes],
    settings: Mapping[str, Any],
    tokenizer: Optional[Mapping[str, Any]],
) -> _Special:
    """Return the tokens by role, the added tokens in the order of their ids, and further ones."""
    place = folder / SETTINGS_JSON
    roles = {
        key: _role(value, f"{place}: {key}")
        for key, value in settings.items()
        if _is_role(key, value)
    }
    listed = settings.get("extra_special_tokens") or settings.get("additional_special_tokens")
    declared: Dict[int, AddedToken] = {}
    if "added_tokens_decoder" in settings:
        declared = _decoder(settings["added_tokens_decoder"], f"{place}: added_tokens_decoder")
    else:
        names = _object(files, SPECIAL_TOKENS_JSON, folder) or {}
        place = folder / SPECIAL_TOKENS_JSON
        for key, value in names.items():
            if _is_role(key, value):
                roles[key] = _role(value, f"{place}: {key}")
            elif key == "extra_special_tokens" and isinstance(value, list):
                listed = [*(listed if isinstance(listed, list) else ()), *value]
            elif key == "additional_special_tokens" and "extra_special_tokens" not in settings:
                listed = value
    extra: Optional[Tuple[AddedToken, ...]] = None
    if isinstance(listed, dict):
        roles.update({key: _role(value, f"{place}: {key}") for key, value in listed.items()})
    elif isinstance(listed, list):
        extra = tuple(_token(one, f"{place}: extra_special_tokens", True) for one in listed)
    elif listed is not None:
        raise InputError(f"{place}: extra_special_tokens is {listed!r}, allowed is a list")
    if "added_tokens_decoder" not in settings:
        special = {one.content for one in (*roles.values(), *(extra or ())) if one is not None}
        declared = _listed_elsewhere(folder, files, tokenizer, special)
    named = {token.content: token for token in declared.values()}
    for key, token in roles.items():
        if key in ROLES and token is not None:
            roles[key] = named.get(token.content, token)
    return roles, tuple(declared[number] for number in sorted(declared)), extra


def _is_role(key: str, value: Any) -> bool:
    # Tokens of a model's own, such as image_token, are special tokens too.
    return key in ROLES or (key.endswith("_token") and isinstance(value, (str, dict)))


def _role(value: Any, place: str) -> Optional[AddedToken]:
    return None if value is None else _token(value, place, True)._replace(special=True)


def _decoder(value: Any, place: str) -> Dict[int, AddedToken]:
    if not isinstance(value, dict):
        raise InputError(f"{place} is {str(value)[:60]!r}, allowed is an object")
    found = {}
    for key, token in value.items():
        if not key.isascii() or not key.isdigit() or len(key) > 9 or not isinstance(token, dict):
            raise InputError(f"{place}: {key!r} is no id of a token with its settings")
        found[int(key)] = _token(token, f"{place}: {key}", False)
    return found


def _listed_elsewhere(
    folder: Path,
    files: Mapping[str, bytes],
    tokenizer: Optional[Mapping[str, Any]],
    special: Any,
) -> Dict[int, AddedToken]:
    """Return the added tokens that `added_tokens.json` and `tokenizer.json` list, by id."""
    declared: Dict[int, AddedToken] = {}
    place = folder / ADDED_TOKENS_JSON
    for content, number in (_object(files, ADDED_TOKENS_JSON, folder) or {}).items():
        if type(number) is not int or number < 0:
            raise InputError(f"{place}: the id of {content!r} is {number!r}, allowed is an id")
        is_special = content in special
        declared[number] = AddedToken(content, False, False, False, not is_special, is_special)
    place = folder / TOKENIZER_JSON
    for number, token in added_in(tokenizer, place):
        declared[number] = token
    return declared


def added_in(tokenizer: Optional[Mapping[str, Any]], place: Path) -> List[Tuple[int, AddedToken]]:
    """Return ids and tokens of the added tokens in the content of a `tokenizer.json`.

    Raises:
        InputError: an entry is malformed; the message names the file.
    """
    listed = (tokenizer or {}).get("added_tokens") or []
    if not isinstance(listed, list):
        raise InputError(f"{place}: added_tokens is {str(listed)[:60]!r}, allowed is a list")
    found = []
    for one in listed:
        number = one.get("id") if isinstance(one, dict) else None
        if type(number) is not int or number < 0:
            raise InputError(f"{place}: an entry of added_tokens has no id: {str(one)[:60]!r}")
        found.append((number, _token(one, f"{place}: added_tokens", False)))
    return found


def _token(value: Any, place: str, special: bool) -> AddedToken:
    """Return the token that a name or an object describes.

    Args:
        value: the name, or an object with the fields of `AddedToken`.
        place: file and field in error messages.
        special: whether it is special where the object does not say so.
    """
    if isinstance(value, str):
        return AddedToken(value, False, False, False, not special, special)
    content = value.get("content") if isinstance(value, dict) else None
    if not isinstance(content, str) or not content:
        raise InputError(f"{place} is {str(value)[:60]!r}, allowed is a token with its content")
    is_special = _flag(value, "special", special, place)
    flags = [_flag(value, name, False, place) for name in ("single_word", "lstrip", "rstrip")]
    normalized = _flag(value, "normalized", not is_special, place)
    return AddedToken(content, flags[0], flags[1], flags[2], normalized, is_special)


def _flag(value: Mapping[str, Any], name: str, default: bool, place: str) -> bool:
    flag = value.get(name, default)
    if not isinstance(flag, bool):
        raise InputError(f"{place}: {name} is {flag!r}, allowed are true and false")
    return flag
