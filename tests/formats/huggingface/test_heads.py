"""Heads without tanh come back bit for bit, and the tanh makes no difference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from bort.errors import InputError
from bort.formats.huggingface.heads import with_tanh, without_tanh
from bort.formats.huggingface.reader import read_huggingface
from bort.formats.huggingface.reference import HuggingFaceReference
from bort.formats.huggingface.writer import write_huggingface
from bort.network.parameter_names import (
    HEAD,
)
from tests.formats.parity import BORT, make_batch, make_network


@pytest.mark.parametrize("kind", ["linear", "two_linear"])
def test_a_head_that_was_trained_further_keeps_its_tanh(kind: str, tmp_path: Path) -> None:
    network = make_network(head=kind, num_classes=2)
    write_huggingface(tmp_path, network, None)
    (tmp_path / "bort.json").unlink()
    path = tmp_path / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    tensors["classifier.weight"] = tensors["classifier.weight"] + 1
    safetensors.numpy.save_file(tensors, path)
    found = read_huggingface(tmp_path).network
    assert found.description.head is not None
    assert found.description.head.kind == "release"
    ids, lengths, _ = make_batch()
    np.testing.assert_array_equal(found.arrays["classifier.3.weight"], tensors["classifier.weight"])
    assert HuggingFaceReference(tmp_path)(ids, lengths, "classifier").shape == (4, 2)


def test_the_tanh_makes_no_difference(random_generator: np.random.Generator) -> None:
    """Logits as large as 80 keep an error below 3e-5 in float32."""
    hidden = 1024
    architecture = BORT.replace(depth=1, hidden=hidden, intermediate=8)
    network = make_network(architecture, head="linear", num_classes=2)
    weight = random_generator.uniform(-0.5, 0.5, (2, hidden)).astype(np.float32)
    network = network.replace(arrays={**network.arrays, "classifier.1.weight": weight})
    tensors, mark = with_tanh(network)
    x = random_generator.normal(0, 4, (200, hidden)).astype(np.float32)
    pooled = np.tanh(x @ tensors[HEAD[0].gluon].T + tensors[HEAD[1].gluon])
    found = pooled @ tensors[HEAD[2].gluon].T + tensors[HEAD[3].gluon]
    expected = x.astype(np.float64) @ weight.T + network.arrays["classifier.1.bias"]
    assert np.abs(expected).max() > 60
    assert np.abs(found - expected).max() < 1e-4
    kind, arrays = without_tanh(tensors, mark, "here")
    assert kind == "linear"
    np.testing.assert_array_equal(arrays["classifier.1.weight"], weight)


def test_weights_that_a_power_of_two_would_round_are_refused() -> None:
    network = make_network(head="linear", num_classes=2)
    arrays = {**network.arrays, "classifier.1.weight": np.full((2, 64), 3e38, np.float32)}
    with pytest.raises(InputError, match=r"classifier\.1\.weight"):
        with_tanh(network.replace(arrays=arrays))
