"""Which tokens of an input that is too long are left, so that what it is about stays in it.

Segments of rank 0 (passages) are shortened first, as far as they can be; then those of rank 1, the
longest first. In a segment the pieces to keep stay whole, with the tokens nearest to them around;
a segment without such pieces keeps its beginning.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence

import numpy as np


class PieceLength(NamedTuple):
    """Tokens of a piece, and whether all of them must stay."""

    length: int
    keep: bool


class SegmentLengths(NamedTuple):
    """The pieces of a segment, and its rank; see `bort.tasks.items.Segment`."""

    pieces: Sequence[PieceLength]
    rank: int


class Run(NamedTuple):
    """Consecutive tokens of a piece that stay.

    Attributes:
        piece: number of the piece in its segment.
        start: the first token, counted in the piece.
        length: how many, at least one.
    """

    piece: int
    start: int
    length: int


def shorten(segments: Sequence[SegmentLengths], room: int) -> Optional[List[List[Run]]]:
    """What stays of every segment.

    Args:
        segments: lengths in tokens.
        room: most tokens of all segments together.

    Returns:
        The runs of every segment in order, together `room` tokens when the segments have more;
        None when the pieces to keep alone are longer than `room`.

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
    """Lengths within [least, length] that sum up to `room` if they can, the longest cut first."""

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
    """Return the `count` tokens nearest to the pieces to keep (all those included), as runs."""
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
    """Return the first `count` tokens."""
    runs: List[Run] = []
    for number, piece in enumerate(pieces):
        length = min(piece.length, count)
        if length > 0:
            runs.append(Run(number, 0, length))
        count -= length
    return runs
