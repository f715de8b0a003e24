"""The weights of a Hugging Face folder: finding, reading and writing its safetensors files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Mapping, Tuple

import numpy as np
import safetensors
import safetensors.numpy

from bort.errors import InputError
from bort.storage.array_files import StoredTensor, read_safetensors_header
from bort.storage.files import atomic_write, read_json
from bort.storage.json_fields import JsonFields

TENSORS_FILE = "model.safetensors"
INDEX_FILE = f"{TENSORS_FILE}.index.json"
_ADAPTER_FILE = "adapter_config.json"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")
_FLOATS = ("F16", "BF16", "F32", "F64")
_INTEGERS = ("I", "U", "BOOL")


@dataclass(frozen=True)
class Weights:
    """The tensors of a folder as float32.

    Attributes:
        path: the file, or the index of several files; the name of the weights in error messages.
        tensors: arrays by the names in the files.
        others: names of tensors of integers -> their type; they are not read.
        converted: types other than `F32` that were converted, sorted.
    """

    path: Path
    tensors: Dict[str, np.ndarray]
    others: Mapping[str, str]
    converted: Tuple[str, ...]


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write float32 tensors; Transformers requires metadata that marks them as PyTorch's."""
    ordered = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    with atomic_write(path) as stream:
        stream.write(safetensors.numpy.save(ordered, metadata={"format": "pt"}))


def read_weights(folder: Path) -> Weights:
    """Read `model.safetensors`, or the files that `model.safetensors.index.json` names.

    Raises:
        InputError: there are no such files (the message tells whether there are pickles), a file is
            damaged, a tensor is in two files or has a type that is not read, or the index does not
            fit the files.
    """
    files = weight_files(folder)
    return _weights(files[0] if len(files) == 1 else folder / INDEX_FILE, files)


def weight_files(folder: Path) -> Tuple[Path, ...]:
    """Return the paths of a folder's safetensors files; errors are those of `read_weights`."""
    path = folder / TENSORS_FILE
    if path.is_file():
        return (path,)
    index = folder / INDEX_FILE
    if index.exists():
        return _shards(index)
    if (folder / _ADAPTER_FILE).exists():
        raise InputError(
            f"{folder / _ADAPTER_FILE}: the folder holds an adapter; merge it into its base model "
            "first (merge_and_unload in the package peft)"
        )
    for pattern in _PICKLES:
        for found in sorted(folder.glob(pattern)):
            raise InputError(
                f"{found}: is not read (opening a pickle can run code); {TENSORS_FILE} "
                "is expected next to it"
            )
    raise InputError(f"{path}: no such file")


def read_tensors(path: Path) -> Dict[str, np.ndarray]:
    """Read one safetensors file; all types of floats become float32, integers are left out.

    Raises:
        InputError: the file cannot be read, or a tensor has another type; the message names both.
    """
    return _weights(path, (path,)).tensors


def _shards(index: Path) -> Tuple[Path, ...]:
    """Return the files that an index names, after comparing their tensors with the index."""
    fields = JsonFields.of(read_json(index), str(index)).fields("weight_map")
    files: Dict[str, Path] = {}
    headers: Dict[str, Mapping[str, StoredTensor]] = {}
    for tensor in fields.values:
        name = fields.text(tensor)
        if name not in files:
            # A plain name cannot lead out of the folder.
            if not name.endswith(".safetensors") or set("/\\\0:") & set(name):
                raise InputError(
                    f"{index}: weight_map.{tensor} is {name[:60]!r}, allowed is the name of a "
                    ".safetensors file in the folder"
                )
            files[name] = index.parent / name
            if not files[name].is_file():
                raise InputError(f"{files[name]}: no such file, but {index.name} names it")
            headers[name] = read_safetensors_header(files[name])
        if tensor not in headers[name]:
            raise InputError(f"{files[name]}: has no tensor {tensor!r}, but {index.name} says so")
    return tuple(files.values())


def _weights(source: Path, files: Tuple[Path, ...]) -> Weights:
    tensors: Dict[str, np.ndarray] = {}
    others: Dict[str, str] = {}
    converted = set()
    seen: Dict[str, Path] = {}
    for path in files:
        header = read_safetensors_header(path)
        for name, stored in header.items():
            if name in seen:
                raise InputError(f"{path}: the tensor {name!r} is in {seen[name].name} too")
            seen[name] = path
            if stored.dtype in _FLOATS:
                converted.add(stored.dtype)
            elif stored.dtype.startswith(_INTEGERS):
                others[name] = stored.dtype
            else:
                kind, allowed = stored.dtype[:20], ", ".join(_FLOATS)
                raise InputError(f"{path}: {name[:60]!r} is {kind}, allowed are {allowed}")
        tensors.update(_read(path, header))
    if not tensors:
        raise InputError(f"{source}: holds no weights")
    return Weights(source, tensors, others, tuple(sorted(converted - {"F32"})))


def _read(path: Path, header: Mapping[str, StoredTensor]) -> Dict[str, np.ndarray]:
    tensors: Dict[str, np.ndarray] = {}
    try:
        with safetensors.safe_open(str(path), framework="numpy") as file, open(
            path, "rb"
        ) as stream:
            for name, stored in header.items():
                if stored.dtype == "BF16":
                    # NumPy has no bfloat16: its 16 bits are the first half of a float32's.
                    stream.seek(stored.begin)
                    halves = np.frombuffer(stream.read(stored.size), "<u2").astype("<u4") << 16
                    tensors[name] = halves.view("<f4").reshape(stored.shape)
                elif stored.dtype in _FLOATS:
                    with np.errstate(over="ignore"):
                        tensors[name] = np.asarray(file.get_tensor(name), np.float32)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: is not a safetensors file: {error}") from error
    return tensors
