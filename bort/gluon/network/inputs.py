"""The MXNet arrays of a batch of token ids."""

from __future__ import annotations

from typing import NamedTuple, Optional

import mxnet as mx
import numpy as np

from bort.architecture import Architecture


class InputArrays(NamedTuple):
    """The inputs of a network, on its device.

    Attributes:
        input_ids: int32 (B, L).
        lengths: float32 (B,), number of tokens in every row that are not padding.
        token_types: int32 (B, L); None for a network without token types.
    """

    input_ids: mx.nd.NDArray
    lengths: mx.nd.NDArray
    token_types: Optional[mx.nd.NDArray]


def input_arrays(
    architecture: Architecture,
    context: mx.Context,
    input_ids: np.ndarray,
    lengths: np.ndarray,
    token_types: Optional[np.ndarray] = None,
) -> InputArrays:
    """Return the arrays of a batch.

    A network with token types always gets an array of them, zeros for None, because Gluon compiles
    a network for the arguments of its first call.

    Args:
        architecture: architecture of the network.
        context: device of the network.
        input_ids: int (B, L).
        lengths: int (B,).
        token_types: int (B, L); None for type 0.
    """
    types = None
    if architecture.token_types:
        given = np.zeros(input_ids.shape, np.int32) if token_types is None else token_types
        types = mx.nd.array(given, ctx=context, dtype="int32")
    return InputArrays(
        mx.nd.array(input_ids, ctx=context, dtype="int32"),
        mx.nd.array(lengths, ctx=context, dtype="float32"),
        types,
    )
