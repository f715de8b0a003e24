"""Weights in one file or several: their names, types and sizes, and indexes that lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest
import safetensors.numpy

from bort.errors import InputError
from bort.formats.huggingface.tensor_file import read_tensors, read_weights, weight_files
from tests.formats.huggingface.test_bad_folders import safetensors_file, tensor

FIRST = {"a": np.arange(6, dtype=np.float32).reshape(2, 3)}
SECOND = {"b": np.arange(4, dtype=np.float16), "c": np.arange(2, dtype=np.int64)}


def write_index(folder: Path, names: Any) -> None:
    index = {"metadata": {"total_size": 1}, "weight_map": names}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


def write_shards(folder: Path) -> Dict[str, str]:
    safetensors.numpy.save_file(FIRST, folder / "model-1-of-2.safetensors")
    safetensors.numpy.save_file(SECOND, folder / "model-2-of-2.safetensors")
    names = {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}
    names["c"] = names["b"]
    write_index(folder, names)
    return names


def test_shards_are_one_set_of_weights(tmp_path: Path) -> None:
    write_shards(tmp_path)
    weights = read_weights(tmp_path)
    assert set(weights.tensors) == {"a", "b"}
    np.testing.assert_array_equal(weights.tensors["a"], FIRST["a"])
    np.testing.assert_array_equal(weights.tensors["b"], SECOND["b"].astype(np.float32))
    assert all(array.dtype == np.float32 for array in weights.tensors.values())
    assert weights.others == {"c": "I64"}
    assert weights.converted == ("F16",)
    assert [path.name for path in weight_files(tmp_path)] == [
        "model-1-of-2.safetensors",
        "model-2-of-2.safetensors",
    ]
    safetensors.numpy.save_file(FIRST, tmp_path / "model.safetensors")
    assert weight_files(tmp_path) == (tmp_path / "model.safetensors",)


@pytest.mark.parametrize(
    "name",
    [
        "../model-1-of-2.safetensors",
        "/etc/passwd",
        "sub/x.safetensors",
        "..\\x.safetensors",
        "C:x.safetensors",
        "model.bin",
        "",
    ],
)
def test_an_index_does_not_lead_out_of_the_folder(name: str, tmp_path: Path) -> None:
    names = write_shards(tmp_path)
    write_index(tmp_path, {**names, "a": name})
    with pytest.raises(InputError, match="allowed is the name of a .safetensors file") as caught:
        read_weights(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'model.safetensors.index.json'}: weight_map")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"a": "model-3-of-2.safetensors"}, "model-3-of-2.safetensors: no such file"),
        ({"x": "model-1-of-2.safetensors"}, "has no tensor 'x', but model.safetensors.index"),
        ({"a": 3}, "weight_map.a is 3, allowed is a text"),
        ({"a": "model-2-of-2.safetensors"}, "has no tensor 'a'"),
    ],
)
def test_an_index_fits_its_files(changed: Any, message: str, tmp_path: Path) -> None:
    names = write_shards(tmp_path)
    write_index(tmp_path, {**names, **changed})
    with pytest.raises(InputError) as caught:
        read_weights(tmp_path)
    assert message in str(caught.value)
    for content in (b"[]", b"{}", b'{"weight_map": []}', b"[" * 100_000):
        (tmp_path / "model.safetensors.index.json").write_bytes(content)
        with pytest.raises(InputError, match=r"index\.json: "):
            read_weights(tmp_path)


def test_a_tensor_is_in_one_file(tmp_path: Path) -> None:
    write_shards(tmp_path)
    again = {**SECOND, **FIRST}
    safetensors.numpy.save_file(again, tmp_path / "model-2-of-2.safetensors")
    with pytest.raises(InputError, match=r"'a' is in model-1-of-2\.safetensors too"):
        read_weights(tmp_path)


def test_bfloat16_is_the_first_half_of_a_float32(tmp_path: Path) -> None:
    values = np.array([1.0, -2.5, 3.0e38, 1e-40, np.inf, 0.0], np.float32)
    halves = (values.view(np.uint32) >> 16).astype("<u2")
    path = tmp_path / "model.safetensors"
    header = {"x": tensor(0, 4, [1]), "a": tensor(4, 16, [2, 3], "BF16")}
    path.write_bytes(safetensors_file(header, b"\0\0\x80\x3f" + halves.tobytes()))
    found = read_tensors(path)
    expected = (halves.astype(np.uint32) << 16).view(np.float32).reshape(2, 3)
    np.testing.assert_array_equal(found["a"], expected)
    assert found["x"] == [1.0]


def test_numbers_beyond_float32_become_infinite_without_a_warning(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file({"a": np.array([1e300])}, path)
    assert np.isinf(read_tensors(path)["a"]).all()
    assert not recwarn.list


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("adapter_config.json", "the folder holds an adapter; merge it"),
        ("pytorch_model.bin", "opening a pickle can run code"),
        ("model.onnx", "model.safetensors: no such file"),
    ],
)
def test_other_weights_are_named(file: str, message: str, tmp_path: Path) -> None:
    (tmp_path / file).write_bytes(b"{}")
    with pytest.raises(InputError, match=message):
        read_weights(tmp_path)
