"""Tests of balancing: the guarantees of each choice, for any counts."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.agora.balance import BALANCES, balance
from bort.agora.examples import Example, Point

COUNTS = st.lists(st.integers(0, 12), min_size=3, max_size=3)


def points(counts):
    return [Point(Example(()), c) for c, count in enumerate(counts) for _ in range(count)]


def joined(new, there, how, seed=0):
    found = balance(points(new), points(there), how, np.random.default_rng(seed))
    assert found == sorted(set(found))
    counted = Counter(points(new)[n].label for n in found)
    return [counted[c] for c in range(3)]


@pytest.mark.parametrize(
    ("how", "new", "there", "expected"),
    [
        ("none", [5, 2, 0], [3, 3, 3], [5, 2, 0]),
        ("downsample", [5, 2, 3], [3, 3, 3], [2, 2, 2]),
        ("downsample", [5, 2, 0], [3, 3, 3], [0, 0, 0]),
        ("downsample", [5, 2, 0], [3, 3, 0], [2, 2, 0]),
        ("fill", [5, 2, 3], [3, 3, 3], [2, 2, 2]),  # all classes can reach 5
        ("fill", [5, 5, 5], [1, 6, 4], [5, 0, 2]),  # no class grows beyond the largest one, 6
        ("fill", [2, 5, 5], [1, 6, 4], [2, 0, 2]),  # the others fill up to 6, though class 0 cannot
        ("fill", [9, 0, 0], [3, 3, 3], [0, 0, 0]),
        ("proportional", [9, 9, 9], [1, 2, 3], [3, 6, 9]),
        ("proportional", [9, 9, 1], [2, 4, 2], [1, 2, 1]),
    ],
)
def test_by_hand(how, new, there, expected):
    assert joined(new, there, how) == expected


@given(new=COUNTS, there=COUNTS)
def test_what_each_choice_promises(new, there):
    for how in BALANCES:
        if how != "none" and not (sum(new) and sum(there)):
            continue
        found = joined(new, there, how)
        assert all(got <= offered for got, offered in zip(found, new))
        if how == "fill":
            classes = [c for c in range(3) if new[c] or there[c]]
            after = [there[c] + found[c] for c in classes]
            before = [there[c] for c in classes]
            assert max(after) - min(after) <= max(before) - min(before)
        if how == "downsample":
            assert len({found[c] for c in range(3) if there[c]}) == 1


def test_what_stays_is_drawn_and_repeatable():
    new, there = points([9, 3, 3]), points([1, 1, 1])
    kept = {
        tuple(balance(new, there, "downsample", np.random.default_rng(seed))) for seed in range(9)
    }
    assert len(kept) > 1
    once = balance(new, there, "downsample", np.random.default_rng(4))
    assert once == balance(new, there, "downsample", np.random.default_rng(4))


def test_values_of_a_regression_count_as_rounded():
    new = [Point(Example(()), value) for value in (0.4, 0.6, 1.4, 1.2)]
    there = [Point(Example(()), value) for value in (0.0, 1.0)]
    assert len(balance(new, there, "downsample", np.random.default_rng(0))) == 2
    assert balance([], there, "fill", np.random.default_rng(0)) == []
