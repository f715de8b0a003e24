"""Truncation of inputs that are too long, which keeps the protected pieces.

Segments of rank 0 (passages) are shortened first, as far as possible, then those of rank 1, the
longest first. A segment keeps its protected pieces and the tokens nearest to them; a segment
without protected pieces keeps its beginning.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence

import numpy as np


class PieceLength(NamedTuple):
    """The number of tokens of a piece, and whether the piece must be kept whole."""

    length: int
    keep: bool


class SegmentLengths(NamedTuple):
    """The lengths of a segment's pieces, and its rank; see `bort.tasks.items.Segment`."""

    pieces: Sequence[PieceLength]
    rank: int


class Run(NamedTuple):
    """Consecutive tokens of a piece that are kept.

    Attributes:
        piece: index of the piece in its segment.
        start: index of the first token in the piece.
        length: number of tokens, at least one.
    """

    piece: int
    start: int
    length: int


def shorten(segments: Sequence[SegmentLengths], room: int) -> Optional[List[List[Run]]]:
    """Return the tokens of each segment that truncation keeps.

    Args:
        segments: lengths in tokens.
        room: maximum number of tokens of all segments together.

    Returns:
        The runs of each segment in order, `room` tokens in total if the segments have more. None
        if the protected pieces alone are longer than `room`.

    >>> passage = SegmentLengths([PieceLength(8, False)], 0)
    >>> question = SegmentLengths([PieceLength(3, False)], 1)
    >>> shorten([passage, question], room=5)
    [[Run(piece=0, start=0, length=2)], [Run(piece=0, start=0, length=3)]]
    """
    lengths = [sum(piece.length for piece in segment.pieces) for segment in segments]
    least = [sum(piece.length for piece in s.pieces if piece.keep) for s in segments]
    if sum(least) > room:
        return None
    for rank in sorted({segment.rank for segment in segments}):
        chosen = [number for number, segment in enumerate(segments) if segment.rank == rank]
        others = sum(lengths) - sum(lengths[number] for number in chosen)
        target = _share(
            [lengths[number] for number in chosen], [least[number] for number in chosen],
            room - others,
        )  # fmt: skip
        for number, length in zip(chosen, target):
            lengths[number] = length
    return [_nearest(segment.pieces, length) for segment, length in zip(segments, lengths)]


def _share(lengths: Sequence[int], least: Sequence[int], room: int) -> List[int]:
    """Return lengths within [least, length] that sum to at most `room` if possible.

    The longest lengths are cut first.
    """

    if len(lengths) == 1:
        return [max(least[0], min(lengths[0], room))]

    def cut(level: int) -> List[int]:
        return [max(low, min(length, level)) for length, low in zip(lengths, least)]

    low, high = 0, max(lengths)
    while low < high:
        middle = (low + high + 1) // 2
        if sum(cut(middle)) <= room:
            low = middle
        else:
            high = middle - 1
    shares, higher = cut(low), cut(low + 1)
    for number in range(len(shares)):
        if sum(shares) < room:
            shares[number] = higher[number]
    return shares


def _nearest(pieces: Sequence[PieceLength], count: int) -> List[Run]:
    """Return the protected tokens and the nearest others, `count` in total, as runs."""
    total = sum(piece.length for piece in pieces)
    if count >= total or not any(piece.keep and piece.length for piece in pieces):
        return _beginning(pieces, count)
    sizes = np.array([piece.length for piece in pieces], dtype=np.int64)
    piece_of = np.repeat(np.arange(len(pieces)), sizes)
    place = np.arange(total)
    must = np.repeat(np.array([piece.keep for piece in pieces], dtype=bool), sizes)
    far = 2 * total
    before = np.maximum.accumulate(np.where(must, place, -far))
    after = np.minimum.accumulate(np.where(must, place, far)[::-1])[::-1]
    distance = np.minimum(place - before, after - place)
    first_of = np.cumsum(sizes) - sizes
    runs: List[Run] = []
    kept = np.sort(np.lexsort((place, distance))[:count])
    breaks = np.flatnonzero((np.diff(kept) != 1) | (np.diff(piece_of[kept]) != 0)) + 1
    for part in np.split(kept, breaks):
        number = int(piece_of[part[0]])
        runs.append(Run(number, int(part[0] - first_of[number]), len(part)))
    return runs


def _beginning(pieces: Sequence[PieceLength], count: int) -> List[Run]:
    """Return the first `count` tokens as runs."""
    runs: List[Run] = []
    for number, piece in enumerate(pieces):
        length = min(piece.length, count)
        if length > 0:
            runs.append(Run(number, 0, length))
        count -= length
    return runs
