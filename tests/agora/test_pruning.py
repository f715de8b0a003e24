"""Tests of pruning: worked examples, the paper's 240 sets, and termination."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.agora.hyperparameters import PAPER_SETS, HyperparameterSet, grid
from bort.agora.pruning import DIRECTIONS, EXTENTS, LAST_GROUPS, prune, rank_sets
from bort.errors import WorkError

A = HyperparameterSet(0, 1e-4, 0, 0.35)
B = HyperparameterSet(0, 1e-4, 0, 0.40)
C = HyperparameterSet(0, 1e-4, 10, 0.35)
D = HyperparameterSet(0, 1e-5, 0, 0.35)
E = HyperparameterSet(1, 1e-4, 0, 0.35)
ALL = (A, B, C, D, E)

SETS = st.sets(
    st.builds(
        HyperparameterSet,
        st.integers(0, 2),
        st.sampled_from([1e-4, 1e-5]),
        st.sampled_from([0.0, 10.0]),
        st.sampled_from([0.35, 0.4, 0.5]),
    ),
    min_size=1,
    max_size=14,
)


def scored(**scores):
    return {theta: (0, scores[name]) for theta, name in zip(ALL, "abcde")}


@pytest.mark.parametrize(
    ("worst", "removed"),
    [
        (A, {A, B}),  # B shares three leading values with A
        (C, {A, B, C}),  # no set shares three values with C; A and B share two
        (D, {A, B, C, D}),  # only the seed is shared
        (E, {E}),  # nothing is shared
    ],
)
def test_the_worst_leaves_with_those_that_share_its_longest_leading_values(worst, removed):
    ranking = [theta for theta in ALL if theta != worst] + [worst]
    pruned = prune(ranking, ALL)
    assert set(pruned.removed) == removed
    assert pruned.removed[0] == worst
    assert pruned.kept == tuple(theta for theta in ALL if theta not in removed)
    assert prune(ranking, ALL, extent="worst").removed == (worst,)


def test_the_other_direction_starts_from_the_best():
    pruned = prune([A, C, D, E, B], ALL, direction="best_first")
    assert pruned.removed == (A, B)
    assert prune([E, A, B, C, D], ALL, direction="best_first", extent="worst").removed == (E,)


def test_a_last_group_leaves_one_by_one_or_at_once():
    assert prune([A, B], (A, B)).removed == (B,)
    assert prune([A, B], (A, B)).kept == (A,)
    at_once = prune([A, B], (A, B), last_group="at_once")
    assert (at_once.kept, set(at_once.removed)) == ((), {A, B})
    assert prune([A], (A,)).kept == ()


def test_ties_count_the_earlier_of_the_listing_as_better():
    equal = scored(a=0.5, b=0.7, c=0.5, d=0.5, e=0.7)
    assert rank_sets(equal, ALL) == (B, E, A, C, D)
    assert rank_sets(equal, ALL[::-1]) == (E, B, D, C, A)


def test_a_higher_rung_beats_any_score():
    assert rank_sets({A: (0, 0.9), B: (1, 0.2), C: (1, 0.3)}, (A, B, C)) == (C, B, A)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_stops_the_run_and_names_the_set(bad):
    with pytest.raises(WorkError, match=r"dev score with seed=0, lr=1e-05, .* is -?(nan|inf)"):
        rank_sets(scored(a=0.1, b=0.2, c=0.3, d=bad, e=0.5), ALL)


def test_the_paper_takes_60_prunings_and_3_more_for_the_last_group():
    """Groups of 4 warm-up ratios are always removed as a whole, whatever the scores."""
    left, sizes = PAPER_SETS, []
    while left:
        sizes.append(len(left))
        # a new random order each time, because the scores do not matter
        ranking = sorted(left, key=lambda t: hash((t.values, len(left))))
        left = prune(ranking, left).kept
    assert sizes == [*range(240, 3, -4), 3, 2, 1]
    assert len(sizes) == 63


def test_the_paper_takes_240_prunings_when_only_the_worst_leaves():
    left, count = PAPER_SETS, 0
    while left:
        left = prune(left, left, extent="worst").kept
        count += 1
    assert count == 240


@given(
    sets=SETS,
    direction=st.sampled_from(DIRECTIONS),
    extent=st.sampled_from(EXTENTS),
    last_group=st.sampled_from(LAST_GROUPS),
    data=st.data(),
)
def test_theta_shrinks_every_time_and_ends_with_one_whatever_the_scores(
    sets, direction, extent, last_group, data
):
    left = tuple(sorted(sets, key=lambda theta: theta.values))
    rounds = 0
    while left:
        scores = {t: (0, data.draw(st.sampled_from([0.0, 0.3, 0.5, 1.0]))) for t in left}
        ranking = rank_sets(scores, left)
        pruned = prune(ranking, left, direction=direction, extent=extent, last_group=last_group)
        root = ranking[0] if direction == "best_first" else ranking[-1]
        assert pruned.removed[0] == root
        assert sorted(pruned.kept + pruned.removed, key=left.index) == list(left)
        if last_group == "one_by_one" and len(left) > 1:
            assert pruned.kept
        left = pruned.kept
        rounds += 1
    assert rounds <= len(sets)


@given(sets=SETS, data=st.data())
def test_the_group_is_the_smallest_that_a_longer_prefix_would_not_share(sets, data):
    """Return the deepest shared prefix by pairwise comparison, a second implementation."""
    listing = tuple(sorted(sets, key=lambda theta: theta.values))
    ranking = data.draw(st.permutations(listing))
    root = ranking[-1]

    def shared(theta):
        count = 0
        for one, other in zip(theta.values, root.values):
            if one != other:
                break
            count += 1
        return count

    deepest = max([shared(theta) for theta in listing if theta != root], default=0)
    expected = {t for t in listing if t == root or (deepest and shared(t) >= deepest)}
    pruned = prune(ranking, listing, last_group="at_once")
    assert set(pruned.removed) == expected


def test_a_grid_of_one_axis_loses_sets_as_that_axis_says():
    seeds = grid([0, 1, 2], [1e-4], [0], [0.4])
    assert prune(seeds, seeds).removed == (seeds[2],)
