"""Array files: the declared size is checked before memory is allocated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from bort.errors import InputError
from bort.storage.array_files import read_npy, read_safetensors


def saved(path: Path, array: Any) -> Path:
    np.save(path, array)
    return path


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype="<i8").reshape(6, 2),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.zeros((0, 2), dtype=bool),
        np.array(3, dtype="<u2"),
    ],
)
def test_arrays_come_back(tmp_path: Path, array: np.ndarray, mapped: bool) -> None:
    found = read_npy(saved(tmp_path / "x.npy", array), mapped=mapped)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert np.array_equal(found, array)
    assert isinstance(found, np.memmap) == (mapped and array.size > 0)


@pytest.mark.parametrize("mapped", [False, True])
def test_a_declared_size_is_checked_before_memory_is_taken(tmp_path: Path, mapped: bool) -> None:
    path = saved(tmp_path / "x.npy", np.arange(1000))
    content = path.read_bytes()
    declares_more = content.replace(b"(1000,), }         ", b"(1000000000000,), }")
    assert len(declares_more) == len(content)
    for changed in (declares_more, content[:-1], content + b"\0"):
        path.write_bytes(changed)
        with pytest.raises(InputError, match=r"x\.npy: is damaged: it has \d+ bytes, its header"):
            read_npy(path, mapped=mapped)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array", b"\x93NUMPY\x01\x00\x76\x00{"])
def test_what_is_no_array_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.npy: is damaged: it is not an array of numbers"):
        read_npy(tmp_path / "x.npy")
    with pytest.raises(InputError, match=r"y\.npy: cannot be read: No such file"):
        read_npy(tmp_path / "y.npy")


def test_objects_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"x\.npy: holds Python objects"):
        read_npy(path)


def test_tensors_come_back_and_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(0, np.float32)}
    path.write_bytes(safetensors.numpy.save(tensors))
    found = read_safetensors(path)
    assert set(found) == set(tensors)
    assert all(np.array_equal(found[name], tensors[name]) for name in tensors)
    content = path.read_bytes()
    for changed in (content[:-1], content[:4], b"", content[:8] + b"[" + content[9:]):
        path.write_bytes(changed)
        with pytest.raises(InputError, match=r"x\.safetensors: is not a safetensors file"):
            read_safetensors(path)
    with pytest.raises(InputError, match=r"y\.safetensors: cannot be read: No such file"):
        read_safetensors(tmp_path / "y.safetensors")
