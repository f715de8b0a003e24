"""Tests of truncation: protected tokens stay, the room is used up, losses are counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bort.tasks.truncation import PieceLength, Run, SegmentLengths, shorten

PIECES = st.lists(st.builds(PieceLength, st.integers(0, 12), st.booleans()), min_size=1, max_size=5)
SEGMENTS = st.lists(st.builds(SegmentLengths, PIECES, st.integers(0, 1)), min_size=1, max_size=2)


def total(segment):
    return sum(piece.length for piece in segment.pieces)


def least(segment):
    return sum(piece.length for piece in segment.pieces if piece.keep)


@given(SEGMENTS, st.integers(0, 60))
def test_kept_pieces_stay_whole_and_the_room_is_filled(segments, room):
    runs = shorten(segments, room)
    if runs is None:
        assert sum(map(least, segments)) > room
        return
    left = [sum(run.length for run in several) for several in runs]
    assert sum(left) == min(room, sum(map(total, segments)))
    for segment, several in zip(segments, runs):
        assert several == sorted(several), "order is kept"
        places = [(run.piece, run.start + n) for run in several for n in range(run.length)]
        assert len(set(places)) == len(places)
        for number, piece in enumerate(segment.pieces):
            mine = [place for piece_number, place in places if piece_number == number]
            assert all(0 <= place < piece.length for place in mine)
            if piece.keep:
                assert mine == list(range(piece.length))


@given(SEGMENTS, st.integers(0, 60))
def test_passages_are_shortened_before_questions(segments, room):
    runs = shorten(segments, room)
    if runs is None or len({segment.rank for segment in segments}) < 2:
        return
    left = {s.rank: (sum(r.length for r in several), s) for s, several in zip(segments, runs)}
    if left[1][0] < total(left[1][1]):
        assert left[0][0] == least(left[0][1])


@given(PIECES, st.integers(0, 60))
def test_tokens_nearest_to_what_is_kept_stay(pieces, room):
    segment = SegmentLengths(pieces, 0)
    runs = shorten([segment], room)
    if runs is None or least(segment) == 0:
        return
    flat = [(n, place) for n, piece in enumerate(pieces) for place in range(piece.length)]
    must = [pieces[n].keep for n, _ in flat]
    stays = {(run.piece, run.start + n) for run in runs[0] for n in range(run.length)}
    kept = [n for n, is_kept in enumerate(must) if is_kept]
    distance = [min(abs(n - k) for k in kept) for n in range(len(flat))]
    inside = [distance[n] for n, place in enumerate(flat) if place in stays]
    outside = [distance[n] for n, place in enumerate(flat) if place not in stays]
    assert not outside or max(inside) <= min(outside)


def test_of_equal_sentences_the_longer_is_cut_first():
    first = SegmentLengths([PieceLength(9, False)], 1)
    second = SegmentLengths([PieceLength(3, False)], 1)
    assert shorten([first, second], 8) == [[Run(0, 0, 5)], [Run(0, 0, 3)]]
    assert shorten([first, second], 5) == [[Run(0, 0, 3)], [Run(0, 0, 2)]]


def test_a_window_is_left_around_a_span():
    text = SegmentLengths([PieceLength(10, False), PieceLength(2, True), PieceLength(10, False)], 1)
    assert shorten([text], 6) == [[Run(0, 8, 2), Run(1, 0, 2), Run(2, 0, 2)]]
