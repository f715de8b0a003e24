"""Writes a network as a Hugging Face folder: plain BERT, which every version of Transformers opens.

The class is `BertForMaskedLM` for a network with a decoder, `BertForSequenceClassification` for a
classifier, `BertForQuestionAnswering` for a span model, `BertModel` otherwise. A pre-norm network
becomes a MegatronBERT, with the classes `MegatronBertForMaskedLM` and so on. Parts of BERT that the
network lacks are filled without effect: token types with zeros, and the pooler of a `BertModel`
with zeros (its pooled output is then zero).
`bort.formats.huggingface.heads` converts a head without tanh, and
`bort.formats.huggingface.narrow_attention` an attention narrower than the hidden size.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional

import numpy as np

from bort.architecture import POST_NORM, PRE_NORM
from bort.errors import InputError
from bort.formats.huggingface.config import BERT_FAMILY, CONFIG_FILE, MARK, MEGATRON_FAMILY
from bort.formats.huggingface.heads import with_tanh
from bort.formats.huggingface.model_card import model_card
from bort.formats.huggingface.narrow_attention import HEADS_MARK, QKV_MARK, with_wide_attention
from bort.formats.huggingface.pair_template import fit_pair_form
from bort.formats.huggingface.residual import residual_shift, shift_residual
from bort.formats.huggingface.sentence_transformers import write_sentence_files
from bort.formats.huggingface.tensor_file import TENSORS_FILE, write_tensors
from bort.formats.huggingface.tensor_names import DECODERS
from bort.formats.huggingface.tokenizer import write_tokenizer
from bort.network.array_network import ArrayNetwork
from bort.network.description import (
    CLASSIFIER,
    ENCODER,
    MASKED_LM,
    QUESTION_ANSWERING,
    ModelDescription,
    check_vocabulary,
)
from bort.network.parameter_names import HEAD, POOLER, SPAN_HEAD, places
from bort.storage.files import atomic_write, write_json
from bort.storage.sealed_folder import SealedFile, SealedFormat
from bort.text.vocabulary import Vocabulary

RECORD_FILE = "bort.json"
CARD_FILE = "README.md"
EXPORT = SealedFormat(
    RECORD_FILE,
    "the record of an export",
    lambda record: [SealedFile(name, digest) for name, digest in record["files"].items()],
    version=1,
    damage="is damaged or was changed after the export",
    advice=f" (delete {RECORD_FILE} to import the folder as it is)",
)
_FAMILIES = {POST_NORM: ("Bert", BERT_FAMILY), PRE_NORM: ("MegatronBert", MEGATRON_FAMILY)}
"""Start of the name of the class, and the value of `model_type`."""

_CLASSES = {
    CLASSIFIER: "ForSequenceClassification",
    QUESTION_ANSWERING: "ForQuestionAnswering",
    MASKED_LM: "ForMaskedLM",
    ENCODER: "Model",
}
_HEAD_ROWS = {CLASSIFIER: HEAD, QUESTION_ANSWERING: SPAN_HEAD}
_ZERO_TOKEN_TYPES = 2
_NO_HEAD_DROPOUT = 0.1
"""The default of the record for a model without a head."""

FolderCheck = Callable[[Path], Mapping[str, Any]]


def write_huggingface(
    folder: Path,
    network: ArrayNetwork,
    vocabulary: Optional[Vocabulary],
    *,
    exact_decoder: bool = False,
    check: Optional[FolderCheck] = None,
) -> None:
    """Write `config.json`, `model.safetensors`, tokenizer files, `README.md` and `bort.json`.

    A model that says how embeddings are computed gets the files of sentence-transformers too.

    `bort.json` is written last. It holds the SHA-256 of the other files, and everything that
    Hugging Face's format has no field for. An import works without it, but cannot then detect
    damage.

    Args:
        folder: receives the files; preferably a new one (see `bort.storage.files.new_folder`).
        network: the network to write.
        vocabulary: its vocabulary; None writes no tokenizer.
        exact_decoder: keep the decoder's own ε exactly; the weights are then for inference in
            float32 only (`bort.formats.huggingface.residual`). Otherwise the decoder is computed
            with the encoder's ε, which changes logits by about (ε - ε')/2v relative to their size,
            where v is the variance before the decoder's layer norm.
        check: called with the folder when the model is written; its result goes into the card.

    Raises:
        InputError: the network cannot be converted, or the vocabulary does not fit it.
    """
    model = network.description
    if model.head is not None and model.has_pooler:
        if model.head.is_span:
            raise InputError(
                "the span model's encoder has a pooler, BertForQuestionAnswering has none"
            )
        raise InputError("the classifier's encoder has its own pooler, BERT has only one")
    if vocabulary is not None:
        check_vocabulary(model, vocabulary)
    shift = residual_shift(network) if exact_decoder and model.has_decoder else 0
    written = shift_residual(network, shift) if shift else network
    marks: Dict[str, Any] = {}
    if shift:
        marks["residual_shift"] = shift
    sizes = network.architecture
    if sizes.qkv != sizes.hidden:
        written = with_wide_attention(written)
        marks[QKV_MARK] = sizes.qkv
        if written.architecture.heads != sizes.heads:
            marks[HEADS_MARK] = sizes.heads
    tensors = _tensors(written, marks)
    fingerprint = model.vocabulary_fingerprint or getattr(vocabulary, "fingerprint", None)
    if fingerprint:
        marks["vocabulary"] = fingerprint
    write_tensors(folder / TENSORS_FILE, tensors)
    write_json(folder / CONFIG_FILE, {**_config(written.description, vocabulary), MARK: marks})
    if model.embedding is not None:
        write_sentence_files(folder, model.embedding, model.architecture.hidden)
    notes = []
    if vocabulary is not None:
        notes = write_tokenizer(folder, vocabulary, network.architecture.maximum_length)
        pairs = model.pair_form(vocabulary)
        fit_pair_form(folder, vocabulary, pairs, network.architecture.token_types)
    checks = check(folder) if check is not None else {}
    with atomic_write(folder / CARD_FILE) as stream:
        stream.write(model_card(network, marks, notes, checks).encode("utf-8"))
    _write_record(folder, model)


def _config(model: ModelDescription, vocabulary: Optional[Vocabulary]) -> Dict[str, Any]:
    """Return the fields of `config.json`, without this toolkit's marks."""
    architecture = model.architecture
    family, model_type = _FAMILIES[architecture.norm]
    config: Dict[str, Any] = {
        "architectures": [family + _CLASSES[model.purpose]],
        "model_type": model_type,
        "vocab_size": architecture.vocabulary_size,
        "hidden_size": architecture.hidden,
        "num_hidden_layers": architecture.depth,
        "num_attention_heads": architecture.heads,
        "intermediate_size": architecture.intermediate,
        "hidden_act": model.activation,
        "hidden_dropout_prob": model.dropout,
        "attention_probs_dropout_prob": model.dropout,
        "max_position_embeddings": architecture.maximum_length,
        "type_vocab_size": architecture.token_types or _ZERO_TOKEN_TYPES,
        "initializer_range": 0.02,
        "layer_norm_eps": model.layer_norm_eps,
        "position_embedding_type": "absolute",
        "tie_word_embeddings": model.tied_decoder,
        "torch_dtype": "float32",
    }
    if vocabulary is not None:
        config["pad_token_id"] = vocabulary.pad_id
        config["bos_token_id"] = vocabulary.bos_id
        config["eos_token_id"] = vocabulary.eos_id
    else:
        config["pad_token_id"] = None
    if model.purpose == CLASSIFIER:
        assert model.head is not None
        names = model.labels or tuple(f"LABEL_{number}" for number in range(model.num_classes))
        config["classifier_dropout"] = model.head.dropout
        config["id2label"] = {str(number): name for number, name in enumerate(names)}
        config["label2id"] = {name: number for number, name in enumerate(names)}
        config["problem_type"] = model.head.problem_type
    return config


def _tensors(network: ArrayNetwork, marks: Dict[str, Any]) -> Dict[str, np.ndarray]:
    """Return all tensors by their names in the folder; add the head's mark to `marks`."""
    model, arrays = network.description, dict(network.arrays)
    architecture = model.architecture
    if not architecture.token_types:
        shape = (_ZERO_TOKEN_TYPES, architecture.hidden)
        arrays["token_type_embed.0.weight"] = np.zeros(shape, np.float32)
    if model.purpose == CLASSIFIER:
        arrays = {k: v for k, v in arrays.items() if not k.startswith("classifier.")}
        head, mark = with_tanh(network)
        arrays.update(head)
        if mark:
            marks["head"] = mark
    pooler = model.has_pooler
    if model.purpose == ENCODER and not pooler:
        hidden = architecture.hidden
        arrays[POOLER[0].gluon] = np.zeros((hidden, hidden), np.float32)
        arrays[POOLER[1].gluon] = np.zeros(hidden, np.float32)
        marks["pooler"] = "zeros"
        pooler = True
    rows = [
        *places(
            architecture,
            decoder=model.has_decoder,
            tied=model.tied_decoder,
            pooler=pooler,
            token_types=True,
        ),
        *_HEAD_ROWS.get(model.purpose, ()),
    ]
    tensors = {place.bert: arrays[place.gluon] for place in rows}
    if model.has_decoder and not model.tied_decoder:
        # In an untied decoder, Transformers 5 does not tie the bias either.
        tensors[f"{DECODERS['bert']}.bias"] = arrays["decoder.3.bias"]
    return tensors


def _write_record(folder: Path, model: ModelDescription) -> None:
    writer = EXPORT.writer(folder)
    # A record lists plain names: the settings of embeddings, which are in a folder of their own
    # too, are compared with the record's copy instead.
    for name in sorted(path.name for path in folder.iterdir() if path.is_file()):
        if name not in (RECORD_FILE, CARD_FILE):
            writer.include(name)
    record = {
        "files": writer.hashes,
        "decoder_layer_norm_eps": model.decoder_layer_norm_eps,
        "token_types": model.architecture.token_types,
        "head_dropout": _NO_HEAD_DROPOUT if model.head is None else model.head.dropout,
        **model.embedding_if_any(),
        "extra": model.extra(),
    }
    writer.seal(record)
