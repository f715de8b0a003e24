"""Tests of saving Gluon networks as model folders and loading them."""

from __future__ import annotations

import numpy as np
import pytest

from bort.gluon.network.array_network import build_network, describe_network
from bort.gluon.network.classifier import BortClassifier
from bort.gluon.network.model_folder import load_model_folder, save_model_folder
from bort.gluon.network.span_model import BortSpanModel
from bort.network.description import ModelDescription
from bort.network.head import HeadDescription
from tests.gluon.network.network_samples import (
    PRE_NORM,
    SMALL,
    TYPED,
    make_model,
    weights_of,
)

NETWORKS = {
    "model": lambda: make_model(),
    "pooler": lambda: make_model(use_pooler=True, use_decoder=False, layer_norm_eps=1e-6),
    "typed": lambda: make_model(TYPED, dropout=0.3, decoder_layer_norm_eps=1e-5),
    "pre-norm": lambda: make_model(PRE_NORM),
    "classifier": lambda: BortClassifier(make_model(use_decoder=False), 3, 0.2, "linear"),
    "classifier with decoder": lambda: BortClassifier(make_model(), 1, 0.0, "two_linear"),
    "span model": lambda: BortSpanModel(make_model(TYPED, use_decoder=False)),
    "span model with decoder": lambda: BortSpanModel(make_model(), 0.3),
}


@pytest.mark.parametrize("kind", sorted(NETWORKS))
def test_a_network_comes_back(tmp_path, kind):
    network = NETWORKS[kind]()
    if isinstance(network, (BortClassifier, BortSpanModel)):
        network.initialize()
    description = describe_network(network, vocabulary_fingerprint="abc")
    save_model_folder(tmp_path / "m", network, description)
    again, found = load_model_folder(tmp_path / "m")
    assert found == description
    assert type(again) is type(network)
    assert describe_network(again, vocabulary_fingerprint="abc") == description
    for name, array in weights_of(network).items():
        np.testing.assert_array_equal(weights_of(again)[name], array)
    assert all(p.grad_req == "write" for p in again.collect_params().values())
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == ["model.json", "model.safetensors"]


def test_a_network_needs_no_gradients(tmp_path):
    save_model_folder(tmp_path, make_model())
    found, _ = load_model_folder(tmp_path, grad_req="null")
    assert all(p.grad_req == "null" for p in found.collect_params().values())


def test_a_network_is_described_and_built_from_the_description():
    description = ModelDescription(
        TYPED,
        HeadDescription("release", 2, ("no", "yes"), 0.3),
        has_pooler=True,
        layer_norm_eps=1e-6,
        decoder_layer_norm_eps=1e-7,
        dropout=0.2,
    )
    network = build_network(description)
    assert describe_network(network, labels=("no", "yes")) == description
    alone = description.encoder_alone().replace(architecture=SMALL)
    assert describe_network(build_network(alone)) == alone
