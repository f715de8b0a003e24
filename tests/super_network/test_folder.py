"""Tests of super-network folders: a round trip, damaged files, contradicting records."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from bort.errors import InputError
from bort.storage.files import content_hash
from bort.super_network.folder import SUPER_NETWORK_FILE, open_super_network
from bort.super_network.space import SubNetworkSpace
from tests.super_network.super_network_samples import (
    ORDER,
    SPACE,
    hidden_map,
    whole_network,
    write_sample,
)
from tests.text.tiny_vocabulary import tiny_vocabulary


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_sample(tmp_path / "s")
    return tmp_path / "s"


def change(folder: Path, **fields) -> None:
    path = folder / SUPER_NETWORK_FILE
    record = {**json.loads(path.read_text()), **fields}
    path.write_text(json.dumps(hashed({n: v for n, v in record.items() if v != "left out"})))


def hashed(record):
    """The record with the right hash, so that its other fields are looked at."""
    content = {name: value for name, value in record.items() if name not in ("sha256", "format")}
    return {**record, "sha256": content_hash(content)}


def test_everything_comes_back_bit_for_bit(tmp_path):
    metrics = {"1-2-16-16-16": {"mlm_loss": 5.5}}
    provenance = {"start": "teacher", "teacher": "ab"}
    network = whole_network(tiny_vocabulary())
    back = write_sample(tmp_path / "s", network, metrics=metrics, provenance=provenance)
    assert (back.record.space, back.record.layer_order, back.record.steps) == (SPACE, ORDER, 12)
    assert (back.record.metrics, back.record.provenance) == (metrics, provenance)
    read = back.read_network()
    assert read.description == network.description == back.description
    for name, array in network.arrays.items():
        np.testing.assert_array_equal(read.arrays[name], array)
    for name, array in hidden_map().items():
        np.testing.assert_array_equal(back.read_hidden_map()[name], array)
    assert back.read_vocabulary().fingerprint == tiny_vocabulary().fingerprint


def test_without_map_and_order_none_comes_back(tmp_path):
    back = write_sample(tmp_path / "s", hidden_map=None, layer_order=None)
    assert back.read_hidden_map() is None
    assert back.record.layer_order is None
    assert not (tmp_path / "s" / "hidden_map.safetensors").exists()


def test_a_part_has_the_most_important_layers(folder):
    source = open_super_network(folder)
    part = source.whole.replace(depth=2, hidden=16, heads=2, qkv=16)
    assert [choice.layer for choice in source.part(part).layers] == [0, 2]


def test_the_fingerprint_is_of_the_record_which_covers_the_weights(tmp_path):
    first = write_sample(tmp_path / "a")
    same = write_sample(tmp_path / "b")
    other = whole_network(tiny_vocabulary())
    other.arrays["encoder.transformer_cells.0.proj.weight"][0, 0] += 1
    changed = write_sample(tmp_path / "c", other)
    assert first.fingerprint == same.fingerprint != changed.fingerprint
    path = tmp_path / "a" / SUPER_NETWORK_FILE
    path.write_text(json.dumps(json.loads(path.read_text())))  # the same content in other bytes
    assert open_super_network(tmp_path / "a").fingerprint == first.fingerprint


def test_a_folder_without_its_record_is_not_finished(folder):
    (folder / SUPER_NETWORK_FILE).unlink()
    with pytest.raises(
        InputError, match=r"s: holds no super-network, expected super_network\.json"
    ):
        open_super_network(folder)
    with pytest.raises(InputError, match="none: no such folder"):
        open_super_network(folder / "none")
    with pytest.raises(InputError, match=r"model\.json: is a file, expected a folder"):
        open_super_network(folder / "model" / "model.json")


@pytest.mark.parametrize("name", ["model/model.safetensors", "hidden_map.safetensors"])
def test_every_damaged_file_is_named(folder, name):
    path = folder / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    source = open_super_network(folder)
    with pytest.raises(InputError, match=rf"{Path(name).name}: is damaged"):
        source.read_network()
        source.read_hidden_map()
    path.unlink()
    with pytest.raises(InputError, match=rf"{Path(name).name}: is missing"):
        source = open_super_network(folder)
        source.read_network()
        source.read_hidden_map()


def test_the_model_of_another_training_is_refused(folder, tmp_path):
    network = whole_network(tiny_vocabulary())
    write_sample(tmp_path / "other", network.replace(dropout=0.3))
    shutil.rmtree(folder / "model")
    shutil.copytree(tmp_path / "other" / "model", folder / "model")
    with pytest.raises(InputError, match=r"model\.json: is not the model of this super-network"):
        open_super_network(folder)


def test_another_vocabulary_is_refused(folder):
    path = folder / "model" / "vocabulary"
    shutil.rmtree(path)
    source = open_super_network(folder)
    with pytest.raises(InputError, match="vocabulary"):
        source.read_vocabulary()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"format": "bort-super-network-2"}, "format is 'bort-super-network-2', allowed is"),
        ({"layer_order": [0, 1]}, r"layer_order is \[0, 1\], allowed is each of 0 to 2 once"),
        ({"layer_order": [0, 1, "x"]}, r"layer_order\[2\] is 'x', allowed is an integer"),
        ({"layer_order": 3}, "layer_order is 3, allowed is a list"),
        ({"steps": -1}, "steps is -1, allowed is an integer of at least 0"),
        ({"space": {**SPACE.as_dict(), "depths": [4]}}, "space: depths holds 4, allowed is at"),
        ({"space": {**SPACE.as_dict(), "depths": []}}, r"space: depths is \[\], allowed are"),
        ({"space": 1}, "space is 1, allowed is an object"),
        ({"metrics": {"1-1-1-1-1": {"loss": "low"}}}, "metrics.1-1-1-1-1.loss is 'low', allowed"),
        ({"metrics": {"mlm_loss": {"1-1-1-1-1": 5.5}}}, "metrics has 'mlm_loss', allowed are arch"),
        ({"model": None}, "model is None, allowed is an object"),
        ({"hidden_map": {"file": "../x", "sha256": "0" * 64}}, "leads out of the folder"),
        ({"hidden_map": {"file": "x"}}, "a field is missing or malformed"),
        ({"provenance": []}, r"provenance is \[\], allowed is an object"),
    ],
)
def test_a_bad_record_is_named_with_its_field(folder, fields, message):
    change(folder, **fields)
    with pytest.raises(InputError, match=message) as error:
        open_super_network(folder)
    assert SUPER_NETWORK_FILE in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name", ["space", "steps", "layer_order", "metrics", "model", "hidden_map"]
)
def test_a_missing_field_is_named(folder, name):
    change(folder, **{name: "left out"})
    with pytest.raises(InputError, match=name):
        open_super_network(folder)


def test_a_changed_record_is_damaged(folder):
    """The planted fault: an order of layers that is valid, but another one."""
    path = folder / SUPER_NETWORK_FILE
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "layer_order": [0, 2, 1]}))
    with pytest.raises(InputError, match=r"super_network\.json: is damaged: its content does not"):
        open_super_network(folder)
    del record["sha256"]
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"super_network\.json: sha256 is missing"):
        open_super_network(folder)


def test_what_does_not_fit_is_not_written(tmp_path):
    with pytest.raises(InputError, match="space: depths holds 4, allowed is at most 3"):
        write_sample(tmp_path / "s", space=SubNetworkSpace((4,), (16,), (16,), heads=(2,)))
    with pytest.raises(InputError, match=r"hidden map: weight has shape \(5, 31\)"):
        bad = {"weight": np.zeros((5, 31), np.float32), "bias": np.zeros(5, np.float32)}
        write_sample(tmp_path / "s", hidden_map=bad)
    with pytest.raises(InputError, match="hidden map: bias holds a number that is not finite"):
        write_sample(tmp_path / "s", hidden_map={**hidden_map(), "bias": np.full(5, np.nan)})
    with pytest.raises(InputError, match=r"hidden map: has \['weight'\], allowed are"):
        write_sample(tmp_path / "s", hidden_map={"weight": np.zeros((5, 32), np.float32)})
    assert not (tmp_path / "s").exists()
