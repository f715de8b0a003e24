"""Texts without case and punctuation, and groups that ties connect."""

from __future__ import annotations

from typing import List, Tuple

from hypothesis import given
from hypothesis import strategies as st

from bort.text.comparison import connected_groups, normalised_text

TIES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12)


def test_case_space_and_punctuation_do_not_count():
    assert normalised_text(" It's ``RAINED''!\n") == normalised_text("its rained")
    assert normalised_text("a b") != normalised_text("a c")
    assert normalised_text("ﬁne") == "fine"


@given(TIES)
def test_groups_are_the_classes_of_the_ties(ties: List[Tuple[int, int]]):
    joined = {number: {number} for number in range(10)}
    for first, second in ties:  # union without any cleverness
        both = joined[first] | joined[second]
        joined.update(dict.fromkeys(both, both))
    groups = connected_groups(10, [a for a, _ in ties], [b for _, b in ties])
    assert {frozenset(group) for group in groups} == {frozenset(one) for one in joined.values()}
    assert [group[0] for group in groups] == sorted(group[0] for group in groups)
    assert all(group == sorted(group) for group in groups)
