"""Tests of the report split: stratification, sealing, refusal of leaks."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from bort.agora.examples import Example, Point, normalised_key
from bort.agora.splits import SealedReport, carve_report
from bort.errors import InputError, WorkError


def point(text, label=0):
    return Point(Example.from_texts(text), label)


POINTS = st.lists(
    st.tuples(st.sampled_from(["a", "A.", "b", "c", "d", "e f", "ef"]), st.integers(0, 1)),
    min_size=6,
    max_size=40,
)


@given(rows=POINTS, seed=st.integers(0, 9), data=st.data())
def test_equal_texts_and_groups_are_never_torn_apart_and_nothing_is_lost(rows, seed, data):
    points = [point(text, label) for text, label in rows]
    groups = data.draw(st.lists(st.integers(0, 9), min_size=len(rows), max_size=len(rows)))
    try:
        training, report = carve_report(points, 0.4, seed, groups=groups)
    except InputError:  # all examples form one group, so there is nothing to split
        reject()
    assert (training, report) == carve_report(points, 0.4, seed, groups=groups)
    assert Counter(training) + Counter(report) == Counter(points)
    assert not {normalised_key(p.example) for p in training} & {
        normalised_key(p.example) for p in report
    }
    taken = {id(p) for p in report}
    sides = {}
    for group, p in zip(groups, points):
        sides.setdefault(group, set()).add(id(p) in taken)
    assert all(len(side) == 1 for side in sides.values())


def test_classes_keep_their_shares_and_seeds_differ():
    points = [point(f"sentence {n}", int(n % 10 < 3)) for n in range(200)]
    training, report = carve_report(points, 0.2, 3)
    assert Counter(p.label for p in report) == {1: 12, 0: 28}
    assert len(training) == 160
    assert report != carve_report(points, 0.2, 4)[1]


@pytest.mark.parametrize("share", [0.0, 1.0, -1])
def test_a_share_must_leave_both(share):
    with pytest.raises(InputError, match="report_share is"):
        carve_report([point("a"), point("b")], share, 0)
    with pytest.raises(InputError, match="takes 0 of 2 examples"):
        carve_report([point("a", 0), point("b", 1)], 0.1, 0)


def test_the_report_split_is_closed_until_the_winner_is_fixed():
    report = SealedReport([point("a", 1)])
    with pytest.raises(WorkError, match="closed until the winner is fixed"):
        report.open()
    assert not [name for name in vars(report) if not name.startswith("_")]
    report.fix_winner("one")
    assert report.open() == (point("a", 1),)
    report.fix_winner("one")
    with pytest.raises(WorkError, match="the winner is one and cannot become two"):
        report.fix_winner("two")
    with pytest.raises(InputError, match="has no example"):
        SealedReport([])


def test_a_leak_is_named_whatever_its_case_spaces_and_punctuation():
    report = SealedReport([Point(Example.from_texts("It's here.", "Yes"), 1)])
    good = Point(Example.from_texts("It's there.", "Yes"), 1)
    report.refuse_leaks([good], "training data")
    bad = Point(Example.from_texts("its  HERE", "yes!"), 0)
    with pytest.raises(InputError, match=r"training data: example 1 is in the report split too: "):
        report.refuse_leaks([good, bad], "training data")
    ids = SealedReport([Point(Example(((1, 2),)), 0)], {(1, 2): "A b", (3,): "ab"}.__getitem__)
    assert ids.holds(Example(((3,),)))
