"""Reads a Hugging Face folder of type BERT, MegatronBERT or RoBERTa as an `ArrayNetwork`.

RoBERTa counts positions from its padding id + 1, so the first two of its 514 rows are unused; the
reader drops them. It also drops a token-type table of zeros. It opens safetensors files only.

The class in `architectures` decides what is read: the decoder of a masked-language model, the head
of a classifier of texts or of a model that answers questions with spans. Of a class with another
head (tokens, options, next sentences), the encoder alone is read and the head is left out. Without
a class, the tensors decide.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.formats.huggingface.config import (
    MARK,
    OTHER_HEAD,
    HuggingFaceConfig,
    fraction_in,
    read_config,
)
from bort.formats.huggingface.heads import Arrays, without_tanh
from bort.formats.huggingface.labels import label_names, problem_type_in
from bort.formats.huggingface.narrow_attention import (
    HEADS_MARK,
    QKV_MARK,
    with_narrow_attention,
)
from bort.formats.huggingface.residual import shift_residual
from bort.formats.huggingface.sentence_transformers import activation_of, read_sentence_folder
from bort.formats.huggingface.tensor_file import Weights, read_weights
from bort.formats.huggingface.tensor_names import DECODERS, WORD_EMBEDDINGS, with_current_names
from bort.formats.huggingface.writer import EXPORT, RECORD_FILE
from bort.network.activations import ERF, function_of
from bort.network.array_network import ArrayNetwork
from bort.network.description import (
    CLASSIFIER,
    ENCODER,
    MASKED_LM,
    QUESTION_ANSWERING,
    ModelDescription,
)
from bort.network.head import SPAN, SPAN_OUTPUTS, HeadDescription, span_head
from bort.network.parameter_names import (
    HEAD,
    SPAN_HEAD,
    ParameterRow,
    name_in,
    places,
    shape_of,
)
from bort.storage.json_fields import JsonFields, errors_naming
from bort.text.vocabularies import load_vocabulary

log = logging.getLogger(__name__)


class Imported(NamedTuple):
    """The content of a folder.

    Attributes:
        network: the weights and their description.
        left_out: names of the tensors that were left out, such as a next-sentence head.
        from_here: whether this toolkit exported the folder and it is unchanged.
        folder: place of the config, the weights and the tokenizer: the folder itself, or one in it
            if sentence-transformers says so.
        converted: types of stored numbers, such as `BF16`, that became float32.
    """

    network: ArrayNetwork
    left_out: Tuple[str, ...]
    from_here: bool
    folder: Path
    converted: Tuple[str, ...] = ()


def read_huggingface(folder: Path) -> Imported:
    """Read `config.json` and the weights; `load_vocabulary` reads the tokenizer.

    Raises:
        InputError: a file, field or tensor is missing, damaged or has the wrong type; the message
            names it.
    """
    sentences = read_sentence_folder(folder)
    folder = sentences.transformer
    config = read_config(folder)
    record = _read_record(folder)
    _check_padding(config, folder)
    weights = with_current_names(read_weights(folder), config.model_type, tied=config.ties)
    parts = _parts(config, weights)
    arrays, head, left_out = _arrays(config, weights, parts)
    architecture = config.architecture.replace(
        maximum_length=config.architecture.maximum_length - config.unused_positions
    )
    architecture = _token_types(architecture, arrays, record)
    marks = config.values.get(MARK) or {}
    if not isinstance(marks, dict):
        raise InputError(f"{config.path}: {MARK} is {marks!r}, allowed is an object")
    kind = SPAN if parts.spans else ""
    if head:
        kind, head_arrays = without_tanh(head, marks.get("head"), str(config.path))
        arrays.update(head_arrays)
    elif marks.get("pooler") == "zeros" and not any(
        array.any() for name, array in arrays.items() if name.startswith("pooler.")
    ):
        arrays = {k: v for k, v in arrays.items() if not k.startswith("pooler.")}
    description = _description(config, record, architecture, arrays, kind, parts.classes)
    if sentences.embedding is not None:
        within = sentences.embedding.within(architecture.maximum_length)
        description = description.replace(embedding=within)
    if record.get("embedding") not in (None, description.embedding_if_any().get("embedding")):
        raise InputError(
            f"{folder}: the settings of embeddings were changed after the export{EXPORT.advice}"
        )
    activation = sentences.activation or activation_of(config.values)
    if kind and activation:
        log.warning("%s: answers are computed from the outputs before %s", config.path, activation)
    if record:
        extra = JsonFields.of(record["extra"], str(folder / RECORD_FILE), "extra")
        description = description.with_extra(extra)
    elif "vocabulary" in marks:
        fingerprint = JsonFields(marks, str(config.path), MARK).text("vocabulary")
        description = description.replace(vocabulary_fingerprint=fingerprint)
    with errors_naming(str(weights.path)):
        network = ArrayNetwork(description, arrays)
    shift = marks.get("residual_shift", 0)
    if type(shift) is not int or abs(shift) > 62:
        raise InputError(f"{config.path}: {MARK}.residual_shift is {shift!r}, allowed is -62 to 62")
    if shift:
        network = shift_residual(network, -shift)
    if QKV_MARK in marks:
        with errors_naming(f"{config.path}: {MARK}"):
            network = with_narrow_attention(network, marks[QKV_MARK], marks.get(HEADS_MARK))
    if record:
        with errors_naming(str(folder / RECORD_FILE)):
            epsilon = float(record["decoder_layer_norm_eps"])
            network = network.replace(decoder_layer_norm_eps=epsilon)
    _say(config, weights, left_out)
    return Imported(network, left_out, bool(record), folder, weights.converted)


def _check_padding(config: HuggingFaceConfig, folder: Path) -> None:
    """Refuse a RoBERTa whose `pad_token_id` is not the padding of its own tokenizer.

    RoBERTa gives every token with that id the position of padding. Here positions count up from the
    first token, which is the same only if the id never stands for another token.
    """
    if config.model_type != "roberta":
        return
    try:
        pad_id = load_vocabulary(folder).pad_id
    except InputError:  # another vocabulary may be given; whoever reads this one is told
        return
    given = config.unused_positions - 1
    if given != pad_id:
        raise InputError(
            f"{config.path}: pad_token_id is {given}, allowed is {pad_id}, the id of the "
            "tokenizer's padding token: RoBERTa counts positions from it"
        )


class _Parts(NamedTuple):
    """The parts that are read besides embeddings and layers.

    `classes` is 0 without a head, and `spans` is true if the head is that of a span model.
    """

    pooler: bool
    decoder: bool
    tied: bool
    classes: int
    spans: bool


def _parts(config: HuggingFaceConfig, weights: Weights) -> _Parts:
    """Return the parts to read: those of the folder's class, or those there are without a class."""
    tensors, model_type, kind = weights.tensors, config.model_type, config.kind
    pooler = f"{model_type}.pooler.dense.weight" in tensors
    last, bias = (name_in(place, model_type) for place in HEAD[2:])
    if kind is None:
        # A classifier of tokens has no pooler in BERT, and other names in RoBERTa.
        whole = bias in tensors and (pooler or model_type == "roberta")
        other = OTHER_HEAD if bias in tensors else None
        is_span = all(name_in(place, model_type) in tensors for place in SPAN_HEAD)
        kind = CLASSIFIER if whole else QUESTION_ANSWERING if is_span else other
    classes = 0
    if kind == CLASSIFIER:
        classes = max(1, len(_take(weights, last, None))) if last in tensors else 1
        # In BERT, the pooler of a classifier is the first layer of its head; RoBERTa's ignores it.
        pooler = False
    if kind == QUESTION_ANSWERING:
        classes, pooler = SPAN_OUTPUTS, False
    wanted = "cls.predictions.transform." if model_type == "bert" else "lm_head.dense."
    has_decoder = any(name.startswith(wanted) for name in tensors)
    reads_decoder = has_decoder and kind not in (ENCODER, OTHER_HEAD)
    decoder = kind == MASKED_LM or reads_decoder
    if decoder and model_type == "roberta" and function_of(config.activation) != ERF:
        raise InputError(
            f"{config.path}: hidden_act is {config.activation!r}, allowed with RoBERTa's decoder, "
            "which has a gelu of its own, is 'gelu'"
        )
    tied = not decoder or _is_tied(config, weights)
    return _Parts(pooler, decoder, tied, classes, kind == QUESTION_ANSWERING)


def _is_tied(config: HuggingFaceConfig, weights: Weights) -> bool:
    """Return whether the decoder's matrix is the token embedding.

    As in Transformers, a matrix of its own is used even if the config says that both are tied.
    """
    name = f"{DECODERS[config.model_type]}.weight"
    if name not in weights.tensors:
        return config.ties
    embedding = weights.tensors.get(f"{config.model_type}.{WORD_EMBEDDINGS}")
    return embedding is not None and np.array_equal(weights.tensors[name], embedding)


def _say(config: HuggingFaceConfig, weights: Weights, left_out: Tuple[str, ...]) -> None:
    """Log what of the folder is converted or not used."""
    folder = config.path.parent
    if weights.converted:
        types = ", ".join(weights.converted)
        log.info("%s: weights in %s are converted to float32", folder, types)
    if left_out:
        names = ", ".join(left_out[:4]) + (", …" if len(left_out) > 4 else "")
        what = f"{config.class_name}: " if config.class_name else ""
        if config.kind == OTHER_HEAD:
            what += "this kind of head is not read, the encoder is imported alone; "
        log.warning("%s: %stensors that are left out: %s", folder, what, names)


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
        fraction_in(record, name, -1, path)
    sealed.verify()
    return record


def _arrays(
    config: HuggingFaceConfig, weights: Weights, parts: _Parts
) -> Tuple[Arrays, Arrays, Tuple[str, ...]]:
    """Return arrays by this toolkit's names, those of a classifier's head, and names left out."""
    used: List[str] = []

    def take(place: ParameterRow) -> np.ndarray:
        name = name_in(place, config.model_type)
        used.append(name)
        return _take(weights, name, shape_of(place, config.architecture, parts.classes))

    rows = places(
        config.architecture,
        decoder=parts.decoder,
        tied=parts.tied,
        pooler=parts.pooler,
        head=SPAN if parts.spans else "",
        token_types=True,
    )
    arrays = {place.gluon: take(place) for place in rows}
    head = {place.gluon: take(place) for place in HEAD} if parts.classes and not parts.spans else {}
    if config.unused_positions:
        positions = arrays["encoder.position_weight"][config.unused_positions :]
        arrays["encoder.position_weight"] = np.ascontiguousarray(positions)
    if parts.decoder:
        decoder = DECODERS[config.model_type]
        used += [f"{decoder}.weight", f"{decoder}.bias"]
        if f"{decoder}.bias" in weights.tensors:
            # Transformers 4 has one bias under two names, Transformers 5 computes with this one.
            shape = (config.architecture.vocabulary_size,)
            arrays["decoder.3.bias"] = _take(weights, f"{decoder}.bias", shape)
    left_out = tuple(sorted({*weights.tensors, *weights.others} - set(used)))
    return arrays, head, left_out


def _take(weights: Weights, name: str, shape: Optional[Tuple[int, ...]]) -> np.ndarray:
    """Return a tensor; None allows any shape with one extent at least."""
    if name not in weights.tensors:
        kind = weights.others.get(name)
        problem = f"is {kind}, allowed are floats" if kind else "is missing"
        raise InputError(f"{weights.path}: the tensor {name!r} {problem}")
    array = weights.tensors[name]
    if array.shape != shape if shape is not None else not array.ndim:
        expected = shape or "(classes, hidden)"
        raise InputError(
            f"{weights.path}: the tensor {name!r} has shape {array.shape}, expected {expected}"
        )
    if not np.isfinite(array).all():
        raise InputError(f"{weights.path}: the tensor {name!r} holds a number that is not finite")
    return array


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
    config: HuggingFaceConfig,
    record: Mapping[str, Any],
    architecture: Architecture,
    arrays: Arrays,
    kind: str,
    classes: int,
) -> ModelDescription:
    """Return the description of the network; `kind` is the kind of its head, "" for none."""
    head: Optional[HeadDescription] = None
    if kind == SPAN:
        # The folder's class has no dropout there, and neither labels nor a problem type.
        head = span_head(float(record.get("head_dropout", 0)))
    else:
        head_dropout = _head_dropout(config, record)
        with errors_naming(str(config.path)):
            problem = problem_type_in(config.values, classes)
            if kind:
                labels = label_names(config.values, classes, config.path)
                head = HeadDescription(kind, classes, labels, head_dropout, problem)
    return ModelDescription(
        architecture,
        head,
        has_decoder=any(name.startswith("decoder.") for name in arrays),
        has_pooler=any(name.startswith("pooler.") for name in arrays),
        layer_norm_eps=config.layer_norm_eps,
        decoder_layer_norm_eps=config.layer_norm_eps,
        dropout=config.dropout,
        activation=config.activation,
        tied_decoder="decoder.3.weight" not in arrays,
    )


def _head_dropout(config: HuggingFaceConfig, record: Mapping[str, Any]) -> float:
    if "head_dropout" in record:
        return float(record["head_dropout"])
    if config.values.get("classifier_dropout") is None:
        return config.dropout
    return config.fraction("classifier_dropout", config.dropout)
