"""Graphs in memory: engines compute the bits of the written file and copy no large constant."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any, Callable, Dict, Union

import numpy as np
import pytest

from bort.engines.graph_engine import Session
from bort.engines.onnxruntime_session import OnnxRuntimeSession
from bort.engines.openvino_session import OpenVinoSession
from bort.formats.onnx_graph import MemoryGraph, build_graph, build_onnx
from bort.network.array_network import ArrayNetwork
from tests.formats.parity import make_network

Open = Callable[[Union[Path, MemoryGraph]], Session]
OPEN: Dict[str, Open] = {
    "openvino": lambda graph: OpenVinoSession(graph, "fp32", 1, "the graph"),
    "openvino bf16": lambda graph: OpenVinoSession(graph, "bf16", 1, "the graph"),
    "onnxruntime": lambda graph: OnnxRuntimeSession(graph, 1, "the graph"),
}
pytestmark = pytest.mark.parity("onnx", "onnxruntime", "openvino")


@pytest.fixture(params=sorted(OPEN))
def open_graph(request: Any) -> Open:
    return OPEN[request.param]


def feed(network: ArrayNetwork) -> Dict[str, np.ndarray]:
    size = network.architecture.vocabulary_size
    ids = np.random.default_rng(0).integers(0, size, (3, 9))
    mask = (np.arange(9) < np.array([[9], [4], [1]])).astype(np.int64)
    types = {"token_type_ids": mask * 0} if network.architecture.token_types else {}
    return {"input_ids": ids, "attention_mask": mask, **types}


@pytest.mark.parametrize("precision", ["fp32", "int8", "int8_weights"])
@pytest.mark.parametrize("decoder", [False, True])
def test_a_graph_in_memory_gives_the_bits_of_the_file(
    decoder: bool, precision: str, open_graph: Open, tmp_path: Path
) -> None:
    network = make_network(decoder=decoder)
    graph = build_graph(network, precision=precision)
    assert len(graph.constants) > 10
    written = tmp_path / "model.onnx"
    written.write_bytes(build_onnx(network, precision=precision).SerializeToString())
    ours, expected = open_graph(graph), open_graph(written)
    assert set(ours.inputs) == set(expected.inputs)
    assert set(ours.outputs) == set(expected.outputs)
    for output in expected.outputs:
        given = feed(network)
        np.testing.assert_array_equal(ours.run(given, output), expected.run(given, output))


def test_another_constant_gives_other_outputs(open_graph: Open) -> None:
    network = make_network()
    graph = build_graph(network)
    name = "word_embed.0.weight"
    other = {**graph.constants, name: graph.constants[name][::-1].copy()}
    given = feed(network)
    ours = open_graph(graph).run(given, "last_hidden_state")
    assert not np.array_equal(
        open_graph(MemoryGraph(graph.model, other)).run(given, "last_hidden_state"), ours
    )


def test_the_graph_holds_no_values_of_large_constants() -> None:
    network = make_network(decoder=True)
    graph = build_graph(network)
    assert len(build_onnx(network).SerializeToString()) > 10 * graph.model.ByteSize()
    embedding = graph.constants["word_embed.0.weight"]
    assert np.shares_memory(embedding, network.arrays["word_embed.0.weight"])


def test_a_session_outlives_the_arrays_and_frees_them(open_graph: Open) -> None:
    network = make_network()
    given = feed(network)
    graph = build_graph(network)
    expected = open_graph(graph).run(given, "last_hidden_state")
    embedding = graph.constants["word_embed.0.weight"] + 0.0
    graph.constants["word_embed.0.weight"] = embedding
    is_alive, shape = weakref.ref(embedding), embedding.shape
    session = open_graph(graph)
    del graph, embedding
    gc.collect()
    overwritten = [np.full(shape, np.inf, np.float32) for _ in range(50)]
    np.testing.assert_array_equal(session.run(given, "last_hidden_state"), expected)
    del session, overwritten
    gc.collect()
    assert is_alive() is None


def test_arrays_that_must_not_be_written_to_are_read(open_graph: Open) -> None:
    network = make_network()
    given = feed(network)
    graph = build_graph(network)
    for name, array in graph.constants.items():
        frozen = array.copy()
        frozen.flags.writeable = False
        graph.constants[name] = frozen
    np.testing.assert_array_equal(
        open_graph(graph).run(given, "last_hidden_state"),
        open_graph(build_graph(network)).run(given, "last_hidden_state"),
    )
