"""Files of weights: round trips, and one clear line for each that is damaged or does not fit."""

from __future__ import annotations

import json

import mxnet as mx
import numpy as np
import pytest

from bort.errors import InputError
from bort.formats.mxnet_params import read_params, write_params
from bort.gluon.network.classifier import BortClassifier
from bort.gluon.network.model import BortModel
from bort.gluon.network.model_folder import load_model_folder, save_model_folder
from bort.gluon.network.parameters import load_parameters, save_parameters
from tests.gluon.network.network_samples import SMALL, TYPED, make_model, weights_of


@pytest.fixture
def path(tmp_path):
    save_parameters(make_model(), tmp_path / "small.params")
    return tmp_path / "small.params"


def refusal(path, model=None, **options):
    """The message with which loading ends: one line that names the file."""
    with pytest.raises(InputError) as caught:
        load_parameters(model or BortModel(SMALL), path, **options)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("tied_twice", [True, False])
def test_round_trip_also_through_mxnet(tmp_path, tied_twice):
    model = make_model()
    save_parameters(model, tmp_path / "a.params", tied_twice=tied_twice)
    ours, theirs = BortModel(SMALL), BortModel(SMALL)
    load_parameters(ours, tmp_path / "a.params")
    theirs.load_parameters(str(tmp_path / "a.params"))
    for name, array in weights_of(model).items():
        np.testing.assert_array_equal(weights_of(ours)[name], array)
        np.testing.assert_array_equal(weights_of(theirs)[name], array)
    theirs.save_parameters(str(tmp_path / "b.params"))
    load_parameters(make_model(seed=5), tmp_path / "b.params")


def test_every_type_and_rank_round_trips(tmp_path):
    arrays = {
        "a": np.arange(6, dtype=np.int64).reshape(1, 2, 3),
        "b": np.linspace(0, 1, 5).astype(np.float16),
        "ü": np.array([[1.5]], np.float64),
    }
    write_params(tmp_path / "x.params", arrays)
    theirs = mx.nd.load(str(tmp_path / "x.params"))
    for name, array in read_params(tmp_path / "x.params").items():
        np.testing.assert_array_equal(array, arrays[name])
        np.testing.assert_array_equal(theirs[name].asnumpy(), arrays[name])


def test_an_initialised_network_keeps_its_arrays(path):
    model = make_model(seed=1)
    before = model.embedding_weight.data()
    load_parameters(model, path)
    assert model.embedding_weight.data() is before
    np.testing.assert_array_equal(before.asnumpy(), weights_of(make_model())["word_embed.0.weight"])


def test_missing_empty_and_other_files(tmp_path):
    assert "No such file" in refusal(tmp_path / "none.params")
    (tmp_path / "empty.params").write_bytes(b"")
    assert "not an MXNet .params file" in refusal(tmp_path / "empty.params")
    (tmp_path / "text.params").write_text("hello " * 30, encoding="utf-8")
    assert "not an MXNet .params file" in refusal(tmp_path / "text.params")
    assert "cannot be read" in refusal(tmp_path)


def test_every_truncation_is_refused(path):
    content = path.read_bytes()
    for size in [*range(0, 120, 7), *range(0, len(content), 1999), len(content) - 1]:
        path.write_bytes(content[:size])
        refusal(path)


def test_a_damaged_header_is_refused(path):
    content = bytearray(path.read_bytes())
    damaged = bytearray(content)
    damaged[23] = 0x7F
    path.write_bytes(damaged)
    assert "damaged" in refusal(path)
    damaged = bytearray(content)
    damaged[43] = 0x7F  # a dimension of 2^62
    path.write_bytes(damaged)
    assert "truncated or damaged" in refusal(path)


def test_other_shapes_name_parameter_found_and_expected(path):
    message = refusal(path, BortModel(SMALL.replace(intermediate=64)))
    assert "transformer_cells.0.ffn.ffn_1.weight" in message
    assert "(48, 32), expected (64, 32)" in message
    message = refusal(path, BortModel(SMALL.replace(vocabulary_size=91)))
    assert "its vocabulary has 90 tokens, the model's 91" in message


def test_missing_and_unknown_parameters_are_named(path):
    assert "transformer_cells.2" in refusal(path, BortModel(SMALL.replace(depth=3)))
    assert "'token_type_embed.0.weight' is missing" in refusal(path, BortModel(TYPED))
    assert "'decoder.0.weight' has no place" in refusal(path, BortModel(SMALL, use_decoder=False))
    load_parameters(BortModel(SMALL, use_decoder=False), path, ignore=("decoder.",))


def test_numbers_that_are_not_finite_are_refused(path):
    arrays = {name: array.copy() for name, array in read_params(path).items()}
    arrays["encoder.layer_norm.beta"][3] = np.nan
    write_params(path, arrays)
    assert "'encoder.layer_norm.beta' holds a number that is not finite" in refusal(path)


def test_tied_weights_that_differ_are_refused(path):
    arrays = {name: array.copy() for name, array in read_params(path).items()}
    arrays["decoder.3.weight"][0, 0] += 1
    write_params(path, arrays)
    assert "are one weight, and they differ" in refusal(path)


@pytest.mark.parametrize("kind", ["model", "typed", "classifier"])
def test_folder_round_trip(tmp_path, kind):
    network = make_model(TYPED if kind == "typed" else SMALL, use_decoder=kind != "classifier")
    if kind == "classifier":
        network = BortClassifier(network, 3, 0.2, "linear")
        network.initialize()
    save_model_folder(tmp_path / "m", network, {"vocabulary": "abc"})
    again, extra = load_model_folder(tmp_path / "m")
    assert extra == {"vocabulary": "abc"}
    assert type(again) is type(network)
    for name, array in weights_of(network).items():
        np.testing.assert_array_equal(weights_of(again)[name], array)
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == ["model.json", "model.safetensors"]


def test_folder_damage_names_the_file(tmp_path):
    save_model_folder(tmp_path, make_model())
    weights, source = tmp_path / "model.safetensors", tmp_path / "model.json"
    content, description = weights.read_bytes(), json.loads(source.read_text(encoding="utf-8"))
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match=r"model\.safetensors: is damaged: its SHA-256"):
        load_model_folder(tmp_path)
    weights.unlink()
    with pytest.raises(InputError, match=r"model\.safetensors: is missing"):
        load_model_folder(tmp_path)
    weights.write_bytes(content)
    for name in ("architecture", "weights", "dropout", "format", "classifier"):
        source.write_text(
            json.dumps({k: v for k, v in description.items() if k != name}), encoding="utf-8"
        )
        with pytest.raises(InputError, match=r"model\.json"):
            load_model_folder(tmp_path)
    description["weights"]["file"] = "../model.safetensors"
    source.write_text(json.dumps(description), encoding="utf-8")
    with pytest.raises(InputError, match="leads out of the folder"):
        load_model_folder(tmp_path)


def test_folder_without_its_decoder(tmp_path):
    save_model_folder(tmp_path, make_model())
    model, _ = load_model_folder(tmp_path, use_decoder=False, grad_req="null")
    assert model.decoder is None
    assert all(p.grad_req == "null" for p in model.collect_params().values())
