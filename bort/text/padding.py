"""Padding of token ids, and the lengths to pad to."""

from __future__ import annotations

from typing import Sequence, Tuple

import numpy as np

ROW_OF_PADDING = np.zeros(0, dtype=np.int32)
"""A padding row, which has no tokens; see `pad_rows`."""

_STEP = 8
_STEPS_OF_AN_OCTAVE = 8


def rounded_up(count: int, step: int = _STEP) -> int:
    """Return the smallest multiple of `step` that is at least `count`.

    >>> [rounded_up(n) for n in (0, 1, 8, 9)]
    [0, 8, 8, 16]
    """
    return -(-count // step) * step


def longest_row(lengths: np.ndarray, allowed: int) -> int:
    """Return the tokens to pad the longest of several inputs to, at most `allowed`.

    Args:
        lengths: int (N,), number of tokens of each input.
        allowed: maximum number of tokens that the model takes.

    >>> longest_row(np.array([3, 58]), 512), longest_row(np.array([3, 58]), 61)
    (64, 61)
    """
    return min(allowed, rounded_up(int(np.max(lengths, initial=1))))


def padded_length(length: int, longest: int) -> int:
    """Return the padded length of an input, at most `longest`.

    It is a multiple of 8, above 128 of 16, and above 256 of 32. There are then only 32 different
    lengths up to 512, and an input of more than 64 tokens grows by less than an eighth.

    Args:
        length: number of tokens of the input.
        longest: maximum number of tokens that the model takes.

    >>> [padded_length(n, 512) for n in (1, 9, 64, 65, 130, 512)]
    [8, 16, 64, 72, 144, 512]
    """
    power_below = 1 << max(0, length - 1).bit_length() >> 1
    return min(longest, rounded_up(length, max(_STEP, power_below // _STEPS_OF_AN_OCTAVE)))


def pad_rows(rows: Sequence[np.ndarray], length: int, pad_id: int) -> Tuple[np.ndarray, np.ndarray]:
    """Pad rows of token ids into one array.

    Args:
        rows: B integer arrays of at most `length` ids; use `ROW_OF_PADDING` for a padding row.
        length: L, tokens per row.
        pad_id: id of `<pad>`.

    Returns:
        Ids int32 (B, L), and valid lengths int32 (B,). The valid length of a padding row is 1,
        because models need at least one token.
    """
    input_ids = np.full((len(rows), length), pad_id, dtype=np.int32)
    lengths = np.ones(len(rows), dtype=np.int32)
    for number, ids in enumerate(rows):
        if len(ids):
            input_ids[number, : len(ids)] = ids
            lengths[number] = len(ids)
    return input_ids, lengths
