"""Fusions: engines recognise attention, layer norms and GELU in the ONNX graph.

D layers have 2 D + 1 layer norms and D GELUs, 4 D products with a matrix in attention and 2 D in
the feed-forward part; a masked-token decoder adds one norm, one GELU, two products, a head one.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Dict

import pytest

from bort.architecture import PRE_NORM
from bort.engines.openvino_session import OpenVinoSession
from bort.formats.onnx_graph import build_graph, build_onnx
from bort.network.array_network import ArrayNetwork
from tests.formats.parity import SHAPES, make_network

PARTS: Dict[str, Dict[str, Any]] = {
    "encoder": {},
    "masked tokens": {"decoder": True},
    "classifier": {"head": "linear", "num_classes": 3},
    "spans": {"head": "span", "num_classes": 2},
}
PIECES = ("Erf", "Gelu", "Softmax", "MatMul", "ReduceMean", "Power", "Math")


@pytest.fixture(params=sorted(SHAPES))
def architecture(request: Any) -> Any:
    return SHAPES[request.param]


def optimised(network: ArrayNetwork, precision: str, folder: Path) -> Counter[str]:
    """Return the kinds of nodes that ONNX Runtime runs."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.log_severity_level = 3
    content = build_onnx(network, precision=precision).SerializeToString()
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    graph = onnx.load(options.optimized_model_filepath).graph
    return Counter(node.op_type for node in graph.node)


@pytest.mark.parity("onnx", "onnxruntime")
@pytest.mark.parametrize("part", sorted(PARTS))
def test_onnx_runtime(part: str, architecture: Any, tmp_path: Path) -> None:
    network, depth = make_network(architecture, **PARTS[part]), architecture.depth
    decoder = int(part == "masked tokens")
    kinds = optimised(network, "fp32", tmp_path)
    # Residual sums are computed with the norms behind them, all but the first norm. In a pre-norm
    # network the next sum needs the sum itself too, so only the last one is.
    fused = 1 if architecture.norm == PRE_NORM else 2 * depth
    assert kinds["SkipLayerNormalization"] == fused
    assert kinds["LayerNormalization"] == 2 * depth + 1 - fused + decoder
    assert kinds["BiasGelu"] == depth + decoder
    assert kinds["FusedMatMul"] == depth
    assert kinds["Softmax"] == depth
    assert kinds["Erf"] == kinds["Div"] == 0
    in_integers = optimised(network, "int8", tmp_path)
    assert in_integers["SkipLayerNormalization"] == fused
    assert in_integers["Gelu"] == depth + decoder
    products = in_integers["MatMulIntegerToFloat"] + in_integers["DynamicQuantizeMatMul"]
    assert products == 6 * depth + 2 * decoder
    assert in_integers["MatMulInteger"] == in_integers["Erf"] == 0


@pytest.mark.parity("onnx", "openvino")
@pytest.mark.parametrize("part", sorted(PARTS))
def test_openvino(part: str, architecture: Any) -> None:
    network, depth = make_network(architecture, **PARTS[part]), architecture.depth
    decoder, head = int(part == "masked tokens"), int(part in ("classifier", "spans"))
    session = OpenVinoSession(build_graph(network), "fp32", 1, "the graph")
    # What the processor really runs, not the graph that was given.
    nodes = session._compiled.get_runtime_model().get_ordered_ops()
    kinds = Counter(str(node.get_rt_info()["layerType"].value) for node in nodes)
    # A subgraph is compiled into one kernel: all of attention between its projections.
    assert kinds["Subgraph"] + kinds["ScaledDotProductAttention"] == depth
    assert kinds["FullyConnected"] == 6 * depth + 2 * decoder + head
    assert kinds["MVN"] == 2 * depth + 1 + decoder
    # Biases and GELUs are part of the products, so that nothing else is left.
    for piece in PIECES:
        assert kinds[piece] == 0, piece
