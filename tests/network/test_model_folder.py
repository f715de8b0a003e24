"""Model folders without a framework: round trips, and errors that name the damaged file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest
import safetensors.numpy

from bort.errors import InputError
from bort.network.array_network import ArrayNetwork
from bort.network.model_folder import read_description, read_model_folder
from bort.storage.files import sha256_of_file
from tests.formats.parity import BORT, make_network, write_network

PARTS: Dict[str, Dict[str, Any]] = {
    "encoder": {"vocabulary_fingerprint": "abc"},
    "pooler": {"pooler": True, "dropout": 0.0},
    "masked tokens": {"decoder": True, "decoder_layer_norm_eps": 1e-12},
    "classifier": {"head": "linear", "num_classes": 2, "labels": ["no", "yes"]},
    "span model": {"head": "span", "num_classes": 2},
    "classifier with decoder": {"head": "release", "num_classes": 1, "decoder": True},
}


@pytest.mark.parametrize("part", sorted(PARTS))
def test_a_network_comes_back(part: str, tmp_path: Path) -> None:
    network = make_network(BORT.replace(depth=1, token_types=2), **PARTS[part])
    write_network(tmp_path / "m", network)
    back = read_model_folder(tmp_path / "m")
    assert back.description == network.description == read_description(tmp_path / "m")
    assert set(back.arrays) == set(network.arrays)
    for name, array in network.arrays.items():
        np.testing.assert_array_equal(back.arrays[name], array)
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == ["model.json", "model.safetensors"]


def test_other_arrays_than_described_are_not_written(tmp_path: Path) -> None:
    network = make_network(BORT.replace(depth=1))
    other = network.description.replace(has_decoder=True)
    with pytest.raises(AssertionError):
        write_network(tmp_path, Unchecked(other, network.arrays))
    assert list(tmp_path.iterdir()) == []


class Unchecked(ArrayNetwork):
    """Arrays that are not checked against the description."""

    def __post_init__(self) -> None:
        pass


def test_half_floats_are_read_as_floats(tmp_path: Path) -> None:
    """A student that was trained in float16 on a GPU has such weights."""
    network = make_network(BORT.replace(depth=1))
    halves = {name: array.astype(np.float16) for name, array in network.arrays.items()}
    write_network(tmp_path, Unchecked(network.description, halves))
    for name, array in read_model_folder(tmp_path).arrays.items():
        np.testing.assert_array_equal(array, halves[name].astype(np.float32))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_network(tmp_path / "m", make_network(BORT.replace(depth=1), decoder=True))
    return tmp_path / "m"


def test_damage_names_the_file(folder: Path) -> None:
    weights, source = folder / "model.safetensors", folder / "model.json"
    content, record = weights.read_bytes(), json.loads(source.read_text(encoding="utf-8"))
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match=r"model\.safetensors: is damaged: its SHA-256"):
        read_model_folder(folder)
    weights.unlink()
    with pytest.raises(InputError, match=r"model\.safetensors: is missing"):
        read_model_folder(folder)
    weights.write_bytes(content)
    for name in record:
        text = json.dumps({k: v for k, v in record.items() if k != name})
        source.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=rf"model\.json: .*{name}"):
            read_model_folder(folder)
    record["weights"]["file"] = "../model.safetensors"
    source.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(InputError, match="leads out of the folder"):
        read_model_folder(folder)


def forge(folder: Path, **fields: Any) -> None:
    """Edit `model.json`, with a SHA-256 that matches the weights."""
    path = folder / "model.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record.update(fields)
    record["weights"]["sha256"] = sha256_of_file(folder / "model.safetensors")
    path.write_text(json.dumps(record), encoding="utf-8")


def test_weights_that_do_not_fit_are_named(folder: Path) -> None:
    forge(folder, use_pooler=True)
    with pytest.raises(InputError, match=r"model\.safetensors: parameter 'pooler.weight' is mis"):
        read_model_folder(folder)
    forge(folder, use_pooler=False, use_decoder=False)
    with pytest.raises(InputError, match=r"model\.safetensors: parameter 'decoder.* has no place"):
        read_model_folder(folder)
    deep = BORT.replace(depth=4096).as_dict()
    forge(folder, use_decoder=True, architecture=deep)
    with pytest.raises(InputError, match="parameters do not fit 4096 layers"):
        read_model_folder(folder)
    path = folder / "model.safetensors"
    arrays = safetensors.numpy.load_file(path)
    arrays["decoder.0.bias"][3] = np.nan
    safetensors.numpy.save_file(arrays, path)
    forge(folder, architecture=BORT.replace(depth=1).as_dict())
    with pytest.raises(InputError, match="'decoder.0.bias' holds a number that is not finite"):
        read_model_folder(folder)
