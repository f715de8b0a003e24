"""Attention that is narrower than the hidden size, in a format whose attention is as wide.

Hugging Face's BERT has Q = H. A head of width d = Q/A becomes one of width d' = H/A: its query, key
and value get rows of zeros, and the output layer gets columns of zeros. Zeros change neither a
product of query and key nor the context. BERT divides the products by √d' in place of √d, so the
query is multiplied by √(d'/d). The outputs are the same up to rounding.

A number of heads that does not divide H, such as 5 of the 12 of a teacher with H = 384, becomes the
next one that does. The heads that are added are zeros.
"""

from __future__ import annotations

import math
from typing import Dict, NamedTuple, Optional

import numpy as np

from bort.errors import InputError
from bort.network.array_network import ArrayNetwork

QKV_MARK, HEADS_MARK = "qkv", "heads"
"""Keys of the marks that hold the width of the attention before it was widened, and the number of
its heads if some were added."""

_QUERY = ".attention_cell.proj_query."
_NARROW = (_QUERY, ".attention_cell.proj_key.", ".attention_cell.proj_value.")
_OUTPUT = ".proj.weight"


def with_wide_attention(network: ArrayNetwork) -> ArrayNetwork:
    """Return the network with Q = H and a number of heads that divides H, in new arrays.

    Raises:
        InputError: the attention is wider than the hidden size, or its heads are too wide for a
            number of heads that divides the latter.
    """
    sizes = network.architecture
    if sizes.qkv > sizes.hidden:
        raise InputError(
            f"architecture: qkv is {sizes.qkv}, the Hugging Face format allows at most hidden "
            f"{sizes.hidden}"
        )
    able = range(sizes.heads, sizes.hidden // sizes.head_width + 1)
    heads = next((count for count in able if sizes.hidden % count == 0), None)
    if heads is None:
        raise InputError(
            f"architecture: heads is {sizes.heads}, which does not divide hidden {sizes.hidden}; "
            "the Hugging Face format needs it"
        )
    place = _Place(sizes.hidden, heads, sizes.heads, sizes.qkv)
    rows, scale = place.rows, place.scale
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
    architecture = sizes.replace(qkv=sizes.hidden, heads=heads)
    return network.replace(arrays=arrays, architecture=architecture)


def with_narrow_attention(
    network: ArrayNetwork, qkv: int, heads: Optional[int] = None
) -> ArrayNetwork:
    """Return the network with Q = `qkv`: the inverse of `with_wide_attention`.

    The weights of the query may differ by one unit in the last place, because the scale rounds.
    A network whose added rows or columns are not zero, for instance after further training, stays
    as it is.

    Args:
        network: a network with Q = H.
        qkv: width of the attention.
        heads: number of its heads; None for that of the network.

    Raises:
        InputError: there are more heads than those of the network, heads do not divide `qkv`, or it
            is not below the hidden size.
    """
    sizes = network.architecture
    if heads is not None and (type(heads) is not int or not 0 < heads < sizes.heads):
        raise InputError(
            f"heads is {heads!r}, allowed is an integer above 0 and below num_attention_heads "
            f"{sizes.heads}"
        )
    own = heads or sizes.heads
    if type(qkv) is not int or not 0 < qkv < sizes.hidden or qkv % own:
        raise InputError(
            f"qkv is {qkv!r}, allowed is a multiple of heads {own} below hidden {sizes.hidden}"
        )
    if qkv // own > sizes.head_width:
        raise InputError(
            f"qkv is {qkv}, allowed are at most {sizes.head_width} for each of {own} heads"
        )
    place = _Place(sizes.hidden, sizes.heads, own, qkv)
    rows, scale = place.rows, place.scale
    added = np.setdiff1d(np.arange(sizes.hidden), rows)
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
    return network.replace(arrays=arrays, architecture=sizes.replace(qkv=qkv, heads=own))


class _Place(NamedTuple):
    """Where the rows of narrow heads are in an attention as wide as the hidden size.

    Attributes:
        hidden: H.
        wide_heads: number of heads of the wide attention.
        heads: number of narrow heads, which come first.
        qkv: Q, width of all narrow heads.
    """

    hidden: int
    wide_heads: int
    heads: int
    qkv: int

    @property
    def rows(self) -> np.ndarray:
        """The rows of the narrow heads, int64 (Q,), among those of the wide heads."""
        starts = np.arange(self.heads) * (self.hidden // self.wide_heads)
        found: np.ndarray = (starts[:, None] + np.arange(self.qkv // self.heads)).reshape(-1)
        return found

    @property
    def scale(self) -> np.float64:
        """√(d'/d), the factor of the query."""
        ratio = (self.hidden * self.heads) / (self.wide_heads * self.qkv)
        return np.float64(math.sqrt(ratio))
