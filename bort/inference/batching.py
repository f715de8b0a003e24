"""Which inputs are computed together: sorted by length, so that little of a batch is padding.

An input is padded to a length that depends on its own length alone (`padded_length`), and shares a
batch with inputs of the same padded length only. So all that its company can change is the number
of rows of the matrices: measured here, ONNX Runtime then gave the same bits in batches of 1 to 16,
OpenVINO gave two results (below and above about 90 tokens a batch), MXNet several.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional

import numpy as np

_STEPS_OF_AN_OCTAVE = 8
_SMALLEST_STEP = 8


class Batch(NamedTuple):
    """Inputs to compute together.

    Attributes:
        rows: int64 (B,), numbers of the inputs.
        length: tokens a row after padding.
    """

    rows: np.ndarray
    length: int


def padded_length(length: int, longest: int) -> int:
    """Tokens after padding: up to a multiple of 8, of longer inputs to one of 16, of 32.

    There are few different lengths then (32 up to 512), and an input of more than 64 tokens grows
    by less than an eighth.

    Args:
        length: tokens of an input.
        longest: most tokens that the model takes; never exceeded.

    >>> [padded_length(n, 512) for n in (1, 9, 64, 65, 130, 512)]
    [8, 16, 64, 72, 144, 512]
    """
    power_below = 1 << max(0, length - 1).bit_length() >> 1
    step = max(_SMALLEST_STEP, power_below // _STEPS_OF_AN_OCTAVE)
    return min(longest, -(-length // step) * step)


def plan_batches(
    lengths: np.ndarray,
    *,
    tokens: int,
    longest: int,
    predictions: Optional[np.ndarray] = None,
    most_predictions: int = 0,
) -> List[Batch]:
    """Batches of all inputs, each in one; the longest first, so that memory runs out early if ever.

    Args:
        lengths: int (N,), tokens of every input.
        tokens: most tokens of a batch, padding included; one input alone may have more.
        longest: most tokens that the model takes.
        predictions: int (N,), positions to predict of every input; None where none are.
        most_predictions: most positions of a batch, padding included.

    >>> lengths = np.array([9, 3, 12, 2])
    >>> [batch.rows.tolist() for batch in plan_batches(lengths, tokens=32, longest=64)]
    [[0, 2], [1, 3]]
    """
    padded = np.array([padded_length(n, longest) for n in lengths.tolist()], dtype=np.int64)
    needed = np.zeros_like(padded) if predictions is None else np.asarray(predictions)
    order = np.lexsort((-needed, -padded))
    batches: List[Batch] = []
    start = 0
    while start < len(order):
        length, widest = int(padded[order[start]]), int(needed[order[start]])
        rows = max(1, tokens // length)
        if widest:
            rows = min(rows, max(1, most_predictions // widest))
        end = start + 1
        while end < min(len(order), start + rows) and padded[order[end]] == length:
            end += 1
        batches.append(Batch(order[start:end], length))
        start = end
    return batches
