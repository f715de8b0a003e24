"""Tests of the normalised distance against the textbook recursion and a metric's axioms."""

from __future__ import annotations

from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.agora.edit_distance import Band, normalised_distance
from bort.agora.examples import Example
from bort.errors import InputError

TOKENS = st.lists(st.sampled_from(["a", "b", "c", 1]), max_size=8).map(tuple)


def textbook(first, second):
    @lru_cache(maxsize=None)
    def distance(i, j):
        if i == 0 or j == 0:
            return i + j
        return min(
            distance(i - 1, j) + 1,
            distance(i, j - 1) + 1,
            distance(i - 1, j - 1) + (first[i - 1] != second[j - 1]),
        )

    return distance(len(first), len(second))


def edits(first, second):
    """Return the number of edits between two segments, from the distance of two examples."""
    return normalised_distance(Example((first,)), Example((second,))) * max(len(first), len(second))


@given(first=TOKENS, second=TOKENS)
def test_it_is_the_textbooks_distance(first, second):
    assert edits(first, second) == pytest.approx(textbook(first, second))


@given(first=TOKENS, second=TOKENS, third=TOKENS)
def test_it_is_a_metric(first, second, third):
    assert (edits(first, second) == 0) == (first == second)
    assert edits(first, second) == edits(second, first)
    assert edits(first, third) <= edits(first, second) + edits(second, third) + 1e-9
    example, other = Example((first, third)), Example((second, third))
    assert 0 <= normalised_distance(example, other) <= 1


def test_words_are_compared_whole_and_token_ids_by_value():
    assert edits(("the", "cat", "sat"), ("a", "cat", "sat", "down")) == 2
    assert edits(("tea", "eat"), ("eat", "tea")) == 2
    assert edits((1, 2, 3), (1, 30, 3, 4)) == 2
    assert edits((50_000, -1, 2), (50_000, -2, 2)) == 1


def test_known_distances():
    assert edits("kitten", "sitting") == pytest.approx(3)
    assert edits("", "abc") == edits("abc", "") == 3
    assert normalised_distance(Example(((), ())), Example(((), ()))) == 0.0
    pair = Example((("a", "b"), ("c", "d", "e", "f")))
    assert normalised_distance(pair, Example((("a",), ("c", "d", "e", "x")))) == 2 / 6
    with pytest.raises(InputError, match="of 1 segments was made from one of 2"):
        normalised_distance(pair, Example((("a",),)))


@pytest.mark.parametrize("bounds", [(0, 0.5), (0.6, 0.5), (0.1, 1.1), (-0.1, 0.5)])
def test_a_band_needs_two_bounds_in_order(bounds):
    with pytest.raises(InputError, match="allowed is 0 < minimum <= maximum <= 1"):
        Band(*bounds)
