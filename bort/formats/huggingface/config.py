"""Reads `config.json` of a Hugging Face folder; what it says is read or refused by name.

The fields are those of `BertConfig`, `MegatronBertConfig` (a pre-norm BERT), `RobertaConfig`,
`XLMRobertaConfig` and `CamembertConfig` in Transformers 4 and 5, with the same defaults. Fields
that change neither the computation nor the training, such as `chunk_size_feed_forward` or
`use_cache`, are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple

from bort.architecture import LARGEST_DEPTH, LARGEST_SIZE, POST_NORM, PRE_NORM, Architecture
from bort.errors import InputError
from bort.network.activations import DEFAULT_ACTIVATION, FUNCTIONS
from bort.network.description import CLASSIFIER, ENCODER, MASKED_LM, QUESTION_ANSWERING
from bort.storage.files import read_json

CONFIG_FILE = "config.json"
MARK = "bort"
"""Key of the config that holds the marks of an export, which an import undoes."""

BERT_FAMILY, MEGATRON_FAMILY, _ROBERTA_FAMILY = "bert", "megatron-bert", "roberta"
"""Families of folders."""

_MODEL_TYPES = {
    "bert": BERT_FAMILY,
    "bort": BERT_FAMILY,
    "megatron-bert": MEGATRON_FAMILY,
    "roberta": _ROBERTA_FAMILY,
    "xlm-roberta": _ROBERTA_FAMILY,
    "camembert": _ROBERTA_FAMILY,
}
"""The value of `model_type` -> the family."""

_CLASS_PREFIXES = {
    "Bert": BERT_FAMILY,
    "Bort": BERT_FAMILY,
    "MegatronBert": MEGATRON_FAMILY,
    "Roberta": _ROBERTA_FAMILY,
    "XLMRoberta": _ROBERTA_FAMILY,
    "Camembert": _ROBERTA_FAMILY,
}
OTHER_HEAD = "other_head"
"""Kind of a class whose head is not read: only its encoder is imported."""

_KINDS = {
    "Model": ENCODER,
    "ForMaskedLM": MASKED_LM,
    "ForPreTraining": MASKED_LM,
    "ForSequenceClassification": CLASSIFIER,
    "ForTokenClassification": OTHER_HEAD,
    "ForQuestionAnswering": QUESTION_ANSWERING,
    "ForMultipleChoice": OTHER_HEAD,
    "ForNextSentencePrediction": OTHER_HEAD,
}
_SIZES = {
    "depth": "num_hidden_layers",
    "heads": "num_attention_heads",
    "hidden": "hidden_size",
    "intermediate": "intermediate_size",
    "vocabulary_size": "vocab_size",
    "maximum_length": "max_position_embeddings",
    "token_types": "type_vocab_size",
}
_DEFAULT_TOKEN_TYPES = 2
_DEFAULT_EPSILON = 1e-12
_FIXED: Mapping[str, Tuple[Any, ...]] = {
    "position_embedding_type": ("absolute",),
    "is_decoder": (False,),
    "add_cross_attention": (False,),
    "is_encoder_decoder": (False,),
}
"""Fields with values that the network computes with; the first is the default."""

_ABSENT = {
    "auto_map": "the folder's own code is not run",
    "quantization_config": "only weights that are not quantised are read",
    "pruned_heads": "only layers with all their heads are read",
    "per_layer_config": "all layers have the same sizes",
    "adapters": "adapters are not read; merge them into the weights first",
}
"""Fields that must be missing, null or empty, and the reason."""


@dataclass(frozen=True)
class HuggingFaceConfig:
    """The fields of a `config.json` that describe the network.

    Attributes:
        path: path of the file.
        values: all fields.
        model_type: `bert` or `roberta`: whose prefix of names and whose positions the folder has.
        class_name: the class in `architectures`; "" if there is none.
        kind: a value of `ModelDescription.purpose` or `other_head`, from the class; None without
            it.
        architecture: the sizes, with all rows of the position table; pre-norm for MegatronBERT.
        unused_positions: rows of the position table before the first position.
        layer_norm_eps: ε of all layer norms, above 0.
        dropout: dropout probability, 0 to below 1.
        activation: a name of `bort.network.activations`.
        ties: whether a decoder's matrix is meant to be the token embedding.
    """

    path: Path
    values: Mapping[str, Any]
    model_type: str
    class_name: str
    kind: Optional[str]
    architecture: Architecture
    unused_positions: int
    layer_norm_eps: float
    dropout: float
    activation: str
    ties: bool

    def fraction(self, name: str, default: float) -> float:
        """Return a field that is a number of 0 to below 1."""
        return fraction_in(self.values, name, default, self.path)


def read_config(folder: Path) -> HuggingFaceConfig:
    """Read `config.json`.

    Raises:
        InputError: the file is missing or damaged, or a field has a value that is not allowed; the
            message names the file, the field and the value.
    """
    path = folder / CONFIG_FILE
    if not path.exists():
        raise InputError(f"{path}: is missing, so the folder holds no Hugging Face model")
    values = read_json(path)
    if not isinstance(values, dict):
        raise InputError(f"{path}: is not a JSON object")
    class_name, family, kind = _class_of(values, path)
    family = _family(values, class_name, family, path)
    # MegatronBERT has BERT's prefix.
    model_type = BERT_FAMILY if family == MEGATRON_FAMILY else family
    _check_fixed(values, path)
    architecture = _architecture(values, path, PRE_NORM if family == MEGATRON_FAMILY else POST_NORM)
    epsilon = fraction_in(values, "layer_norm_eps", _DEFAULT_EPSILON, path)
    if not epsilon:
        raise InputError(f"{path}: layer_norm_eps is {epsilon!r}, allowed is above 0 to below 1")
    fraction_in(values, "attention_probs_dropout_prob", 0.1, path)
    return HuggingFaceConfig(
        path,
        values,
        model_type,
        class_name,
        kind,
        architecture,
        _unused_positions(values, model_type, architecture, path),
        epsilon,
        fraction_in(values, "hidden_dropout_prob", 0.1, path),
        _activation(values, path),
        _flag(values, "tie_word_embeddings", True, path),
    )


def fraction_in(values: Mapping[str, Any], name: str, default: float, path: Path) -> float:
    """Return a field that is a number of 0 to below 1; `default` if it is missing."""
    value = values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise InputError(f"{path}: {name} is {_shown(value)}, allowed is 0 to below 1")
    return float(value)


def _class_of(values: Mapping[str, Any], path: Path) -> Tuple[str, str, Optional[str]]:
    """Return the class in `architectures`, its family and its kind; ("", "", None) without one."""
    given = values.get("architectures")
    if given is None or given == []:
        return "", "", None
    if not isinstance(given, list) or not isinstance(given[0], str) or len(given) > 1:
        raise InputError(
            f"{path}: architectures is {_shown(given)}, allowed is a list with one name of a class"
        )
    name = given[0]
    for prefix, family in _CLASS_PREFIXES.items():
        kind = _KINDS.get(name[len(prefix) :]) if name.startswith(prefix) else None
        if kind is not None:
            return name, family, kind
    raise InputError(
        f"{path}: architectures is {_shown(given)}, allowed are {', '.join(_CLASS_PREFIXES)} with "
        f"one of the endings {', '.join(_KINDS)}"
    )


def _family(values: Mapping[str, Any], class_name: str, family: str, path: Path) -> str:
    """Return the family in `model_type`, which must be that of the class, if there is one."""
    allowed = ", ".join(_MODEL_TYPES)
    given = values.get("model_type")
    if given is None and family:
        return family
    if not isinstance(given, str) or given not in _MODEL_TYPES:
        hint = " (architectures does not tell it either)" if given is None else ""
        raise InputError(f"{path}: model_type is {_shown(given)}{hint}, allowed are {allowed}")
    found = _MODEL_TYPES[given]
    if family and family != found:
        raise InputError(
            f"{path}: architectures is [{class_name!r}], which does not fit model_type {given!r}"
        )
    return found


def _check_fixed(values: Mapping[str, Any], path: Path) -> None:
    for name, allowed in _FIXED.items():
        value = allowed[0] if values.get(name) is None else values[name]
        if value not in allowed:
            names = ", ".join(map(repr, allowed))
            raise InputError(f"{path}: {name} is {_shown(value)}, allowed is {names}")
    for name, reason in _ABSENT.items():
        value = values.get(name)
        if name == "adapters" and isinstance(value, dict):
            # An empty collection of adapters is written for models that never had any.
            value = value.get("adapters")
        if value not in (None, {}, [], False):
            raise InputError(f"{path}: {name} is {_shown(value)}, allowed is none: {reason}")


def _architecture(values: Mapping[str, Any], path: Path, norm: str) -> Architecture:
    sizes: Dict[str, int] = {}
    for ours, theirs in _SIZES.items():
        default = _DEFAULT_TOKEN_TYPES if ours == "token_types" else None
        value = values.get(theirs, default)
        if value is None and theirs not in values:
            raise InputError(f"{path}: {theirs} is missing")
        largest = LARGEST_DEPTH if ours == "depth" else LARGEST_SIZE
        if type(value) is not int or not 1 <= value <= largest:
            raise InputError(
                f"{path}: {theirs} is {_shown(value)}, allowed is an integer from 1 to {largest}"
            )
        sizes[ours] = value
    if sizes["hidden"] % sizes["heads"]:
        raise InputError(
            f"{path}: num_attention_heads is {sizes['heads']}, which does not divide hidden_size "
            f"{sizes['hidden']}"
        )
    return Architecture(**sizes, norm=norm)


def _activation(values: Mapping[str, Any], path: Path) -> str:
    name = values.get("hidden_act", DEFAULT_ACTIVATION)
    if not isinstance(name, str) or name not in FUNCTIONS:
        allowed = ", ".join(FUNCTIONS)
        raise InputError(f"{path}: hidden_act is {_shown(name)}, allowed are {allowed}")
    return name


def _flag(values: Mapping[str, Any], name: str, default: bool, path: Path) -> bool:
    value = values.get(name, default)
    if not isinstance(value, bool):
        raise InputError(f"{path}: {name} is {_shown(value)}, allowed is true or false")
    return value


def _unused_positions(
    values: Mapping[str, Any], model_type: str, architecture: Architecture, path: Path
) -> int:
    """Return the number of rows before the first position: RoBERTa counts from its padding id."""
    if model_type != "roberta":
        return 0
    pad_id = values.get("pad_token_id", 1)
    if type(pad_id) is not int or not 0 <= pad_id < 64:
        raise InputError(f"{path}: pad_token_id is {_shown(pad_id)}, allowed is 0 to 63")
    if architecture.maximum_length <= pad_id + 1:
        raise InputError(
            f"{path}: max_position_embeddings is {architecture.maximum_length}, allowed with "
            f"pad_token_id {pad_id} is at least {pad_id + 2}"
        )
    return pad_id + 1


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
