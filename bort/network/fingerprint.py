"""The fingerprint of weights."""

from __future__ import annotations

import hashlib
from typing import Mapping

import numpy as np


def fingerprint_of(arrays: Mapping[str, np.ndarray], *, before: str = "", after: str = "") -> str:
    """Return the SHA-256 of names, shapes, types and values of arrays, in the order of the names.

    Args:
        arrays: weights by name.
        before: text that is hashed before the arrays.
        after: text that is hashed after them.
    """
    digest = hashlib.sha256(before.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).data)
    digest.update(after.encode())
    return digest.hexdigest()
