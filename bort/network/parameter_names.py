"""The table of parameters: their names in this toolkit, in BERT folders and in RoBERTa folders.

The table serves reading and writing. `{layer}` stands for the index of an encoder layer. Shapes are
written with the letters of the architecture: V vocabulary, S positions, N token types, H
hidden, I intermediate, Q attention, C classes.

The Gluon names of the feed-forward part are misleading; comparing outputs shows that `proj` is the
dense layer after the attention, `ffn.ffn_1` widens from H to I, and `ffn.ffn_2` narrows from I to
H. The `layer_norm` of a layer follows the attention, that of its `ffn` follows the feed-forward
part. In a pre-norm network they precede these parts, and `final_norm` follows the last layer.

The last column is the power of c by which a parameter is multiplied when the residual stream is
multiplied by c. See `bort.formats.huggingface.residual`.
"""

from __future__ import annotations

from typing import Iterator, Mapping, NamedTuple, Tuple

from bort.architecture import PRE_NORM, Architecture
from bort.errors import InputError
from bort.network.head import ONE_LINEAR, RELEASE, SPAN, TWO_LINEAR


class ParameterRow(NamedTuple):
    """The names and the shape of one parameter.

    Attributes:
        gluon: its name in the structure of a `BortModel`, or of the head of a `BortClassifier` or
            `BortSpanModel`.
        bert: its name in a folder of type `bert`, or `megatron-bert` for a pre-norm network; names
            of the encoder follow `bert.`.
        roberta: its name in a folder of type `roberta`; names of the encoder follow `roberta.`.
        shape: one letter per dimension.
        residual_power: the power of c, see above.
    """

    gluon: str
    bert: str
    roberta: str
    shape: str
    residual_power: int = 0


def _same(gluon: str, name: str, shape: str, residual_power: int = 0) -> ParameterRow:
    return ParameterRow(gluon, name, name, shape, residual_power)


EMBEDDING_ROWS: Tuple[ParameterRow, ...] = (
    _same("word_embed.0.weight", "embeddings.word_embeddings.weight", "VH", 1),
    _same("encoder.position_weight", "embeddings.position_embeddings.weight", "SH", 1),
    _same("token_type_embed.0.weight", "embeddings.token_type_embeddings.weight", "NH", 1),
)
EMBEDDING_NORM: Tuple[ParameterRow, ...] = (
    _same("encoder.layer_norm.gamma", "embeddings.LayerNorm.weight", "H", 1),
    _same("encoder.layer_norm.beta", "embeddings.LayerNorm.bias", "H", 1),
)

_CELL = "encoder.transformer_cells.{layer}."
_LAYER = "encoder.layer.{layer}."
LAYER: Tuple[ParameterRow, ...] = tuple(
    _same(_CELL + gluon, _LAYER + name, shape, power)
    for gluon, name, shape, power in (
        ("attention_cell.proj_query.weight", "attention.self.query.weight", "QH", -1),
        ("attention_cell.proj_query.bias", "attention.self.query.bias", "Q", 0),
        ("attention_cell.proj_key.weight", "attention.self.key.weight", "QH", -1),
        ("attention_cell.proj_key.bias", "attention.self.key.bias", "Q", 0),
        ("attention_cell.proj_value.weight", "attention.self.value.weight", "QH", -1),
        ("attention_cell.proj_value.bias", "attention.self.value.bias", "Q", 0),
        ("proj.weight", "attention.output.dense.weight", "HQ", 1),
        ("proj.bias", "attention.output.dense.bias", "H", 1),
        ("layer_norm.gamma", "attention.output.LayerNorm.weight", "H", 1),
        ("layer_norm.beta", "attention.output.LayerNorm.bias", "H", 1),
        ("ffn.ffn_1.weight", "intermediate.dense.weight", "IH", -1),
        ("ffn.ffn_1.bias", "intermediate.dense.bias", "I", 0),
        ("ffn.ffn_2.weight", "output.dense.weight", "HI", 1),
        ("ffn.ffn_2.bias", "output.dense.bias", "H", 1),
        ("ffn.layer_norm.gamma", "output.LayerNorm.weight", "H", 1),
        ("ffn.layer_norm.beta", "output.LayerNorm.bias", "H", 1),
    )
)


def _of_pre_norm(place: ParameterRow) -> ParameterRow:
    """Return the row of a pre-norm layer, in which the layer norms alone read the residual stream.

    MegatronBERT calls them `ln`, next to the part that they precede.
    """
    name = place.bert.replace("attention.output.LayerNorm.", "attention.ln.")
    name = name.replace("output.LayerNorm.", "ln.")
    power = 0 if "layer_norm" in place.gluon else max(0, place.residual_power)
    return _same(place.gluon, name, place.shape, power)


PRE_NORM_LAYER: Tuple[ParameterRow, ...] = tuple(map(_of_pre_norm, LAYER))
FINAL_NORM: Tuple[ParameterRow, ...] = (
    _same("encoder.final_norm.gamma", "encoder.ln.weight", "H"),
    _same("encoder.final_norm.beta", "encoder.ln.bias", "H"),
)

POOLER: Tuple[ParameterRow, ...] = (
    _same("pooler.weight", "pooler.dense.weight", "HH"),
    _same("pooler.bias", "pooler.dense.bias", "H"),
)

# The matrix of a tied decoder is the token embedding, so it has no row here.
_TRANSFORM = "cls.predictions.transform."
DECODER: Tuple[ParameterRow, ...] = (
    ParameterRow("decoder.0.weight", _TRANSFORM + "dense.weight", "lm_head.dense.weight", "HH"),
    ParameterRow("decoder.0.bias", _TRANSFORM + "dense.bias", "lm_head.dense.bias", "H"),
    ParameterRow(
        "decoder.2.gamma", _TRANSFORM + "LayerNorm.weight", "lm_head.layer_norm.weight", "H", -1
    ),
    ParameterRow(
        "decoder.2.beta", _TRANSFORM + "LayerNorm.bias", "lm_head.layer_norm.bias", "H", -1
    ),
    ParameterRow("decoder.3.bias", "cls.predictions.bias", "lm_head.bias", "V"),
)

UNTIED_DECODER = ParameterRow(
    "decoder.3.weight", "cls.predictions.decoder.weight", "lm_head.decoder.weight", "VH", 1
)

# The head of a classifier: tanh(dense), then dense. A `linear` head has only the last two rows, as
# `classifier.1`; see `bort.formats.huggingface.heads`.
HEAD: Tuple[ParameterRow, ...] = (
    ParameterRow(
        "classifier.1.weight", "bert.pooler.dense.weight", "classifier.dense.weight", "HH"
    ),
    ParameterRow("classifier.1.bias", "bert.pooler.dense.bias", "classifier.dense.bias", "H"),
    ParameterRow("classifier.3.weight", "classifier.weight", "classifier.out_proj.weight", "CH"),
    ParameterRow("classifier.3.bias", "classifier.bias", "classifier.out_proj.bias", "C"),
)
LINEAR_HEAD: Tuple[ParameterRow, ...] = (
    ParameterRow("classifier.1.weight", "classifier.weight", "classifier.out_proj.weight", "CH"),
    ParameterRow("classifier.1.bias", "classifier.bias", "classifier.out_proj.bias", "C"),
)

# The head of a span model, which reads every token.
SPAN_HEAD: Tuple[ParameterRow, ...] = (
    _same("qa_outputs.weight", "qa_outputs.weight", "CH"),
    _same("qa_outputs.bias", "qa_outputs.bias", "C"),
)

_ROWS_OF_HEADS: Mapping[str, Tuple[ParameterRow, ...]] = {
    "": (),
    RELEASE: HEAD,
    ONE_LINEAR: LINEAR_HEAD,
    TWO_LINEAR: HEAD,
    SPAN: SPAN_HEAD,
}
HEAD_PREFIXES = ("classifier.", "qa_outputs.")
"""Beginnings of the Gluon names of heads' parameters; no other parameter has one of them."""

MODEL_TYPES = ("bert", "roberta")


def places(
    architecture: Architecture,
    *,
    decoder: bool = False,
    tied: bool = True,
    pooler: bool = False,
    head: str = "",
    token_types: bool = False,
) -> Iterator[ParameterRow]:
    """Yield the rows of a network's parameters, `{layer}` filled in, encoder names with prefix.

    Args:
        architecture: sizes of the network.
        decoder: whether it has the masked-token decoder.
        tied: whether the decoder's matrix is the token embedding.
        pooler: whether it has a pooler.
        head: kind of the head, one of `bort.network.head.HEAD_KINDS`; "" for none.
        token_types: whether to yield the row of token types even if the architecture has none.
    """
    for place in EMBEDDING_ROWS:
        if "N" not in place.shape or architecture.token_types or token_types:
            yield _complete(place)
    pre_norm = architecture.norm == PRE_NORM
    if not pre_norm:
        yield from map(_complete, EMBEDDING_NORM)
    for layer in range(architecture.depth):
        for place in PRE_NORM_LAYER if pre_norm else LAYER:
            last = layer == architecture.depth - 1 and ".ffn.layer_norm." in place.gluon
            yield _complete(_numbered(place, layer, 0 if last else place.residual_power))
    if pre_norm:
        yield from map(_complete, FINAL_NORM)
    if pooler:
        yield from map(_complete, POOLER)
    if decoder:
        yield from DECODER
        if not tied:
            yield UNTIED_DECODER
    yield from _ROWS_OF_HEADS[head]


def shape_of(place: ParameterRow, architecture: Architecture, classes: int = 0) -> Tuple[int, ...]:
    """Return the shape of a parameter.

    >>> shape_of(LAYER[10], Architecture(4, 8, 1024, 768))
    (768, 1024)
    """
    sizes = {
        "V": architecture.vocabulary_size,
        "S": architecture.maximum_length,
        "N": architecture.token_types,
        "H": architecture.hidden,
        "I": architecture.intermediate,
        "Q": architecture.qkv,
        "C": classes,
    }
    return tuple(sizes[letter] for letter in place.shape)


def name_in(place: ParameterRow, model_type: str) -> str:
    """Return the name of a completed row in a folder of a type.

    Raises:
        InputError: the type is unknown.
    """
    if model_type not in MODEL_TYPES:
        raise InputError(f"model type {model_type!r}, allowed are {', '.join(MODEL_TYPES)}")
    return place.bert if model_type == "bert" else place.roberta


def _complete(place: ParameterRow) -> ParameterRow:
    return place._replace(bert=f"bert.{place.bert}", roberta=f"roberta.{place.roberta}")


def _numbered(place: ParameterRow, layer: int, power: int) -> ParameterRow:
    gluon, bert, roberta = (
        text.replace("{layer}", str(layer)) for text in (place.gluon, place.bert, place.roberta)
    )
    return ParameterRow(gluon, bert, roberta, place.shape, power)
