"""The space of a small model lies around its limit, and the baseline keeps the same one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.architecture import Architecture
from bort.errors import InputError
from experiments.small_model.space import (
    band_of,
    cut_depth,
    cut_layers,
    measured_space,
    relation_heads,
    space_near,
)

TEACHER = Architecture(6, 12, 384, 1536, 30_522, 512, 2)

teachers = st.builds(
    lambda depth, heads, width, times: Architecture(
        depth, heads, heads * width, times * heads * width, 1_000, 128, 2
    ),
    st.integers(2, 12),
    st.integers(4, 12),
    st.sampled_from((16, 32, 64)),
    st.integers(2, 4),
)


def multiply_adds(one: Architecture) -> float:
    return float(one.multiply_adds_per_token(64))


def members(space, whole):
    return space.sample(whole, space.size(), None)


@given(teachers, st.floats(1.1, 8.0))
def test_the_space_fits_the_teacher_and_has_members_on_both_sides(teacher, factor):
    most = multiply_adds(teacher) / factor
    space = space_near(teacher, multiply_adds, most)
    space.check_fits(teacher)
    costs = [multiply_adds(one) for one in members(space, teacher)]
    assert min(costs) <= most < max(costs) or space.hiddens[0] < teacher.hidden
    assert space.size() <= 5 * 5 * 5


@given(teachers, st.floats(1.1, 4.0))
def test_the_hidden_size_stays_if_something_else_keeps_the_limit(teacher, factor):
    most = multiply_adds(teacher) / factor
    space = space_near(teacher, multiply_adds, most)
    narrowest = members(measured_space(teacher), teacher)
    if min(map(multiply_adds, narrowest)) <= most:
        assert space.hiddens == (teacher.hidden,)


def test_a_small_limit_of_parameters_narrows_the_hidden_size():
    space = space_near(TEACHER, lambda one: float(one.parameter_count()), 5e6)
    assert space.hiddens[0] < TEACHER.hidden
    assert any(one.parameter_count() <= 5e6 for one in members(space, TEACHER))


def test_the_deepest_candidates_have_room_for_a_wrong_prediction():
    most = multiply_adds(TEACHER) / 3
    deepest = [
        one
        for one in members(space_near(TEACHER, multiply_adds, most), TEACHER)
        if one.depth == TEACHER.depth and multiply_adds(one) <= most
    ]
    assert min(map(multiply_adds, deepest)) < 0.9 * max(map(multiply_adds, deepest))


def test_an_impossible_limit_says_what_is_possible():
    with pytest.raises(InputError, match="smallest part .* costs"):
        space_near(TEACHER, multiply_adds, 1.0)


def test_the_baseline_has_the_most_layers_that_keep_the_limit():
    assert cut_depth(TEACHER, multiply_adds, multiply_adds(TEACHER) / 2) == 3
    assert cut_depth(TEACHER, multiply_adds, multiply_adds(TEACHER) / 10) is None
    assert cut_depth(TEACHER, multiply_adds, 1.1 * multiply_adds(TEACHER)) == TEACHER.depth - 1
    one = TEACHER.replace(depth=1)
    assert cut_depth(one, multiply_adds, multiply_adds(one)) is None


@given(st.integers(1, 24), st.data())
def test_cut_layers_are_different_ones_in_order(depth, data):
    kept = data.draw(st.integers(1, depth))
    layers = cut_layers(depth, kept)
    assert len(set(layers)) == kept
    assert list(layers) == sorted(layers)
    assert set(layers) <= set(range(depth))
    if 2 * kept >= depth and kept > 1:
        assert layers[-1] == depth - 1


def test_relation_heads_divide_every_width():
    heads = (3, 5, 12)
    found = relation_heads(TEACHER, heads)
    assert all(count * TEACHER.head_width % found == 0 for count in heads)
    assert TEACHER.qkv % found == 0
    assert found <= TEACHER.heads


def test_the_band_is_wide_enough_for_six_candidates():
    assert band_of([0.5, 0.6, 0.7, 0.8, 0.9, 1.0], 1.0) == 0.5
    assert band_of([0.9] * 6 + [2.0], 1.0) == 0.85
    assert band_of([], 1.0) == 0.0
