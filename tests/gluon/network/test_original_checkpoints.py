"""Tests on files of the original release, against the outputs that it computed from them."""

from __future__ import annotations

import json

import mxnet as mx
import numpy as np
import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.formats.mxnet_params import read_params
from bort.gluon.network.classifier import BortClassifier
from bort.gluon.network.model import BortModel
from bort.gluon.network.parameters import collect_arrays, load_parameters
from tests.gluon.network import reference


@pytest.fixture(params=["narrow", "wide"])
def original(request, shared_data):
    """Return folder, configuration and recorded arrays of a checkpoint of the release."""
    folder = shared_data / "original_bort" / request.param
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return folder, config, np.load(folder / "expected.npz", allow_pickle=False)


def architecture_of(config):
    return Architecture(
        config["num_layers"],
        config["num_heads"],
        config["units"],
        config["hidden_size"],
        config["vocab_size"],
        config["max_length"],
    )


def inputs_of(recorded):
    return (
        mx.nd.array(recorded["input_ids"], dtype="int32"),
        mx.nd.array(recorded["valid_length"]),
        mx.nd.array(recorded["masked_positions"], dtype="int32"),
    )


def assert_agree(ours, theirs):
    """Compare to 1e-5 of the largest number, which is about 4 (encoded) or 7 (logits)."""
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("own_loader", [True, False])
@pytest.mark.parametrize("hybridized", [True, False])
def test_pretrained(original, own_loader, hybridized):
    folder, config, recorded = original
    model = BortModel(architecture_of(config))
    path = str(folder / "pretrained.params")
    if own_loader:
        load_parameters(model, path)
    else:
        model.load_parameters(path)
    if hybridized:
        model.hybridize(static_alloc=True, static_shape=True)
    encoded, logits = model(*inputs_of(recorded))
    assert_agree(encoded.asnumpy(), recorded["encoded"])
    assert_agree(logits.asnumpy(), recorded["mlm_logits"])
    wrong = logits.asnumpy() + 1e-3
    with pytest.raises(AssertionError):
        assert_agree(wrong, recorded["mlm_logits"])


def test_classifier(original):
    folder, config, recorded = original
    model = BortModel(architecture_of(config), use_decoder=False)
    classifier = BortClassifier(model, config["num_classes"])
    load_parameters(classifier, folder / "classifier.params")
    outputs = classifier(*inputs_of(recorded)[:2])
    assert_agree(outputs.asnumpy(), recorded["classifier_logits"])


def test_encoder_of_a_classifier_by_prefix(original):
    folder, config, recorded = original
    model = BortModel(architecture_of(config), use_decoder=False)
    load_parameters(model, folder / "classifier.params", prefix="bort.")
    assert np.isfinite(model(*inputs_of(recorded)[:2]).asnumpy()).all()
    with pytest.raises(InputError, match="classifier.params: holds no parameter .*'other.'"):
        load_parameters(model, folder / "classifier.params", prefix="other.")


def test_the_numpy_reference_agrees(original):
    folder, config, recorded = original
    weights = read_params(folder / "pretrained.params")
    encoded = reference.encode(
        weights, config["num_heads"], recorded["input_ids"], recorded["valid_length"]
    )
    assert_agree(encoded, recorded["encoded"])
    logits = reference.decode(weights, encoded, recorded["masked_positions"])
    assert_agree(logits, recorded["mlm_logits"])
    # These outputs distinguish the release's ε in the decoder from that of GluonNLP 0.10:
    other = reference.decode(weights, recorded["encoded"], recorded["masked_positions"], 1e-5)
    same = reference.decode(weights, recorded["encoded"], recorded["masked_positions"])
    assert np.abs(other - recorded["mlm_logits"]).max() > 1.5e-5
    assert np.abs(same - recorded["mlm_logits"]).max() < 5e-6


def test_written_files_have_the_same_content(original, tmp_path):
    folder, config, _ = original
    model = BortModel(architecture_of(config))
    load_parameters(model, folder / "pretrained.params")
    model.save_parameters(str(tmp_path / "again.params"))
    theirs, ours = read_params(folder / "pretrained.params"), read_params(tmp_path / "again.params")
    assert set(theirs) == set(ours)
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array)
    assert len(collect_arrays(model)) == len(ours) - 1
