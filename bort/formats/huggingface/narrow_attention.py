"""Attention that is narrower than the hidden size, in a format whose attention is as wide.

Hugging Face's BERT has Q = H. A head of width d = Q/A becomes one of width d' = H/A: its query, key
and value get rows of zeros, and the output layer gets columns of zeros. Zeros change neither a
product of query and key nor the context. BERT divides the products by √d' in place of √d, so the
query is multiplied by √(d'/d). The outputs are the same up to rounding.
"""

from __future__ import annotations

import math
from typing import Dict

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.network.array_network import ArrayNetwork

QKV_MARK = "qkv"
"""Key of the mark that holds the width of the attention before it was widened."""

_QUERY = ".attention_cell.proj_query."
_NARROW = (_QUERY, ".attention_cell.proj_key.", ".attention_cell.proj_value.")
_OUTPUT = ".proj.weight"


def with_wide_attention(network: ArrayNetwork) -> ArrayNetwork:
    """Return the network with Q = H, in new arrays.

    Raises:
        InputError: the attention is wider than the hidden size, or heads do not divide the latter.
    """
    sizes = network.architecture
    if sizes.qkv > sizes.hidden:
        raise InputError(
            f"architecture: qkv is {sizes.qkv}, the Hugging Face format allows at most hidden "
            f"{sizes.hidden}"
        )
    if sizes.hidden % sizes.heads:
        raise InputError(
            f"architecture: heads is {sizes.heads}, which does not divide hidden {sizes.hidden}; "
            "the Hugging Face format needs it"
        )
    rows = _rows(sizes, sizes.qkv)
    scale = _scale(sizes, sizes.qkv)
    arrays: Dict[str, np.ndarray] = {}
    for name, array in network.arrays.items():
        if name.endswith(_OUTPUT):
            wide = np.zeros((len(array), sizes.hidden), np.float32)
            wide[:, rows] = array
        elif any(part in name for part in _NARROW):
            wide = np.zeros((sizes.hidden, *array.shape[1:]), np.float32)
            wide[rows] = array * scale if _QUERY in name else array
        else:
            wide = array
        arrays[name] = wide
    return network.replace(arrays=arrays, architecture=sizes.replace(qkv=sizes.hidden))


def with_narrow_attention(network: ArrayNetwork, qkv: int) -> ArrayNetwork:
    """Return the network with Q = `qkv`: the inverse of `with_wide_attention`.

    The weights of the query may differ by one unit in the last place, because the scale rounds.
    A network whose added rows or columns are not zero, for instance after further training, stays
    as it is.

    Raises:
        InputError: heads do not divide `qkv`, or it is not below the hidden size.
    """
    sizes = network.architecture
    if type(qkv) is not int or not 0 < qkv < sizes.hidden or qkv % sizes.heads:
        raise InputError(
            f"qkv is {qkv!r}, allowed is a multiple of heads {sizes.heads} below hidden "
            f"{sizes.hidden}"
        )
    rows = _rows(sizes, qkv)
    added = np.setdiff1d(np.arange(sizes.hidden), rows)
    scale = _scale(sizes, qkv)
    arrays: Dict[str, np.ndarray] = {}
    for name, array in network.arrays.items():
        if name.endswith(_OUTPUT):
            padding, kept = array[:, added], array[:, rows]
        elif any(part in name for part in _NARROW):
            padding, kept = array[added], array[rows]
            kept = (kept / scale).astype(np.float32) if _QUERY in name else kept
        else:
            arrays[name] = array
            continue
        if padding.any():
            return network
        arrays[name] = np.ascontiguousarray(kept)
    return network.replace(arrays=arrays, architecture=sizes.replace(qkv=qkv))


def _rows(sizes: Architecture, qkv: int) -> np.ndarray:
    """Return the rows of the narrow heads, int64 (Q,), among those of the wide heads."""
    starts = np.arange(sizes.heads) * (sizes.hidden // sizes.heads)
    rows: np.ndarray = (starts[:, None] + np.arange(qkv // sizes.heads)).reshape(-1)
    return rows


def _scale(sizes: Architecture, qkv: int) -> np.float64:
    return np.float64(math.sqrt(sizes.hidden / qkv))
