"""Tests of the search space: the paper's counts, exclusions, sampling, neighbours, warnings."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.architecture import Architecture
from bort.errors import InputError
from bort.search.space import PAPER_SPACE, SearchSpace, read_space

SPACES = st.builds(
    SearchSpace,
    depths=st.sets(st.integers(1, 8).map(lambda n: 2 * n), min_size=1, max_size=3).map(tuple),
    heads=st.sets(st.sampled_from([1, 2, 4]), min_size=1).map(tuple),
    hiddens=st.sets(st.sampled_from([4, 8, 12, 20]), min_size=1).map(tuple),
    intermediates=st.sets(st.integers(1, 9), min_size=1, max_size=3).map(tuple),
    vocabulary_size=st.just(50),
    maximum_length=st.just(16),
)


def test_the_space_of_the_paper_has_300_of_360():
    assert len(PAPER_SPACE.candidates()) == 300
    excluded = PAPER_SPACE.exclusions()
    assert len(excluded) == 60
    # 12 heads divide only 768: 6 depths x 2 widths x 5 intermediate sizes are excluded
    assert {(e.heads, e.hidden) for e in excluded} == {(12, 512), (12, 1024)}
    assert all(f"12 heads do not divide {e.hidden}" == e.reason for e in excluded)


def test_odd_depths_are_excluded_unless_asked_for():
    axes = {"heads": (2,), "hiddens": (8,), "intermediates": (4,)}
    space = SearchSpace((1, 2, 3), **axes)
    assert [a.depth for a in space.candidates()] == [2]
    assert [(e.depth, e.reason) for e in space.exclusions()] == [
        (1, "depth 1 is odd"),
        (3, "depth 3 is odd"),
    ]
    assert len(SearchSpace((1, 2, 3), even_depth=False, **axes)) == 3


@given(space=SPACES)
def test_candidates_and_exclusions_are_all_combinations(space):
    total = len(space.depths) * len(space.heads) * len(space.hiddens) * len(space.intermediates)
    candidates = space.candidates()
    assert len(candidates) + len(space.exclusions()) == total
    assert len(set(candidates)) == len(candidates)
    assert all(a.hidden % a.heads == 0 and a.depth % 2 == 0 for a in candidates)
    assert all((a.vocabulary_size, a.maximum_length) == (50, 16) for a in candidates)
    assert SearchSpace.from_dict(json.loads(json.dumps(space.as_dict()))) == space


@given(space=SPACES, seed=st.integers(0, 5))
def test_samples_are_different_candidates_and_repeatable(space, seed):
    count = max(1, len(space) // 2)
    drawn = space.sample(count, np.random.default_rng(seed))
    assert len(set(drawn)) == count
    assert set(drawn) <= set(space.candidates())
    assert drawn == space.sample(count, np.random.default_rng(seed))


def test_sampling_is_even():
    space = SearchSpace((2,), (2,), (8,), (1, 2, 3, 4))
    generator = np.random.default_rng(0)
    counts = dict.fromkeys(space.candidates(), 0)
    for _ in range(2000):
        for drawn in space.sample(2, generator):
            counts[drawn] += 1
    assert all(abs(count - 1000) < 100 for count in counts.values())
    for bad in (0, 5):
        with pytest.raises(InputError, match=f"count is {bad}, allowed is 1 to 4"):
            space.sample(bad, generator)


@given(space=SPACES)
def test_moves_change_one_size_and_can_be_undone(space):
    for architecture in space.candidates():
        moves = space.neighbours(architecture)
        assert len(set(moves)) == len(moves)
        for moved in moves:
            changed = [
                name
                for name in ("depth", "heads", "hidden", "intermediate")
                if getattr(moved, name) != getattr(architecture, name)
            ]
            assert len(changed) == 1
            assert moved in space
            assert architecture in space.neighbours(moved)


def test_a_move_passes_over_what_is_not_valid():
    here = Architecture(2, 8, 512, 256)
    heads = {a.heads for a in PAPER_SPACE.neighbours(here) if a.hidden == 512 and a.depth == 2}
    assert {4, 16} <= heads
    assert 12 not in heads
    with pytest.raises(InputError, match="not in the search space"):
        PAPER_SPACE.neighbours(Architecture(3, 8, 512, 256))


def test_the_maximum_point_is_the_largest_candidate():
    found = PAPER_SPACE.maximum_point()
    assert (found.depth, found.hidden, found.intermediate) == (12, 1024, 3072)


def test_the_weak_property_holds_where_layers_outweigh_embeddings_and_is_missed_elsewhere():
    assert len(SearchSpace((2,), (2,), (64,), (128,), vocabulary_size=50).candidates()) == 1
    holds = SearchSpace((2,), (2,), (64,), (128,), vocabulary_size=50, maximum_length=8)
    assert holds.weak_property_warnings(8) == []
    warnings = PAPER_SPACE.weak_property_warnings(512)
    assert len(warnings) == 1
    assert "parameters of the embeddings" in warnings[0]
    embedding = (50265 + 512 + 2) * 512
    layer = 4 * 512**2 + 2 * 512 * 256 + 9 * 512 + 256
    assert f"{embedding / layer:.1f} times" in warnings[0]
    assert f"{embedding:,} against {layer:,} in <D=2, A=4, H=512, I=256>" in warnings[0]


def test_a_pre_norm_space_has_pre_norm_candidates():
    post = SearchSpace((2,), (2,), (8, 16), (4,))
    pre = SearchSpace((2,), (2,), (8, 16), (4,), norm="pre")
    assert [one.replace(norm="post") for one in pre.candidates()] == post.candidates()
    assert all(one in pre and one not in post for one in pre.candidates())
    assert pre.neighbours(pre.candidates()[0]) == [pre.candidates()[1]]
    assert SearchSpace.from_dict(pre.as_dict()) == pre
    assert "norm" not in post.as_dict(), "a run of an earlier version is resumed"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depths": []}, r"depths is \[\]"),
        ({"heads": [2, 2]}, "holds a value twice"),
        ({"hiddens": [0]}, "hiddens holds 0"),
        ({"intermediates": ["4"]}, "intermediates holds '4'"),
        ({"depths": 4}, "depths is 4"),
        ({"depths": [3]}, "holds no valid architecture .depth 3 is odd."),
        ({"vocabulary_size": 0}, "vocabulary_size is 0"),
        ({"even_depth": 1}, "even_depth is 1"),
        ({"norm": "rms"}, "norm is 'rms', allowed are post, pre"),
        ({"norm": ["pre"]}, "norm is ..pre.., allowed are post, pre"),
        ({"width": 3}, "unknown field 'width'"),
        ({"depths": None}, "depths is None"),
        ({"depths": [2, 2**63]}, "depths holds 9223372036854775808, allowed is at most 4096"),
        ({"hiddens": [2**40]}, "hiddens holds 1099511627776, allowed is at most 16777216"),
        ({"maximum_length": 2**40}, "maximum_length is 1099511627776, allowed is at most"),
        ({"heads": [True]}, "heads holds True"),
    ],
)
def test_a_bad_file_names_itself_the_field_and_the_value(tmp_path, change, message):
    good = {"depths": [2], "heads": [2], "hiddens": [8], "intermediates": [4]}
    path = tmp_path / "space.json"
    path.write_text(json.dumps({**good, **change}))
    with pytest.raises(InputError, match=message) as caught:
        read_space(path)
    assert "space.json" in str(caught.value)


def test_a_bad_field_is_named_once_with_its_origin() -> None:
    bad = {"depths": [0], "heads": [2], "hiddens": [8], "intermediates": [8]}
    with pytest.raises(InputError) as raised:
        SearchSpace.from_dict(bad, "space.json")
    assert str(raised.value) == "space.json: depths holds 0, allowed is at least 1"


def test_a_file_without_an_axis_or_an_object_is_refused(tmp_path):
    path = tmp_path / "space.json"
    path.write_text('{"depths": [2], "heads": [2], "hiddens": [8]}')
    with pytest.raises(InputError, match="field 'intermediates' is missing"):
        read_space(path)
    path.write_text("[1]")
    with pytest.raises(InputError, match="is not a search space"):
        read_space(path)


def test_a_space_of_too_many_combinations_is_refused_at_once():
    axis = list(range(1, 1001))
    with pytest.raises(InputError, match="has 1000000000000 combinations, allowed are at most"):
        SearchSpace(axis, axis, axis, axis)
