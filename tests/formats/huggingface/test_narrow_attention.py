"""Tests of attention that is narrower than the hidden size, in Hugging Face folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bort.architecture import NORMS
from bort.errors import InputError
from bort.formats.huggingface.narrow_attention import with_narrow_attention, with_wide_attention
from bort.formats.huggingface.reader import read_huggingface
from bort.formats.huggingface.writer import write_huggingface
from tests.formats.parity import BORT, make_network
from tests.gluon.network.reference import encode

NARROW = BORT.replace(depth=2, hidden=96, qkv=40)
IDS = np.random.default_rng(1).integers(0, NARROW.vocabulary_size, (3, 11))
LENGTHS = np.array([11, 4, 7])


@pytest.mark.parametrize("norm", NORMS)
def test_a_wide_network_answers_as_the_narrow_one(norm: str) -> None:
    network = make_network(NARROW.replace(norm=norm))
    wide = with_wide_attention(network)
    assert wide.architecture == NARROW.replace(qkv=96, norm=norm)
    ours = encode(dict(network.arrays), NARROW.heads, IDS, LENGTHS)
    theirs = encode(dict(wide.arrays), NARROW.heads, IDS, LENGTHS)
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=2e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_an_export_comes_back_narrow(norm: str, tmp_path: Path) -> None:
    network = make_network(NARROW.replace(norm=norm), head="release", num_classes=3)
    write_huggingface(tmp_path, network, None)
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["hidden_size"], config["bort"]["qkv"]) == (96, 40)
    back = read_huggingface(tmp_path).network
    assert back.architecture == network.architecture
    for name, array in network.arrays.items():
        if "proj_query" in name:
            np.testing.assert_array_max_ulp(back.arrays[name], array, maxulp=1)
        else:
            np.testing.assert_array_equal(back.arrays[name], array)


def test_a_power_of_four_comes_back_bit_for_bit() -> None:
    network = make_network(BORT.replace(hidden=64, qkv=16))
    back = with_narrow_attention(with_wide_attention(network), 16)
    for name, array in network.arrays.items():
        np.testing.assert_array_equal(back.arrays[name], array)


@pytest.mark.parametrize(
    ("hidden", "heads", "qkv", "written"),
    [(96, 5, 40, 6), (96, 7, 84, 8), (64, 3, 48, 4), (96, 9, 72, 12), (60, 7, 42, 10)],
)
@pytest.mark.parametrize("norm", NORMS)
def test_heads_that_do_not_divide_the_hidden_size_get_company(
    norm: str, hidden: int, heads: int, qkv: int, written: int, tmp_path: Path
) -> None:
    sizes = NARROW.replace(norm=norm, hidden=hidden, heads=heads, qkv=qkv)
    network = make_network(sizes, head="release", num_classes=3)
    wide = with_wide_attention(network)
    assert wide.architecture == sizes.replace(heads=written, qkv=hidden)
    ours = encode(dict(network.arrays), heads, IDS, LENGTHS)
    theirs = encode(dict(wide.arrays), written, IDS, LENGTHS)
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=2e-6)
    write_huggingface(tmp_path, network, None)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["num_attention_heads"] == written
    for is_known in (True, False):
        back = read_huggingface(tmp_path).network
        assert back.architecture == network.architecture
        for name, array in network.arrays.items():
            np.testing.assert_array_max_ulp(back.arrays[name], array, maxulp=1)
        if is_known:
            (tmp_path / "bort.json").unlink()


@pytest.mark.parametrize("heads", [0, -1, 6, 7, True, 5.0, "5", 1])
def test_a_wrong_mark_of_the_heads_is_refused(heads: Any, tmp_path: Path) -> None:
    write_huggingface(tmp_path, make_network(NARROW.replace(heads=5)), None)
    (tmp_path / "bort.json").unlink()
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    assert config["bort"]["heads"] == 5
    config["bort"]["heads"] = heads
    path.write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"config\.json: bort: (heads|qkv) is .*, allowed "):
        read_huggingface(tmp_path)


def test_trained_padding_is_kept() -> None:
    wide = with_wide_attention(make_network(NARROW))
    arrays = dict(wide.arrays)
    name = "encoder.transformer_cells.1.attention_cell.proj_value.bias"
    arrays[name] = arrays[name].copy()
    arrays[name][-1] = 0.5
    trained = wide.replace(arrays=arrays)
    assert with_narrow_attention(trained, 40) is trained


@pytest.mark.parametrize(
    ("hidden", "heads", "qkv", "message"),
    [
        (96, 8, 104, "qkv is 104, the Hugging Face format allows at most hidden 96"),
        (96, 5, 95, "heads is 5, which does not divide hidden 96"),
    ],
)
def test_what_cannot_be_written_is_refused(
    hidden: int, heads: int, qkv: int, message: str, tmp_path: Path
) -> None:
    network = make_network(BORT.replace(hidden=hidden, heads=heads, qkv=qkv))
    with pytest.raises(InputError, match=message):
        write_huggingface(tmp_path, network, None)


@pytest.mark.parametrize("qkv", [0, 41, 96, True, 40.0, "40"])
def test_a_wrong_mark_is_refused(qkv: Any, tmp_path: Path) -> None:
    write_huggingface(tmp_path, make_network(NARROW), None)
    (tmp_path / "bort.json").unlink()
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    config["bort"]["qkv"] = qkv
    path.write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"config\.json: bort: qkv is .*, allowed is a multiple"):
        read_huggingface(tmp_path)
