"""The safetensors file of a Hugging Face folder: finding, reading and writing it."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Mapping

import numpy as np
import safetensors
import safetensors.numpy

from bort.errors import InputError
from bort.storage.files import atomic_write

TENSORS_FILE = "model.safetensors"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write float32 tensors; Transformers requires metadata that marks them as PyTorch's."""
    ordered = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    with atomic_write(path) as stream:
        stream.write(safetensors.numpy.save(ordered, metadata={"format": "pt"}))


def find_tensors(folder: Path) -> Path:
    """Return the path of a folder's safetensors file.

    Raises:
        InputError: there is none; the message tells whether there are pickles or several parts.
    """
    path = folder / TENSORS_FILE
    if path.is_file():
        return path
    if (folder / f"{TENSORS_FILE}.index.json").exists():
        raise InputError(f"{folder}: its weights are in several parts, expected one {TENSORS_FILE}")
    for pattern in _PICKLES:
        for found in sorted(folder.glob(pattern)):
            raise InputError(
                f"{found}: is not read (opening a pickle can run code); {TENSORS_FILE} "
                "is expected next to it"
            )
    raise InputError(f"{path}: no such file")


def read_tensors(path: Path) -> Dict[str, np.ndarray]:
    """Read a safetensors file; float16 and float64 become float32, integers are left out.

    Raises:
        InputError: the file cannot be read, or a tensor has another type; the message names both.
    """
    tensors: Dict[str, np.ndarray] = {}
    try:
        with safetensors.safe_open(str(path), framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118  (it is not a mapping)
                kind = file.get_slice(name).get_dtype()
                if kind in ("F16", "F32", "F64"):
                    tensors[name] = np.asarray(file.get_tensor(name), np.float32)
                elif kind.startswith(("BF", "F")):
                    raise InputError(f"{path}: {name!r} is {kind}, allowed are F16, F32, F64")
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: is truncated or not a safetensors file: {error}") from error
    if not tensors:
        raise InputError(f"{path}: holds no weights")
    return tensors
