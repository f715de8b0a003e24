"""Builds a network as an ONNX graph with `onnx.helper`, in patterns that engines fuse.

Queries, keys and values are separate products with separate additions. The attention scores are
divided by a constant. The mask is added as `(1 - mask)` times a large negative number. GELU is
written as `½ · x · (1 + erf(x / √2))`, in this order of operators: divide, erf, add, multiply,
multiply. ONNX Runtime and OpenVINO replace these patterns by fused kernels. Layer norms are the
operator of opset 17, each with its own ε. Batch size and length are dynamic.

In int8, every product with a constant matrix is an integer product. A column w of the matrix
becomes round(w / s) with s = max|w| / 63, the activations get a scale and a zero point at run time,
and the sum of the products is multiplied by both scales. Attention's own products, layer norms,
embeddings and the head stay in float32. The factor 63 is half the range: processors
without VNNI add two products in 16 bits, and 2 · 255 · 127 does not fit.

With int8 weights, only the matrices are rounded, with s = max|w| / 127; products are in float32.
OpenVINO keeps such matrices compressed in memory and widens them while it computes.

Batch size, length and width of the embedded tokens are written into the graph. No engine can infer
that the slice of positions is as long as the input, and ONNX Runtime fuses a residual sum with the
following layer norm only if it knows that both terms have the same shape. In a pre-norm network it
fuses the last sum only, because the others are used twice. In the attention, ONNX Runtime fuses the
scale with the product and nothing else, since its attention operator matches patterns of earlier
opsets only. OpenVINO fuses everything between the projections into one kernel.
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from bort.architecture import PRE_NORM
from bort.errors import InputError
from bort.formats.precisions import FP32, INT8, INT8_WEIGHTS
from bort.network.activations import (
    ERF,
    QUICK,
    QUICK_SCALE,
    RELU,
    TANH,
    TANH_CUBE,
    TANH_SCALE,
    function_of,
)
from bort.network.array_network import ArrayNetwork
from bort.network.description import MASKED_LM
from bort.network.head import ONE_LINEAR, PADDED_LOGIT, RELEASE, SPAN_OUTPUTS
from bort.process.packages import explained_import

OPSET = 17
IR_VERSION = 8
INPUT_IDS, ATTENTION_MASK = "input_ids", "attention_mask"
TOKEN_TYPE_IDS, MASKED_POSITIONS = "token_type_ids", "masked_positions"
GRAPH_PRECISIONS = (FP32, INT8, INT8_WEIGHTS)
HIDDEN, LOGITS = "last_hidden_state", "logits"
MASKED_SCORE = -10000.0
_LARGEST_WEIGHT = 63
_LARGEST_FILE = 2**31 - 2**20
_LARGE_BYTES = 1024


class MemoryGraph(NamedTuple):
    """A graph whose large constants are not copied into it.

    Attributes:
        model: an `onnx.ModelProto`; its large constants have a name, a type and a shape only.
        constants: the values of the large constants by name. They share the memory of the network's
            arrays, but for matrices, which are transposed.
    """

    model: Any
    constants: Dict[str, np.ndarray]


def build_onnx(
    network: ArrayNetwork,
    *,
    precision: str = FP32,
    masked_positions: bool = False,
    metadata: Optional[Mapping[str, str]] = None,
) -> Any:
    """Build the graph of `build_graph` with all its constants, as a file holds it.

    Arguments are as in `build_graph`.

    Returns:
        An `onnx.ModelProto`.

    Raises:
        InputError: as in `build_graph`, or the file would exceed 2 GiB.
    """
    total = sum(array.nbytes for array in network.arrays.values())
    if total > _LARGEST_FILE:
        raise InputError(f"the weights take {total} bytes, an ONNX file holds {_LARGEST_FILE}")
    model, constants = build_graph(
        network, precision=precision, masked_positions=masked_positions, metadata=metadata
    )
    for tensor in model.graph.initializer:
        if tensor.name in constants:
            tensor.raw_data = constants.pop(tensor.name).tobytes()
    return model


def build_graph(
    network: ArrayNetwork,
    *,
    precision: str = FP32,
    masked_positions: bool = False,
    metadata: Optional[Mapping[str, str]] = None,
) -> MemoryGraph:
    """Build the graph.

    Inputs, all int64: `input_ids` (B, L); `attention_mask` (B, L), 1 at tokens and 0 at padding;
    `token_type_ids` (B, L) if the network has token types; `masked_positions` (B, P) on request.

    Outputs, float32: `logits` (B, C) of a classifier; `logits` (B, L, 2) of a span model, of a
    span's start and of its end, both `PADDED_LOGIT` at padding; `logits` (B, L, V) of a network
    with a decoder, or (B, P, V) at the masked positions; and last, for every network,
    `last_hidden_state` (B, L, H), zero at padding.

    Args:
        network: the network to build.
        precision: `fp32`, `int8` or `int8_weights`.
        masked_positions: decode at given positions only, which saves computation.
        metadata: strings to store in the model.

    Raises:
        InputError: as in `onnx_package`, the precision is unknown, or `masked_positions` is set for
            a network without a decoder.
    """
    if precision not in GRAPH_PRECISIONS:
        raise InputError(f"precision is {precision!r}, allowed are {', '.join(GRAPH_PRECISIONS)}")
    if masked_positions and network.description.purpose != MASKED_LM:
        raise InputError("masked_positions: the network has no masked-token decoder in use")
    onnx = onnx_package()
    graph = _Graph(network, onnx, precision)
    inputs = [(INPUT_IDS, ("batch", "length")), (ATTENTION_MASK, ("batch", "length"))]
    if network.architecture.token_types:
        inputs.append((TOKEN_TYPE_IDS, ("batch", "length")))
    if masked_positions:
        inputs.append((MASKED_POSITIONS, ("batch", "predictions")))
    outputs = graph.build(masked_positions)
    proto, helper = onnx.TensorProto, onnx.helper
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "bort",
            [helper.make_tensor_value_info(name, proto.INT64, dims) for name, dims in inputs],
            [helper.make_tensor_value_info(name, proto.FLOAT, dims) for name, dims in outputs],
            graph.initializers,
            value_info=graph.value_info,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="bort",
        ir_version=IR_VERSION,
    )
    helper.set_model_props(model, dict(metadata or {}))
    return MemoryGraph(model, graph.large)


def onnx_package() -> Any:
    """Return the onnx package.

    Raises:
        InputError: onnx is not installed, or cannot be imported.
    """
    with explained_import("onnx", "onnx"):
        import onnx
    return onnx


class _Graph:
    """Nodes and constants of a graph, in the order of computation; see `MemoryGraph.constants`."""

    def __init__(self, network: ArrayNetwork, onnx: Any, precision: str) -> None:
        self.nodes: List[Any] = []
        self.initializers: List[Any] = []
        self.large: Dict[str, np.ndarray] = {}
        self.value_info: List[Any] = []
        self._model = network.description
        self._is_pre_norm = network.architecture.norm == PRE_NORM
        self._arrays = network.arrays
        self._onnx = onnx
        self._precision = precision
        self._quantised: Dict[str, Tuple[str, str, str]] = {}
        self._constants: Dict[Tuple[str, bytes], str] = {}
        self._weights: Dict[str, str] = {}

    def build(self, masked_positions: bool) -> List[Tuple[str, Sequence[Any]]]:
        """Add all nodes; return names and shapes of the outputs."""
        architecture = self._model.architecture
        x = self._embed()
        mask = self._additive_mask()
        for layer in range(architecture.depth):
            x = self._layer(x, mask, layer)
        x = self._norm_before(x, "encoder.final_norm")
        counts = self._add("Cast", [ATTENTION_MASK], to=self._onnx.TensorProto.FLOAT)
        self._add("Mul", [x, self._unsqueeze(counts, -1)], output=HIDDEN)
        hidden = (HIDDEN, ("batch", "length", architecture.hidden))
        if self._model.head is not None and self._model.head.is_span:
            return [(self._span_head(x), ("batch", "length", SPAN_OUTPUTS)), hidden]
        if self._model.head is not None:
            outputs = self._head(x, self._model.head.kind)
            return [(outputs, ("batch", self._model.num_classes)), hidden]
        if self._model.has_decoder:
            if masked_positions:
                # (B, P) -> (B, P, 1), which gathers rows of every (L, H)
                positions = self._unsqueeze(MASKED_POSITIONS, -1)
                x = self._add("GatherND", [x, positions], batch_dims=1)
            length = "predictions" if masked_positions else "length"
            return [(self._decode(x), ("batch", length, architecture.vocabulary_size)), hidden]
        return [hidden]

    def _embed(self) -> str:
        # (V, H), (B, L) -> (B, L, H)
        x = self._add("Gather", [self._weight("word_embed.0.weight"), INPUT_IDS])
        if self._model.architecture.token_types:
            types = self._weight("token_type_embed.0.weight")
            x = self._add("Add", [x, self._add("Gather", [types, TOKEN_TYPE_IDS])])
        shape = self._add("Shape", [INPUT_IDS])
        length = self._add("Slice", [shape, self._integers([1]), self._integers([2])])
        table = self._weight("encoder.position_weight")
        zero = self._integers([0])
        positions = self._add("Slice", [table, zero, length, zero])
        x = self._add("Add", [x, positions])
        self.value_info.append(
            self._onnx.helper.make_tensor_value_info(
                x,
                self._onnx.TensorProto.FLOAT,
                ("batch", "length", self._model.architecture.hidden),
            )
        )
        return self._norm_after(x, "encoder.layer_norm")

    def _additive_mask(self) -> str:
        """Return (B, 1, 1, L): 0 at tokens, a large negative number at padding."""
        wide = self._unsqueeze(self._unsqueeze(ATTENTION_MASK, 1), 2)
        counts = self._add("Cast", [wide], to=self._onnx.TensorProto.FLOAT)
        padding = self._add("Sub", [self._number(1.0), counts])
        return self._add("Mul", [padding, self._number(MASKED_SCORE)])

    def _layer(self, x: str, mask: str, layer: int) -> str:
        architecture = self._model.architecture
        cell = f"encoder.transformer_cells.{layer}"
        read = self._norm_before(x, f"{cell}.layer_norm")
        # (B, L, H) -> (B, A, L, d)
        query, key, value = (
            self._split(self._dense(read, f"{cell}.attention_cell.proj_{part}"), part == "key")
            for part in ("query", "key", "value")
        )
        scores = self._add("MatMul", [query, key])
        scores = self._add("Div", [scores, self._number(math.sqrt(architecture.head_width))])
        chances = self._add("Softmax", [self._add("Add", [scores, mask])], axis=-1)
        # (B, A, L, d) -> (B, L, A, d) -> (B, L, Q)
        context = self._add("MatMul", [chances, value])
        context = self._add("Transpose", [context], perm=[0, 2, 1, 3])
        context = self._add("Reshape", [context, self._integers([0, 0, architecture.qkv])])
        y = self._norm_after(
            self._add("Add", [self._dense(context, f"{cell}.proj"), x]), f"{cell}.layer_norm"
        )
        read = self._norm_before(y, f"{cell}.ffn.layer_norm")
        inner = self._activate(self._dense(read, f"{cell}.ffn.ffn_1"))
        z = self._add("Add", [self._dense(inner, f"{cell}.ffn.ffn_2"), y])
        return self._norm_after(z, f"{cell}.ffn.layer_norm")

    def _split(self, x: str, transposed: bool) -> str:
        """(B, L, Q) -> (B, A, L, d), or (B, A, d, L)."""
        architecture = self._model.architecture
        shape = self._integers([0, 0, architecture.heads, architecture.head_width])
        perm = [0, 2, 3, 1] if transposed else [0, 2, 1, 3]
        return self._add("Transpose", [self._add("Reshape", [x, shape])], perm=perm)

    def _decode(self, x: str) -> str:
        """Return logits of (B, L, H); a tied matrix is the embedding, which is stored once."""
        inner = self._activate(self._dense(x, "decoder.0"))
        inner = self._norm(inner, "decoder.2", self._model.decoder_layer_norm_eps)
        if not self._model.tied_decoder:
            logits = self._product(inner, "decoder.3.weight")
        elif self._precision == FP32:
            matrix = self._add("Transpose", [self._weight("word_embed.0.weight")], perm=[1, 0])
            logits = self._add("MatMul", [inner, matrix])
        else:
            logits = self._product(inner, "word_embed.0.weight")
        return self._add("Add", [logits, self._weight("decoder.3.bias")], output=LOGITS)

    def _head(self, x: str, kind: str) -> str:
        """Return outputs (B, C) from the first token of (B, L, H)."""
        # A scalar index drops the axis: (B, L, H) -> (B, H)
        first = self._add("Gather", [x, self._constant(np.array(0, np.int64))], axis=1)
        self._precision = FP32
        if kind == ONE_LINEAR:
            return self._dense(first, "classifier.1", output=LOGITS)
        inner = self._dense(first, "classifier.1")
        if kind == RELEASE:
            inner = self._add("Tanh", [inner])
        return self._dense(inner, "classifier.3", output=LOGITS)

    def _span_head(self, x: str) -> str:
        """Return logits (B, L, 2) of (B, L, H)."""
        self._precision = FP32
        logits = self._dense(x, "qa_outputs")
        counts = self._add("Cast", [ATTENTION_MASK], to=self._onnx.TensorProto.BOOL)
        chosen = [self._unsqueeze(counts, -1), logits, self._number(PADDED_LOGIT)]
        return self._add("Where", chosen, output=LOGITS)

    def _dense(self, x: str, name: str, output: str = "") -> str:
        """Return x Wᵀ + b."""
        product = self._product(x, f"{name}.weight")
        return self._add("Add", [product, self._weight(f"{name}.bias")], output=output)

    def _product(self, x: str, name: str) -> str:
        """Return x Wᵀ in the graph's precision."""
        if self._precision == INT8:
            return self._integer_product(x, name)
        if self._precision == INT8_WEIGHTS:
            rounded, scales = self._rounded(name, 127)
            matrix = self._add("DequantizeLinear", [rounded, scales], axis=1)
            return self._add("MatMul", [x, matrix])
        return self._add("MatMul", [x, self._weight(name, transposed=True)])

    def _integer_product(self, x: str, name: str) -> str:
        """Return x Wᵀ with both rounded to integers; W has one scale per row."""
        if x not in self._quantised:
            number = len(self.nodes)
            parts = (f"quantised_{number}", f"scale_{number}", f"zero_{number}")
            self.nodes.append(
                self._onnx.helper.make_node("DynamicQuantizeLinear", [x], list(parts))
            )
            self._quantised[x] = parts
        quantised, scale, zero = self._quantised[x]
        matrix, scales = self._rounded(name, _LARGEST_WEIGHT)
        sums = self._add("MatMulInteger", [quantised, matrix, zero])
        sums = self._add("Cast", [sums], to=self._onnx.TensorProto.FLOAT)
        return self._add("Mul", [sums, self._add("Mul", [scale, scales])])

    def _rounded(self, name: str, largest: int) -> Tuple[str, str]:
        """Return Wᵀ as integers from -`largest` to `largest`, and the scales of its columns."""
        weight = self._arrays[name].T
        scales = np.abs(weight).max(axis=0) / largest
        scales[scales == 0] = 1
        rounded = np.rint(weight / scales).astype(np.int8)
        return (
            self._constant(np.ascontiguousarray(rounded)),
            self._constant(scales.astype(np.float32)),
        )

    def _activate(self, x: str) -> str:
        function = function_of(self._model.activation)
        if function == ERF:
            return self._gelu(x)
        if function == RELU:
            return self._add("Relu", [x])
        if function == TANH:
            return self._tanh_gelu(x)
        scaled = self._add("Mul", [x, self._number(QUICK_SCALE)]) if function == QUICK else x
        return self._add("Mul", [x, self._add("Sigmoid", [scaled])])

    def _tanh_gelu(self, x: str) -> str:
        cube = self._add("Mul", [self._add("Mul", [x, x]), x])
        inner = self._add("Add", [x, self._add("Mul", [cube, self._number(TANH_CUBE)])])
        inner = self._add("Tanh", [self._add("Mul", [inner, self._number(TANH_SCALE)])])
        twice = self._add("Mul", [x, self._add("Add", [inner, self._number(1.0)])])
        return self._add("Mul", [twice, self._number(0.5)])

    def _gelu(self, x: str) -> str:
        inner = self._add("Erf", [self._add("Div", [x, self._number(math.sqrt(2))])])
        twice = self._add("Mul", [x, self._add("Add", [inner, self._number(1.0)])])
        return self._add("Mul", [twice, self._number(0.5)])

    def _norm_before(self, x: str, name: str) -> str:
        """Return the layer norm of x in a pre-norm network, x itself in a post-norm network."""
        return self._norm(x, name) if self._is_pre_norm else x

    def _norm_after(self, x: str, name: str) -> str:
        """Return the layer norm of x in a post-norm network, x itself in a pre-norm network."""
        return x if self._is_pre_norm else self._norm(x, name)

    def _norm(self, x: str, name: str, epsilon: Optional[float] = None) -> str:
        epsilon = self._model.layer_norm_eps if epsilon is None else epsilon
        inputs = [x, self._weight(f"{name}.gamma"), self._weight(f"{name}.beta")]
        return self._add("LayerNormalization", inputs, axis=-1, epsilon=epsilon)

    def _unsqueeze(self, x: str, axis: int) -> str:
        return self._add("Unsqueeze", [x, self._integers([axis])])

    def _add(self, kind: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        output = output or f"{kind}_{len(self.nodes)}"
        helper = self._onnx.helper
        self.nodes.append(helper.make_node(kind, list(inputs), [output], output, **attributes))
        return output

    def _weight(self, name: str, transposed: bool = False) -> str:
        if name not in self._weights:
            array = self._arrays[name]
            array = np.ascontiguousarray(array.T if transposed else array)
            self._keep(array, name)
            self._weights[name] = name
        return name

    def _number(self, value: float) -> str:
        return self._constant(np.array(value, np.float32))

    def _integers(self, values: Sequence[int]) -> str:
        return self._constant(np.array(values, np.int64))

    def _constant(self, value: np.ndarray) -> str:
        key = (f"{value.dtype}{value.shape}", value.tobytes())
        if key not in self._constants:
            self._constants[key] = f"constant_{len(self._constants)}"
            self._keep(value, self._constants[key])
        return self._constants[key]

    def _keep(self, array: np.ndarray, name: str) -> None:
        """Add a constant."""
        if array.nbytes < _LARGE_BYTES:
            self.initializers.append(self._onnx.numpy_helper.from_array(array, name))
            return
        kind = self._onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        tensor = self._onnx.TensorProto(name=name, data_type=kind, dims=array.shape)
        self.initializers.append(tensor)
        self.large[name] = array
