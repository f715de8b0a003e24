"""Reads a Hugging Face folder of type `bert` or `roberta` as an `ArrayNetwork`.

RoBERTa counts positions from its padding id + 1, so the first two of its 514 rows are unused; the
reader drops them. It also drops a token-type table of zeros. It opens safetensors files only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.formats.huggingface.heads import Arrays, without_tanh
from bort.formats.huggingface.residual import shift_residual
from bort.formats.huggingface.tensor_file import find_tensors, read_tensors
from bort.formats.huggingface.writer import CONFIG_FILE, EXPORT, MARK, RECORD_FILE
from bort.network.array_network import ArrayNetwork
from bort.network.description import HeadDescription, ModelDescription, check_problem_type
from bort.network.parameter_names import HEAD, MODEL_TYPES, name_in, places
from bort.storage.files import read_json
from bort.storage.json_fields import JsonFields, errors_naming

_TYPES_OF_CONFIG = {"bert": "bert", "bort": "bert", "roberta": "roberta"}
_SIZES = {
    "depth": "num_hidden_layers",
    "heads": "num_attention_heads",
    "hidden": "hidden_size",
    "intermediate": "intermediate_size",
    "vocabulary_size": "vocab_size",
    "maximum_length": "max_position_embeddings",
}
_FIXED = {
    "hidden_act": ("gelu",),
    "position_embedding_type": ("absolute",),
    "is_decoder": (False,),
    "add_cross_attention": (False,),
}
_OLD_ENDINGS = {".LayerNorm.gamma": ".LayerNorm.weight", ".LayerNorm.beta": ".LayerNorm.bias"}


class Imported(NamedTuple):
    """The content of a folder.

    Attributes:
        network: the weights and their description.
        left_out: names of the tensors that were left out, such as a next-sentence head.
        from_here: whether this toolkit exported the folder and it is unchanged.
    """

    network: ArrayNetwork
    left_out: Tuple[str, ...]
    from_here: bool


def read_huggingface(folder: Path) -> Imported:
    """Read `config.json` and `model.safetensors`; `load_vocabulary` reads the tokenizer.

    Raises:
        InputError: a file, field or tensor is missing, damaged or has the wrong type; the message
            names it.
    """
    path = folder / CONFIG_FILE
    if not path.exists():
        raise InputError(f"{path}: is missing, so the folder holds no Hugging Face model")
    config = read_json(path)
    if not isinstance(config, dict):
        raise InputError(f"{path}: is not a JSON object")
    record = _read_record(folder)
    model_type = _model_type(config, path)
    tensors_path = find_tensors(folder)
    tensors = _with_full_names(read_tensors(tensors_path), model_type)
    architecture, offset = _architecture(config, model_type, path)
    arrays, head, left_out = _arrays(tensors, architecture, offset, model_type, tensors_path)
    architecture = _token_types(architecture, arrays, record)
    marks = config.get(MARK) or {}
    if not isinstance(marks, dict):
        raise InputError(f"{path}: {MARK} is {marks!r}, allowed is an object")
    kind = ""
    if head:
        kind, head_arrays = without_tanh(head, marks.get("head"), str(path))
        arrays.update(head_arrays)
    elif marks.get("pooler") == "zeros" and not any(
        array.any() for name, array in arrays.items() if name.startswith("pooler.")
    ):
        arrays = {k: v for k, v in arrays.items() if not k.startswith("pooler.")}
    classes = head[HEAD[3].gluon].shape[0] if head else 0
    description = _description(config, record, path, architecture, arrays, kind, classes)
    if record:
        extra = JsonFields.of(record["extra"], str(folder / RECORD_FILE), "extra")
        description = description.with_extra(extra)
    elif "vocabulary" in marks:
        fingerprint = JsonFields(marks, str(path), MARK).text("vocabulary")
        description = description.replace(vocabulary_fingerprint=fingerprint)
    with errors_naming(str(tensors_path)):
        network = ArrayNetwork(description, arrays)
    shift = marks.get("residual_shift", 0)
    if type(shift) is not int or abs(shift) > 62:
        raise InputError(f"{path}: {MARK}.residual_shift is {shift!r}, allowed is -62 to 62")
    if shift:
        network = shift_residual(network, -shift)
    if record:
        network = network.replace(decoder_layer_norm_eps=float(record["decoder_layer_norm_eps"]))
    return Imported(network, left_out, bool(record))


def _read_record(folder: Path) -> Mapping[str, Any]:
    """Return the record that an export wrote, its hashes checked; {} in other folders."""
    path = folder / RECORD_FILE
    if not path.exists():
        return {}
    sealed = EXPORT.open(folder)
    record = sealed.record
    if not isinstance(record.get("extra"), dict):
        raise InputError(f"{path}: is damaged: extra is not an object")
    if type(record.get("token_types")) is not int:
        raise InputError(
            f"{path}: token_types is {record.get('token_types')!r}, allowed is an integer"
        )
    for name in ("decoder_layer_norm_eps", "head_dropout"):
        _number(record, name, -1, path)
    sealed.verify()
    return record


def _model_type(config: Mapping[str, Any], path: Path) -> str:
    given = config.get("model_type")
    if not isinstance(given, str) or given not in _TYPES_OF_CONFIG:
        allowed = ", ".join(MODEL_TYPES)
        raise InputError(f"{path}: model_type is {given!r}, allowed are {allowed}")
    for name, allowed_values in _FIXED.items():
        value = config.get(name, allowed_values[0])
        if value not in allowed_values:
            raise InputError(f"{path}: {name} is {value!r}, allowed is {allowed_values[0]!r}")
    return _TYPES_OF_CONFIG[given]


def _architecture(
    config: Mapping[str, Any], model_type: str, path: Path
) -> Tuple[Architecture, int]:
    """Return the sizes, and the number of rows of the position table before the first position."""
    values: Dict[str, int] = {}
    for ours, theirs in _SIZES.items():
        if theirs not in config:
            raise InputError(f"{path}: {theirs} is missing")
        values[ours] = config[theirs]
    values["token_types"] = config.get("type_vocab_size", 2)
    offset = 0
    if model_type == "roberta":
        pad_id = config.get("pad_token_id", 1)
        if type(pad_id) is not int or not 0 <= pad_id < 64:
            raise InputError(f"{path}: pad_token_id is {pad_id!r}, allowed is a small number")
        offset = pad_id + 1
    try:
        architecture = Architecture(**values)
        return architecture.replace(maximum_length=architecture.maximum_length - offset), offset
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _with_full_names(tensors: Arrays, model_type: str) -> Arrays:
    """Return tensors with the names of models that have a head and of current layer norms.

    In the file of a plain model, names lack the prefix. Old files name the parameters of layer
    norms gamma and beta.
    """
    named: Arrays = {}
    for name, array in tensors.items():
        for old, new in _OLD_ENDINGS.items():
            if name.endswith(old):
                name = name[: -len(old)] + new
        if name.split(".")[0] in ("embeddings", "encoder", "pooler"):
            name = f"{model_type}.{name}"
        named[name] = array
    return named


def _arrays(
    tensors: Arrays, architecture: Architecture, offset: int, model_type: str, path: Path
) -> Tuple[Arrays, Arrays, Tuple[str, ...]]:
    """Return arrays by this toolkit's names, those of a classifier's head, and names left out."""
    head_rows = {place.gluon: name_in(place, model_type) for place in HEAD}
    has_head = head_rows[HEAD[3].gluon] in tensors
    # In BERT the pooler of a classifier is the first layer of its head.
    pooler = f"{model_type}.pooler.dense.weight" in tensors and not (
        has_head and model_type == "bert"
    )
    decoder = _has_decoder(tensors, model_type)
    rows = places(architecture, decoder=decoder, pooler=pooler, token_types=True)
    arrays: Arrays = {}
    used: List[str] = []
    for place in rows:
        name = name_in(place, model_type)
        arrays[place.gluon] = _take(tensors, name, path)
        used.append(name)
    head: Arrays = {}
    if has_head:
        head = {ours: _take(tensors, theirs, path) for ours, theirs in head_rows.items()}
        used.extend(head_rows.values())
    if offset:
        positions = arrays["encoder.position_weight"]
        arrays["encoder.position_weight"] = np.ascontiguousarray(positions[offset:])
    if decoder:
        used += _check_tied(tensors, arrays, model_type, path)
    left_out = tuple(sorted(set(tensors) - set(used)))
    return arrays, head, left_out


def _has_decoder(tensors: Arrays, model_type: str) -> bool:
    wanted = "cls.predictions.transform." if model_type == "bert" else "lm_head.dense."
    return any(name.startswith(wanted) for name in tensors)


def _take(tensors: Arrays, name: str, path: Path) -> np.ndarray:
    if name not in tensors:
        raise InputError(f"{path}: the tensor {name!r} is missing")
    return tensors[name]


def _check_tied(tensors: Arrays, arrays: Arrays, model_type: str, path: Path) -> List[str]:
    """Check that copies of tied weights are equal to them, and return the names of the copies."""
    prefix = "cls.predictions.decoder." if model_type == "bert" else "lm_head.decoder."
    copies = {prefix + "weight": "word_embed.0.weight", prefix + "bias": "decoder.3.bias"}
    for theirs, ours in copies.items():
        if theirs in tensors and not np.array_equal(tensors[theirs], arrays[ours]):
            raise InputError(
                f"{path}: {theirs!r} is not tied to the model's own weights; only tied decoders "
                "are read"
            )
    return [name for name in copies if name in tensors]


def _token_types(
    architecture: Architecture, arrays: Arrays, record: Mapping[str, Any]
) -> Architecture:
    """Drop a table of zeros, unless the record says that the network had one."""
    table = arrays["token_type_embed.0.weight"]
    if table.any() or record.get("token_types"):
        return architecture
    del arrays["token_type_embed.0.weight"]
    return architecture.replace(token_types=0)


def _description(
    config: Mapping[str, Any],
    record: Mapping[str, Any],
    path: Path,
    architecture: Architecture,
    arrays: Arrays,
    kind: str,
    classes: int,
) -> ModelDescription:
    """Return the description of the network; `kind` is the kind of its head, "" for none."""
    head: Optional[HeadDescription] = None
    head_dropout = _head_dropout(config, record, path)
    with errors_naming(str(path)):
        problem = _problem_type(config, classes)
        if kind:
            labels = _labels(config, classes, path)
            head = HeadDescription(kind, classes, labels, head_dropout, problem)
    epsilon = _number(config, "layer_norm_eps", 1e-12, path)
    return ModelDescription(
        architecture,
        head,
        has_decoder=any(name.startswith("decoder.") for name in arrays),
        has_pooler=any(name.startswith("pooler.") for name in arrays),
        layer_norm_eps=epsilon,
        decoder_layer_norm_eps=epsilon,
        dropout=_number(config, "hidden_dropout_prob", 0.1, path),
    )


def _labels(config: Mapping[str, Any], classes: int, path: Path) -> Tuple[str, ...]:
    """Return the names of the outputs; () if they are only numbered."""
    names = config.get("id2label")
    if not names:
        return ()
    if not isinstance(names, dict) or set(names) != {str(n) for n in range(len(names))}:
        raise InputError(f"{path}: id2label does not name the outputs 0, 1, …")
    if len(names) != classes:
        raise InputError(f"{path}: id2label names {len(names)} labels, the model has {classes}")
    ordered = tuple(str(names[str(number)]) for number in range(classes))
    numbered = tuple(f"LABEL_{number}" for number in range(classes))
    for number, name in enumerate(ordered):
        if name in ordered[:number]:
            raise InputError(f"{path}: id2label names {name!r} twice, allowed is one output a name")
    return () if ordered == numbered else ordered


def _problem_type(config: Mapping[str, Any], classes: int) -> str:
    """Return the meaning of the outputs; "" if the config does not say it."""
    value = config.get("problem_type")
    if value is None:
        return ""
    check_problem_type(value, classes)
    return str(value)


def _head_dropout(config: Mapping[str, Any], record: Mapping[str, Any], path: Path) -> float:
    if "head_dropout" in record:
        return float(record["head_dropout"])
    if config.get("classifier_dropout") is None:
        return 0.1
    return _number(config, "classifier_dropout", 0.1, path)


def _number(config: Mapping[str, Any], name: str, default: float, path: Path) -> float:
    value = config.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise InputError(f"{path}: {name} is {value!r}, allowed is 0 to below 1")
    return float(value)
