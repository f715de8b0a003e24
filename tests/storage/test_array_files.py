"""Array files: the declared size is checked before memory is allocated."""

from __future__ import annotations

import contextlib
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from bort.errors import InputError
from bort.storage.array_files import read_npy, read_npz, read_safetensors


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


def with_header(header: bytes, version: int = 1, content: bytes = b"") -> bytes:
    """Return an `.npy` file with any text as its header."""
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + content


def header_of(shape: str, descr: str = "'<f4'") -> bytes:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (with_header(header_of(f"({2**60}, 4)")), "its header declares"),
        (with_header(header_of(f"({2**60}, 0)")), "its header declares"),
        (with_header(header_of(f"(0, {2**60})")), "its header declares"),
        (with_header(header_of("(-1, -2)"), content=bytes(8)), "not an array of numbers"),
        (with_header(header_of("(True,)"), content=bytes(4)), "not an array of numbers"),
        (with_header(header_of("(9,)", "'|S0'")), "not an array of numbers"),
        (with_header(header_of("(2,)", "'<U1'"), content=bytes(8)), "not an array of numbers"),
        (with_header(header_of("(1,)", "'<M8[s]'"), content=bytes(8)), "not an array of numbers"),
        (with_header(header_of("(1,)", "[('a', '<f4')]"), content=bytes(4)), "not an array"),
        (with_header(b"(" * 9000), "not an array of numbers"),
        (with_header(b" " * 100_000, version=2), "not an array of numbers"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "not an array of numbers"),
        (b"\x93NUMPY\x03\x00\x00\x00\x00\x00", "not an array of numbers"),
    ],
    ids=range(13),
)
def test_a_header_that_lies_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    for mapped in (False, True):
        with pytest.raises(InputError, match=rf"x\.npy: is damaged: .*{message}"):
            read_npy(tmp_path / "x.npy", mapped=mapped)
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", content)
    with pytest.raises(InputError, match=rf"x\.npz: 'a': is damaged: .*{message}"):
        read_npz(tmp_path / "x.npz", ["a"])


def test_the_arrays_of_an_npz_come_back(tmp_path: Path) -> None:
    arrays = {
        "a": np.arange(6, dtype="<i8").reshape(2, 3),
        "b": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "c": np.array(3, dtype="<u2"),
        "d": np.zeros((0, 4), dtype="<f4"),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "x.npz", **arrays, other=np.array([{}], dtype=object))
        found = read_npz(tmp_path / "x.npz", [*arrays, "missing"])
        assert set(found) == set(arrays)
        for name, array in arrays.items():
            assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
            assert np.array_equal(found[name], array)
    with pytest.raises(InputError, match=r"x\.npz: 'other': holds Python objects"):
        read_npz(tmp_path / "x.npz", ["other"])


def test_a_bomb_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez_compressed(path, a=np.zeros(20_000_000, dtype="<i4"))
    assert path.stat().st_size < 200_000
    with pytest.raises(InputError, match="its arrays unpack to 80000128 bytes, allowed are 67108"):
        read_npz(path, ["a"])
    assert read_npz(path, ["b"]) == {}


def test_damage_of_an_npz_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez_compressed(path, a=np.arange(3000), b=np.arange(30) * 0.5)
    content = path.read_bytes()
    generator = random.Random(0)
    for number in range(200):
        changed = bytearray(content)
        if number % 2:
            changed[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        else:
            del changed[generator.randrange(len(content)) :]
        path.write_bytes(bytes(changed))
        with contextlib.suppress(InputError):
            read_npz(path, ["a", "b"])
    path.write_bytes(content + content)
    with pytest.raises(InputError, match=r"x\.npz: is damaged: bytes precede its first array"):
        read_npz(path, ["a"])
    for broken in (b"", b"no archive", np.arange(3).tobytes()):
        path.write_bytes(broken)
        with pytest.raises(InputError, match=r"x\.npz: is damaged or not an \.npz file"):
            read_npz(path, ["a"])
    with pytest.raises(InputError, match=r"y\.npz: cannot be read: No such file"):
        read_npz(tmp_path / "y.npz", ["a"])


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
