"""Reads and writes the settings of sentence-transformers around a Hugging Face model.

`modules.json` lists the steps from a text to its embedding: the transformer (in the folder itself
or in one inside it), the pooling (`1_Pooling/config.json`), and often a normalisation.
`sentence_bert_config.json` holds the maximum input length, and `config_sentence_transformers.json`
the prompts. Other steps, such as a dense layer, are refused by name.
"""

from __future__ import annotations

import logging
from pathlib import Path, PurePosixPath
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from bort.errors import InputError
from bort.network.embedding import (
    CLS,
    LAST,
    MAX,
    MEAN,
    MEAN_SQRT_LENGTH,
    POOLINGS,
    WEIGHTED_MEAN,
    EmbeddingDescription,
)
from bort.storage.files import read_json, write_json
from bort.storage.json_fields import JsonFields, errors_naming

log = logging.getLogger(__name__)

MODULES_FILE = "modules.json"
SETTINGS_FILE = "config_sentence_transformers.json"
LENGTH_FILE = "sentence_bert_config.json"
POOLING_FILE = "1_Pooling/config.json"
NORMALISATION_FILE = "2_Normalize/config.json"

_TRANSFORMER, _POOLING, _NORMALISATION = "Transformer", "Pooling", "Normalize"
_STEPS = (_TRANSFORMER, _POOLING, _NORMALISATION)
_PACKAGE = "sentence_transformers."
_ADVICE = f"(delete {MODULES_FILE} to use the model without these settings)"
_EMBEDS, _CLASSIFIES = "SentenceTransformer", "CrossEncoder"

_LENGTH_FILES = (
    LENGTH_FILE,
    *(f"sentence_{name}_config.json" for name in ("roberta", "camembert", "xlm-roberta")),
)
"""Names of the file with the maximum length; old versions wrote the others."""

_POOLING_FLAGS = {
    "pooling_mode_cls_token": CLS,
    "pooling_mode_max_tokens": MAX,
    "pooling_mode_mean_tokens": MEAN,
    "pooling_mode_mean_sqrt_len_tokens": MEAN_SQRT_LENGTH,
    "pooling_mode_weightedmean_tokens": WEIGHTED_MEAN,
    "pooling_mode_lasttoken": LAST,
}
_ALWAYS_WRITTEN = (CLS, MEAN, MAX, MEAN_SQRT_LENGTH)
"""Poolings whose flags all versions of sentence-transformers know."""

_OF_NO_EFFECT = {"unpad_inputs"}
"""Fields of the file with the maximum length that change nothing but speed."""

_MODALITIES = {
    "transformer_task": ("feature-extraction",),
    "module_output_name": ("token_embeddings",),
}


class SentenceFolder(NamedTuple):
    """The place of the transformer in a folder, and its use for embeddings.

    Attributes:
        transformer: folder of the config, the weights and the tokenizer.
        embedding: from a text to its embedding; None if the folder does not say it.
        activation: function that a cross-encoder applies to its outputs; "" for none.
    """

    transformer: Path
    embedding: Optional[EmbeddingDescription] = None
    activation: str = ""


class _Step(NamedTuple):
    """One entry of `modules.json`: the name of its class, and its folder."""

    kind: str
    folder: Path


def read_sentence_folder(folder: Path) -> SentenceFolder:
    """Read the settings of sentence-transformers in a folder.

    Args:
        folder: with `modules.json`; without, the folder itself is that of the transformer.

    Raises:
        InputError: a file is damaged, or a setting is not supported; the message names the file,
            the field and its value.
    """
    path = folder / MODULES_FILE
    if not path.exists():
        unused = [name for name in (POOLING_FILE, LENGTH_FILE) if (folder / name).exists()]
        if unused:
            log.warning("%s: is not used, because %s is missing", folder / unused[0], MODULES_FILE)
        return SentenceFolder(folder)
    steps = _steps(path)
    general = _fields_of(folder / SETTINGS_FILE)
    kind = general.values.get("model_type", _EMBEDS)
    if kind not in (_EMBEDS, _CLASSIFIES):
        raise InputError(
            f"{general.source}: model_type is {kind!r}, allowed are {_EMBEDS}, {_CLASSIFIES} "
            + _ADVICE
        )
    found = [step.kind for step in steps]
    allowed = [_STEPS[:1]] if kind == _CLASSIFIES else [_STEPS, _STEPS[:2]]
    if tuple(found) not in allowed:
        raise InputError(
            f"{path}: the modules are {', '.join(found) or 'none'}, allowed are "
            f"{' or '.join(', '.join(one) for one in allowed)} {_ADVICE}"
        )
    inside = steps[0].folder
    if kind == _CLASSIFIES:
        prompt = general.values.get("default_prompt_name")
        if prompt is not None:
            raise InputError(
                f"{general.source}: default_prompt_name is {prompt!r}, allowed is null in a {kind}"
            )
        return SentenceFolder(inside, activation=_activation(general.values.get("activation_fn")))
    if len(steps) > 2:
        _check_normalisation(steps[2].folder / "config.json")
    pooling, pools_prompt = _pooling(steps[1].folder / "config.json")
    max_length, lower_case = _length(inside)
    with errors_naming(general.source):
        embedding = EmbeddingDescription(
            pooling=pooling,
            normalise=len(steps) > 2,
            max_length=max_length,
            lower_case=lower_case,
            prompts=_prompts(general),
            default_prompt_name=_text_or_none(general, "default_prompt_name"),
            pools_prompt=pools_prompt,
            similarity=_text_or_none(general, "similarity_fn_name"),
        )
    return SentenceFolder(inside, embedding)


def write_sentence_files(folder: Path, embedding: EmbeddingDescription, hidden: int) -> None:
    """Write the settings next to a transformer, in a form that all versions read.

    Args:
        folder: the folder of the transformer.
        embedding: the settings.
        hidden: size of the hidden states.
    """
    kinds = _STEPS if embedding.normalise else _STEPS[:2]
    paths = ("", *(str(PurePosixPath(name).parent) for name in (POOLING_FILE, NORMALISATION_FILE)))
    modules = [
        {"idx": n, "name": str(n), "path": path, "type": f"{_PACKAGE}models.{kind}"}
        for n, (kind, path) in enumerate(zip(kinds, paths))
    ]
    write_json(folder / MODULES_FILE, modules)
    pooling: Dict[str, Any] = {"word_embedding_dimension": hidden}
    for flag, name in _POOLING_FLAGS.items():
        if name in _ALWAYS_WRITTEN or name == embedding.pooling:
            pooling[flag] = name == embedding.pooling
    if not embedding.pools_prompt:
        pooling["include_prompt"] = False
    (folder / POOLING_FILE).parent.mkdir(exist_ok=True)
    write_json(folder / POOLING_FILE, pooling)
    write_json(
        folder / LENGTH_FILE,
        {"max_seq_length": embedding.max_length, "do_lower_case": embedding.lower_case},
    )
    general: Dict[str, Any] = {
        "prompts": dict(embedding.prompts),
        "default_prompt_name": embedding.default_prompt_name,
    }
    if embedding.similarity is not None:
        general["similarity_fn_name"] = embedding.similarity
    write_json(folder / SETTINGS_FILE, general)


def activation_of(config: Mapping[str, Any]) -> str:
    """Return the function that a cross-encoder's `config.json` applies to outputs; "" for none."""
    settings = config.get("sentence_transformers")
    name = settings.get("activation_fn") if isinstance(settings, dict) else None
    return _activation(name or config.get("sbert_ce_default_activation_function"))


def _activation(name: Any) -> str:
    return "" if name is None or str(name).endswith(".Identity") else str(name)


def _steps(path: Path) -> List[_Step]:
    entries = read_json(path)
    if not isinstance(entries, list):
        raise InputError(f"{path}: is not a list of modules")
    steps = []
    for number, entry in enumerate(entries):
        fields = JsonFields.of(entry, str(path), f"[{number}]")
        name, place = fields.text("type"), fields.text("path")
        kind = name.split(".")[-1]
        if not name.startswith(_PACKAGE) or kind not in _STEPS:
            allowed = ", ".join(f"{_PACKAGE}models.{one}" for one in _STEPS)
            raise InputError(
                f"{path}: the module {place or number!r} is {name!r}, allowed are {allowed} "
                + _ADVICE
            )
        parts = PurePosixPath(place)
        if parts.is_absolute() or ".." in parts.parts or set("\\:\0") & set(place):
            raise InputError(f"{path}: the path {place!r} leads out of the folder")
        if entry.get("kwargs"):
            raise InputError(
                f"{path}: [{number}].kwargs is {entry['kwargs']!r}, allowed is none {_ADVICE}"
            )
        steps.append(_Step(kind, path.parent / place))
    return steps


def _pooling(path: Path) -> Tuple[str, bool]:
    """Return the pooling, and whether the tokens of a prompt take part in it."""
    if not path.exists():
        raise InputError(f"{path}: is missing, {path.parent.parent / MODULES_FILE} names it")
    fields = _fields_of(path)
    known = {*_POOLING_FLAGS, "pooling_mode", "include_prompt"}
    known |= {"word_embedding_dimension", "embedding_dimension"}
    for name in fields.values:
        if name not in known:
            raise InputError(f"{path}: {name} is not known, allowed are {', '.join(sorted(known))}")
    flags = [mode for flag, mode in _POOLING_FLAGS.items() if _flag(fields, flag, False)]
    given = fields.values.get("pooling_mode", flags or MEAN)
    modes = given if isinstance(given, list) else [given]
    if len(modes) != 1 or not isinstance(modes[0], str) or modes[0] not in POOLINGS:
        shown = " and ".join(map(str, modes))
        raise InputError(
            f"{path}: pooling_mode is {shown}, allowed is one of {', '.join(POOLINGS)}"
        )
    return modes[0], _flag(fields, "include_prompt", True)


def _check_normalisation(path: Path) -> None:
    for name in ("module_input_name", "module_output_name"):
        value = _fields_of(path).values.get(name, "sentence_embedding")
        if value not in ("sentence_embedding", None):
            raise InputError(f"{path}: {name} is {value!r}, allowed is 'sentence_embedding'")


def _length(folder: Path) -> Tuple[Optional[int], bool]:
    """Return the maximum input length, None for the model's, and whether texts are lower-cased."""
    paths = [folder / name for name in _LENGTH_FILES]
    fields = _fields_of(next((path for path in paths if path.exists()), paths[0]))
    for name, value in fields.values.items():
        if name in ("max_seq_length", "do_lower_case", "modality_config", *_OF_NO_EFFECT):
            continue
        allowed = _MODALITIES.get(name, ())
        if value and value not in allowed:
            shown = ", ".join(map(repr, allowed)) or "none"
            raise InputError(f"{fields.source}: {name} is {value!r}, allowed: {shown}")
    lower_case = _flag(fields, "do_lower_case", False)
    if fields.values.get("max_seq_length") is not None:
        with errors_naming(fields.source):
            length = fields.integer("max_seq_length")
            if length < 1:
                raise InputError(f"max_seq_length is {length}, allowed is at least 1")
        return length, lower_case
    # Newer versions keep the maximum length in the tokenizer's settings, where a number too large
    # for any text stands for "none".
    limit = _fields_of(folder / "tokenizer_config.json").values.get("model_max_length")
    is_limit = isinstance(limit, int) and not isinstance(limit, bool) and 0 < limit < 2**31
    return (limit if is_limit else None), lower_case


def _prompts(fields: JsonFields) -> Dict[str, str]:
    """Return the prompts by name, without those that have no text."""
    if fields.values.get("prompts") is None:
        return {}
    prompts = fields.fields("prompts")
    return {name: prompts.text(name) for name, text in prompts.values.items() if text is not None}


def _text_or_none(fields: JsonFields, name: str) -> Optional[str]:
    return None if fields.values.get(name) is None else fields.text(name)


def _flag(fields: JsonFields, name: str, default: bool) -> bool:
    return default if fields.values.get(name) is None else fields.boolean(name)


def _fields_of(path: Path) -> JsonFields:
    """Return the object in a file; an empty one if there is no file."""
    return JsonFields.of(read_json(path) if path.exists() else {}, str(path))
