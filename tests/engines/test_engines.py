"""Engines give equal answers from every kind of folder, whatever else is in the batch.

Tolerance of float32 answers between engines: rtol 1e-5 + atol 1e-5.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from bort.engines.choosing import installed_engines, open_engine, open_network
from bort.engines.graph_engine import GraphEngine, Session
from bort.engines.protocol import ENGINES, Engine
from bort.engines.sources import read_source
from bort.errors import InputError
from bort.formats.exported_folder import read_exported_graph
from bort.formats.huggingface.writer import write_huggingface
from bort.formats.onnx_file import arrays_of_onnx, write_onnx
from bort.formats.openvino_file import write_openvino
from bort.network.array_network import ArrayNetwork
from bort.network.head import PADDED_LOGIT
from tests.formats.parity import (
    ABSOLUTE,
    BORT,
    RELATIVE,
    SHAPES,
    assert_equal_outputs,
    gluon_answers,
    make_batch,
    make_network,
    write_network,
)

PARTS: Dict[str, Dict[str, Any]] = {
    "encoder": {},
    "encoder with pooler": {"pooler": True},
    "masked tokens": {"decoder": True},
    "release head": {"head": "release", "num_classes": 3},
    "linear head": {"head": "linear", "num_classes": 3},
    "spans": {"head": "span", "num_classes": 2},
    "regression": {"head": "two_linear", "num_classes": 1},
}
NAMES = [
    pytest.param("mxnet"),
    pytest.param("onnxruntime", marks=pytest.mark.parity("onnx", "onnxruntime")),
    pytest.param("openvino", marks=pytest.mark.parity("onnx", "openvino")),
]
LENGTHS = (1, 7, 17, 40)


@pytest.fixture(params=NAMES)
def name(request: Any) -> str:
    return str(request.param)


def picked(everywhere: np.ndarray, positions: np.ndarray) -> np.ndarray:
    return np.take_along_axis(everywhere, positions[:, :, None], 1)


@pytest.mark.parametrize("shape", sorted(SHAPES))
@pytest.mark.parametrize("part", sorted(PARTS))
def test_engines_answer_as_gluon(name: str, shape: str, part: str) -> None:
    network = make_network(SHAPES[shape], **PARTS[part])
    engine = open_network(network, name, threads=1)
    assert (engine.name, engine.precision) == (name, "fp32")
    assert engine.description.architecture == network.architecture
    encoder = network.encoder_alone()
    for length in LENGTHS:
        ids, lengths, mask = make_batch(network.architecture, length)
        hidden = gluon_answers(encoder, ids, lengths)
        assert_equal_outputs(hidden, engine.encode(ids, lengths), np.ones_like(mask))
        if network.description.head:
            assert_equal_outputs(
                gluon_answers(network, ids, lengths), engine.answer(ids, lengths), mask
            )
        else:
            assert_equal_outputs(hidden, engine.answer(ids, lengths), mask)
        if network.description.has_decoder:
            positions = np.minimum(np.array([[0, 3, 9, 0]]), lengths[:, None] - 1)
            expected = picked(gluon_answers(network, ids, lengths), positions)
            found = engine.predict_tokens(ids, lengths, positions)
            assert_equal_outputs(expected, found, np.ones_like(positions))


@pytest.mark.parametrize("part", sorted(PARTS))
def test_token_types_are_those_of_gluon(name: str, part: str) -> None:
    network = make_network(SHAPES["bert"].replace(token_types=3), **PARTS[part])
    engine = open_network(network, name, threads=1)
    ids, lengths, mask = make_batch(network.architecture, 17)
    types = np.random.default_rng(2).integers(0, 3, ids.shape)
    expected = gluon_answers(network, ids, lengths, types)
    positions = np.broadcast_to(np.arange(17), ids.shape)
    if network.description.has_decoder:
        found = engine.predict_tokens(ids, lengths, positions, types)
    else:
        found = engine.answer(ids, lengths, types)
    assert_equal_outputs(expected, found, mask)
    hidden = gluon_answers(network.encoder_alone(), ids, lengths, types)
    assert_equal_outputs(hidden, engine.encode(ids, lengths, types), mask)
    untyped = engine.encode(ids, lengths)
    assert np.abs(untyped - hidden).max() > 0.1
    np.testing.assert_array_equal(untyped, engine.encode(ids, lengths, np.zeros_like(ids)))
    types[1, lengths[1] :] = 0  # types of padding do not matter
    np.testing.assert_allclose(engine.encode(ids, lengths, types), hidden, rtol=1e-5, atol=1e-5)


def test_both_logits_of_spans_are_the_padded_logit_at_padding(name: str) -> None:
    engine = open_network(make_network(**PARTS["spans"]), name, threads=1)
    ids, lengths, mask = make_batch()
    logits = engine.answer(ids, lengths)
    assert (logits.shape, logits.dtype) == ((*ids.shape, 2), np.float32)
    assert (logits[mask == 0] == PADDED_LOGIT).all()
    assert np.abs(logits[mask == 1]).max() < 100
    with pytest.raises(InputError, match="the model has no masked-token decoder"):
        engine.predict_tokens(ids, lengths, np.zeros((4, 1), int))


def test_every_weight_matters(name: str) -> None:
    for part in ("linear head", "spans", "masked tokens"):
        network = make_network(**PARTS[part])
        ids, lengths, mask = make_batch()
        ours = gluon_answers(network, ids, lengths)
        places = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
        for changed in sorted(network.arrays)[::7]:
            if changed.endswith("proj_key.bias"):
                continue  # shifts all scores of a row alike, which softmax does not see
            array = network.arrays[changed].copy()
            row = int(ids[0, 0]) if changed == "word_embed.0.weight" else 0
            array[(row, *[0] * (array.ndim - 1))] += 0.05
            other = network.replace(arrays={**network.arrays, changed: array})
            engine = open_network(other, name)
            with pytest.raises(AssertionError):
                found = (
                    engine.answer(ids, lengths)
                    if network.description.head
                    else engine.predict_tokens(ids, lengths, places)
                )
                assert_equal_outputs(ours, found, mask)


def test_a_row_does_not_depend_on_its_batch(name: str) -> None:
    """A row alone, padded, or with others gives the same to atol 2e-6 (numbers are near 1).

    Only rounding may differ, since the batch's shape decides how sums are split into blocks.
    """
    network = make_network(head="linear", num_classes=3)
    engine = open_network(network, name, threads=1)
    ids, lengths, _ = make_batch(length=39)
    together = engine.answer(ids, lengths)
    hidden = engine.encode(ids, lengths)
    for row, count in enumerate(lengths):
        alone = engine.answer(ids[row : row + 1, :count], lengths[row : row + 1])
        np.testing.assert_allclose(alone[0], together[row], rtol=0, atol=2e-6)
        encoded = engine.encode(ids[row : row + 1, :count], lengths[row : row + 1])
        np.testing.assert_allclose(encoded[0], hidden[row, :count], rtol=0, atol=4e-6)
        junk = ids.copy()
        junk[:, count:] = 3
        same = engine.answer(junk[row : row + 1], lengths[row : row + 1])
        np.testing.assert_allclose(same[0], together[row], rtol=0, atol=2e-6)


@pytest.mark.parametrize("part", ["linear head", "masked tokens"])
def test_zeros_change_no_name(name: str, part: str) -> None:
    """Zero biases, as in a new model: engines drop additions of zeros, and keep output names."""
    network = make_network(**PARTS[part])
    zeros = {
        key: np.zeros_like(array) if key.endswith(("bias", "beta")) else array
        for key, array in network.arrays.items()
    }
    network = network.replace(arrays=zeros)
    engine = open_network(network, name, threads=1)
    ids, lengths, mask = make_batch()
    places = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
    found = (
        engine.answer(ids, lengths)
        if network.description.head
        else engine.predict_tokens(ids, lengths, places)
    )
    assert_equal_outputs(gluon_answers(network, ids, lengths), found, mask)


def test_answers_stay_when_the_next_ones_come(name: str) -> None:
    engine = open_network(make_network(), name)
    ids, lengths, _ = make_batch()
    first = engine.answer(ids, lengths)
    kept = first.copy()
    engine.answer(ids[::-1], lengths[::-1])
    np.testing.assert_array_equal(first, kept)


def folders(network: ArrayNetwork, root: Path) -> List[Path]:
    """Return the network in every kind of folder that the installed packages can write."""
    made = [root / "ours", root / "huggingface"]
    write_network(made[0], network)
    made[1].mkdir()
    write_huggingface(made[1], network, None)
    for engine, write in (("onnxruntime", write_onnx), ("openvino", write_openvino)):
        if engine in installed_engines():
            made.append(root / engine)
            made[-1].mkdir()
            write(made[-1], network, None, masked_positions=network.description.has_decoder)
    return made


@pytest.mark.parametrize("part", ["linear head", "masked tokens", "encoder"])
def test_every_kind_of_folder_opens(name: str, part: str, tmp_path: Path) -> None:
    labels = ["no", "yes", "maybe"] if part == "linear head" else []
    network = make_network(labels=labels, vocabulary_fingerprint="0" * 64, **PARTS[part])
    ids, lengths, _ = make_batch()
    expected = gluon_answers(network.encoder_alone(), ids, lengths)
    for folder in folders(network, tmp_path):
        if folder.name in ENGINES and name == "mxnet":
            continue
        if (folder.name, name) == ("openvino", "onnxruntime"):
            continue
        engine: Engine = open_engine(folder, name)
        assert engine.description == network.description
        beside = folder if folder.name == "huggingface" else folder / "vocabulary"
        assert read_source(folder).vocabulary_folder == beside
        found = engine.encode(ids, lengths)
        np.testing.assert_allclose(found, expected, rtol=RELATIVE, atol=ABSOLUTE)


@pytest.mark.parity("onnx", "onnxruntime")
def test_a_graph_that_decodes_everywhere_serves_too(tmp_path: Path) -> None:
    network = make_network(decoder=True)
    write_onnx(tmp_path, network, None)
    ids, lengths, _ = make_batch()
    positions = np.minimum(np.array([[0, 2]]), lengths[:, None] - 1)
    found = open_engine(tmp_path, "onnxruntime").predict_tokens(ids, lengths, positions)
    expected = picked(gluon_answers(network, ids, lengths), positions)
    assert_equal_outputs(expected, found, np.ones_like(positions))


@pytest.mark.parity("onnx", "onnxruntime")
def test_fast_is_int8_in_onnx_runtime(tmp_path: Path) -> None:
    network = make_network(head="linear", num_classes=3)
    write_network(tmp_path, network)
    (tmp_path / "exported").mkdir()
    write_onnx(tmp_path / "exported", network, None)
    ids, lengths, _ = make_batch()
    exact = open_engine(tmp_path, "onnxruntime").answer(ids, lengths)
    fast = open_engine(tmp_path, "onnxruntime", "fast")
    assert fast.precision == "int8"
    answers_of_fast = fast.answer(ids, lengths)
    assert 1e-5 < np.abs(answers_of_fast - exact).max() < 0.2
    again = open_engine(tmp_path / "exported", "onnxruntime", "fast")
    assert again.precision == "int8"
    np.testing.assert_array_equal(again.answer(ids, lengths), answers_of_fast)
    assert open_engine(tmp_path / "exported", "onnxruntime").precision == "fp32"


@pytest.mark.parity("onnx")
@pytest.mark.parametrize("part", sorted(set(PARTS) - {"encoder with pooler"}))
def test_weights_come_back_from_an_onnx_file(part: str, tmp_path: Path) -> None:
    network = make_network(
        SHAPES["bert"], layer_norm_eps=1e-6, decoder_layer_norm_eps=1e-3, **PARTS[part]
    )
    write_onnx(tmp_path, network, None)
    back = arrays_of_onnx(read_exported_graph(tmp_path / "onnx.json", ("model.onnx",)))
    for name, array in network.arrays.items():
        np.testing.assert_array_equal(back.arrays[name], array)
    assert back.description == network.description
    (tmp_path / "int8").mkdir()
    write_onnx(tmp_path / "int8", network, None, precision="int8")
    rounded = read_exported_graph(tmp_path / "int8" / "onnx.json", ("model.onnx",))
    with pytest.raises(InputError, match="does not hold its weights in fp32"):
        arrays_of_onnx(rounded)


@pytest.mark.parity("onnx", "openvino")
@pytest.mark.parametrize("part", ["linear head", "masked tokens"])
def test_openvino_keeps_rounded_weights_small(part: str, tmp_path: Path) -> None:
    """int8 takes eight bits per weight, gives answers near the exact ones, and is recorded."""
    network = make_network(**PARTS[part])
    for precision in ("fp32", "int8"):
        (tmp_path / precision).mkdir()
        write_openvino(tmp_path / precision, network, None, precision=precision)
    sizes = [(tmp_path / name / "openvino.bin").stat().st_size for name in ("fp32", "int8")]
    assert sizes[1] < 0.45 * sizes[0]
    ids, lengths, _ = make_batch()
    exact, rounded = (open_engine(tmp_path / name) for name in ("fp32", "int8"))
    assert (exact.precision, rounded.precision) == ("fp32", "int8")
    if part == "linear head":
        difference = np.abs(exact.answer(ids, lengths) - rounded.answer(ids, lengths)).max()
    else:
        places = np.zeros((4, 2), np.int64)
        difference = np.abs(
            exact.predict_tokens(ids, lengths, places)
            - rounded.predict_tokens(ids, lengths, places)
        ).max()
    assert 1e-5 < difference < 0.1


def test_another_graph_than_described_is_refused() -> None:
    session: Session = FakeSession(["input_ids"], ["logits"])
    description = make_network(head="linear", num_classes=2).description
    with pytest.raises(InputError, match="x.onnx: takes input_ids and gives logits, unlike"):
        GraphEngine(session, description, "onnxruntime", "fp32", "x.onnx")
    session = FakeSession(["input_ids", "attention_mask"], ["last_hidden_state"])
    with pytest.raises(InputError, match="unlike a graph"):
        GraphEngine(session, description, "onnxruntime", "fp32", "x.onnx")
    session = FakeSession(["input_ids", "attention_mask"], ["logits"])
    engine = GraphEngine(session, description, "onnxruntime", "fp32", "x.onnx")
    with pytest.raises(InputError, match="does not give last_hidden_state; export the model again"):
        engine.encode(*make_batch()[:2])


class FakeSession:
    """A session that only has names."""

    def __init__(self, inputs: List[str], outputs: List[str]) -> None:
        self.inputs = inputs
        self.outputs = outputs

    def run(self, feed: Dict[str, np.ndarray], output: str) -> np.ndarray:
        raise AssertionError("it was run")


@pytest.mark.parity("onnx", "onnxruntime", "openvino")
def test_fast_and_auto_take_what_is_fastest(tmp_path: Path, monkeypatch: Any) -> None:
    from bort.engines import choosing

    write_network(tmp_path, make_network())
    assert installed_engines() == ENGINES
    assert open_engine(tmp_path).name == "openvino"
    monkeypatch.setattr(choosing, "computes_bf16", lambda: False)
    assert open_engine(tmp_path, precision="fast").name == "onnxruntime"
    assert open_engine(tmp_path, "openvino", "fast").precision == "fp32"
    monkeypatch.setattr(choosing, "computes_bf16", lambda: True)
    fast = open_engine(tmp_path, precision="fast")
    assert (fast.name, fast.precision) == ("openvino", "bf16")
    (tmp_path / "int8").mkdir()
    write_onnx(tmp_path / "int8", make_network(), None, precision="int8")
    rounded = open_engine(tmp_path / "int8")
    assert (rounded.name, rounded.precision) == ("onnxruntime", "int8")
    ids, lengths, _ = make_batch(BORT)
    assert np.isfinite(fast.answer(ids, lengths)).all()


def test_mxnet_knows_fp32_alone(tmp_path: Path) -> None:
    write_network(tmp_path, make_network())
    assert open_engine(tmp_path, "mxnet", "fast").precision == "fp32"


def test_mxnet_computes_on_the_gpu_that_it_is_given(monkeypatch: Any) -> None:
    """A second CPU context stands for the GPU."""
    import mxnet as mx

    monkeypatch.setattr(mx, "gpu", mx.cpu)
    network = make_network(decoder=True)
    ids, lengths, mask = make_batch(network.architecture, 17)
    engine = open_network(network, "mxnet", gpu=1)
    used = {p.list_ctx()[0] for p in engine._engine._model.collect_params().values()}  # type: ignore[attr-defined]
    assert used == {mx.cpu(1)}
    other = open_network(network, "mxnet")
    np.testing.assert_array_equal(engine.encode(ids, lengths), other.encode(ids, lengths))
    positions = np.zeros((len(ids), 1), np.int64)
    found = [e.predict_tokens(ids, lengths, positions) for e in (engine, other)]
    np.testing.assert_array_equal(*found)
