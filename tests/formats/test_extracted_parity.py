"""Sub-networks taken out of a larger network, in stock Transformers and ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Tuple

import numpy as np
import pytest

from bort.architecture import Architecture
from bort.formats.huggingface.writer import write_huggingface
from bort.formats.onnx_graph import build_onnx
from bort.network.array_network import ArrayNetwork
from bort.network.sub_network import extracted, front_of, with_layers
from tests.formats.parity import gluon_answers, make_network, transformers_outputs
from tests.formats.test_parity import onnx_outputs

WHOLE = Architecture(4, 8, 96, 160, vocabulary_size=211, maximum_length=40, token_types=2)
PARTS = {
    "whole heads": WHOLE.replace(depth=2, heads=4, hidden=64, intermediate=72, qkv=48),
    "narrow heads": WHOLE.replace(depth=3, hidden=80, intermediate=100, qkv=40),
}
ROWS, LENGTH = 40, 32


@pytest.fixture(params=sorted(PARTS))
def network(request: Any) -> ArrayNetwork:
    part = PARTS[request.param]
    layers = tuple(range(WHOLE.depth))[-part.depth :]
    return extracted(make_network(WHOLE, decoder=True), with_layers(front_of(WHOLE, part), layers))


def batch() -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ids, lengths and mask with more than 1000 real positions, half of the rows padded."""
    generator = np.random.default_rng(1)
    ids = generator.integers(0, WHOLE.vocabulary_size, (ROWS, LENGTH))
    lengths = np.where(np.arange(ROWS) % 2, LENGTH, generator.integers(14, LENGTH, ROWS))
    mask = (np.arange(LENGTH)[None, :] < lengths[:, None]).astype(np.int64)
    assert mask.sum() >= 1000
    return ids, lengths, mask


def differences(ours: np.ndarray, theirs: np.ndarray, mask: np.ndarray) -> Tuple[float, float]:
    """Return the largest difference of a logit, and the share of positions of another argmax."""
    ours, theirs = ours[mask > 0], theirs[mask > 0]
    other = ours.argmax(axis=-1) != theirs.argmax(axis=-1)
    return float(np.abs(ours - theirs).max()), float(other.mean())


@pytest.mark.parity("torch", "transformers")
def test_transformers_predicts_the_same_tokens(network: ArrayNetwork, tmp_path: Path) -> None:
    ids, lengths, mask = batch()
    ours = gluon_answers(network, ids, lengths)
    write_huggingface(tmp_path, network, None)
    largest, other = differences(ours, transformers_outputs(tmp_path, ids, mask), mask)
    assert largest <= 1e-4
    assert other == 0


@pytest.mark.parity("onnx", "onnxruntime")
def test_onnx_runtime_predicts_the_same_tokens(network: ArrayNetwork) -> None:
    ids, lengths, mask = batch()
    ours = gluon_answers(network, ids, lengths)
    largest, other = differences(ours, onnx_outputs(build_onnx(network), ids, mask), mask)
    assert largest <= 1e-4
    assert other == 0


@pytest.mark.parity("onnx", "onnxruntime")
def test_scores_scaled_by_the_hidden_size_are_noticed(network: ArrayNetwork) -> None:
    """The scale of a head is its own width, qkv / heads, and not hidden / heads."""
    ids, lengths, mask = batch()
    ours = gluon_answers(network, ids, lengths)
    sizes = network.architecture
    factor = np.float32(np.sqrt((sizes.heads * sizes.head_width) / sizes.hidden))
    arrays = {
        name: array * factor if "proj_query" in name else array
        for name, array in network.arrays.items()
    }
    wrong = build_onnx(network.replace(arrays=arrays))
    largest, other = differences(ours, onnx_outputs(wrong, ids, mask), mask)
    assert largest > 1e-2
    assert other > 0
