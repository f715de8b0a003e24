"""Tests of the space of a super-network: AutoTinyBERT's grids, draws, samples, bad spaces."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from bort.architecture import Architecture
from bort.errors import InputError
from bort.network.sub_network import check_fits
from bort.super_network.space import (
    SPACES,
    SubNetworkSpace,
    parse_axis,
    read_sub_network_space,
)

BASE = Architecture(12, 12, 768, 3072, vocabulary_size=30522, token_types=2)
WHOLE = Architecture(6, 4, 48, 96, vocabulary_size=50, maximum_length=16, token_types=2, qkv=32)
SMALL = {"depths": (1, 2), "hiddens": (8, 12), "intermediates": (4,)}

AXIS = st.sets(st.integers(1, 6), min_size=1, max_size=4).map(sorted)
ATTENTION = st.one_of(
    st.fixed_dictionaries({"heads": st.sets(st.integers(1, 4), min_size=1).map(sorted)}),
    st.fixed_dictionaries(
        {"qkvs": st.sets(st.integers(1, 8), min_size=1).map(lambda s: sorted(4 * n for n in s))}
    ),
)


@st.composite
def spaces(draw):
    grid = {
        "depths": draw(AXIS),
        "hiddens": [8 * n for n in draw(AXIS)],
        "intermediates": [16 * n for n in draw(AXIS)],
    }
    return SubNetworkSpace.from_dict({**grid, **draw(ATTENTION)})


def test_the_grids_of_autotinybert():
    mlm, kd = SPACES["autotinybert_mlm"], SPACES["autotinybert_kd"]
    for space in (mlm, kd):
        assert space.depths == tuple(range(1, 9))
        assert (space.hiddens[:2], space.hiddens[-1], len(space.hiddens)) == ((128, 132), 768, 161)
        assert (space.intermediates[:2], space.intermediates[-1]) == ((128, 132), 3072)
        assert len(space.intermediates) == 737
        space.check_fits(BASE)
    assert (mlm.heads, mlm.qkvs) == (tuple(range(1, 13)), ())
    assert (kd.heads, kd.qkvs[:2], kd.qkvs[-1], len(kd.qkvs)) == ((), (180, 192), 768, 50)
    assert (mlm.size(), kd.size()) == (8 * 161 * 737 * 12, 8 * 161 * 737 * 50)


def test_heads_keep_their_width_and_qkvs_keep_the_heads():
    sizes = {"depths": (2,), "hiddens": (100,), "intermediates": (8,)}
    three = SubNetworkSpace(**sizes, heads=(3,)).maximum(BASE)
    assert (three.heads, three.qkv, three.head_width) == (3, 192, 64)
    narrow = SubNetworkSpace(**sizes, qkvs=(180,)).maximum(BASE)
    assert (narrow.heads, narrow.qkv, narrow.head_width) == (12, 180, 15)
    kept = ("vocabulary_size", "maximum_length", "token_types")
    for name in kept:
        assert getattr(three, name) == getattr(narrow, name) == getattr(BASE, name)


@given(space=spaces(), seed=st.integers(0, 99))
def test_draws_are_in_the_space_and_fit_the_whole(space, seed):
    space.check_fits(WHOLE)
    drawn = space.draw(WHOLE, np.random.default_rng(seed))
    for part in (drawn, space.minimum(WHOLE), space.maximum(WHOLE)):
        check_fits(WHOLE, part)
        assert space.holds(part, WHOLE)
    for name in ("depth", "hidden", "intermediate", "qkv"):
        low, high = space.minimum(WHOLE), space.maximum(WHOLE)
        assert getattr(low, name) <= getattr(drawn, name) <= getattr(high, name)


@given(space=spaces(), seed=st.integers(0, 9))
def test_a_sample_has_different_architectures_and_all_if_asked_for_all(space, seed):
    everything = space.sample(WHOLE, space.size(), np.random.default_rng(seed))
    assert len(set(everything)) == len(everything) == space.size()
    few = space.sample(WHOLE, 3, np.random.default_rng(seed))
    assert len(set(few)) == len(few) == min(3, space.size())
    assert set(few) <= set(everything)
    assert few == space.sample(WHOLE, 3, np.random.default_rng(seed))


@given(space=spaces())
def test_the_json_form_gives_the_same_space(space):
    assert SubNetworkSpace.from_dict(json.loads(json.dumps(space.as_dict()))) == space


def test_the_json_form_of_a_grid_is_short():
    assert SPACES["autotinybert_kd"].as_dict() == {
        "depths": {"from": 1, "to": 8, "step": 1},
        "hiddens": {"from": 128, "to": 768, "step": 4},
        "intermediates": {"from": 128, "to": 3072, "step": 4},
        "qkvs": {"from": 180, "to": 768, "step": 12},
    }


def test_what_is_outside_the_space_is_not_held():
    space = SubNetworkSpace(**SMALL, heads=(1, 2))
    inside = space.maximum(WHOLE)
    assert space.holds(inside, WHOLE)
    assert not space.holds(inside.replace(depth=3), WHOLE)
    assert not space.holds(inside.replace(qkv=2 * 7), WHOLE)  # narrower heads
    assert not space.holds(inside.replace(vocabulary_size=49), WHOLE)
    assert not space.holds(inside.replace(hidden=9), WHOLE)


def test_a_space_of_many_billions_is_drawn_from_at_once():
    grid = {"from": 1, "to": 32768, "step": 1}
    space = SubNetworkSpace.from_dict(
        {"depths": [1, 2], "hiddens": grid, "intermediates": grid, "heads": grid}
    )
    whole = Architecture(2, 32768, 32768, 32768)
    assert space.size() == 2 * 32768**3
    drawn = space.sample(whole, 50, np.random.default_rng(0))
    assert len(set(drawn)) == 50


def chi_square_p(counts: np.ndarray, expected: np.ndarray) -> float:
    statistic = float(((counts - expected) ** 2 / expected).sum())
    return float(chi2.sf(statistic, counts.size - 1))


def least_p(space: SubNetworkSpace, draws) -> float:
    """The smallest p of: each axis is uniform; each pair of axes is uniform, so independent."""
    names = {"depth": space.depths, "hidden": space.hiddens, "intermediate": space.intermediates}
    if space.heads:
        names["heads"] = space.heads
    else:
        names["qkv"] = space.qkvs
    indices = {
        name: np.searchsorted(values, [getattr(a, name) for a in draws])
        for name, values in names.items()
    }
    found = []
    for first, values in names.items():
        counts = np.bincount(indices[first], minlength=len(values)).astype(float)
        assert (counts > 0).all(), f"{first}: a value was never drawn"
        found.append(chi_square_p(counts, np.full(len(values), len(draws) / len(values))))
        for second, others in names.items():
            if second <= first or len(values) * len(others) * 5 > len(draws):
                continue
            cells = indices[first] * len(others) + indices[second]
            pairs = np.bincount(cells, minlength=len(values) * len(others)).astype(float)
            found.append(chi_square_p(pairs, np.full(pairs.size, len(draws) / pairs.size)))
    return min(found)


@dataclasses.dataclass(frozen=True)
class FavoursDeep(SubNetworkSpace):
    """A planted fault: the last depth is drawn a little too often."""

    def draw(self, whole, generator):
        drawn = super().draw(whole, generator)
        return self.maximum(whole).replace(depth=2) if generator.random() < 0.01 else drawn


@dataclasses.dataclass(frozen=True)
class Linked(SubNetworkSpace):
    """A planted fault: every axis is uniform, but hidden sizes follow the depth."""

    def draw(self, whole, generator):
        drawn = super().draw(whole, generator)
        place = self.depths.index(drawn.depth) % len(self.hiddens)
        return drawn.replace(hidden=self.hiddens[place], qkv=drawn.qkv)


GRID = {
    "depths": tuple(range(1, 9)),
    "hiddens": tuple(range(128, 769, 80)),
    "intermediates": tuple(range(128, 3073, 128)),
}


@pytest.mark.parametrize("attention", [{"heads": tuple(range(1, 13))}, {"qkvs": (180, 372, 768)}])
def test_draws_are_uniform_and_independent(attention):
    space = SubNetworkSpace(**GRID, **attention)
    generator = np.random.default_rng(7)
    assert least_p(space, [space.draw(BASE, generator) for _ in range(20_000)]) > 1e-6


@pytest.mark.parametrize("name", list(SPACES))
def test_draws_of_autotinybert_reach_all_values_uniformly(name):
    generator = np.random.default_rng(8)
    draws = [SPACES[name].draw(BASE, generator) for _ in range(20_000)]
    assert least_p(SPACES[name], draws) > 1e-6


@pytest.mark.parametrize("faulty", [FavoursDeep, Linked])
def test_a_biased_draw_is_caught(faulty):
    space = faulty(**{**GRID, "depths": (1, 2), "hiddens": (128, 768)}, heads=tuple(range(1, 13)))
    generator = np.random.default_rng(7)
    assert least_p(space, [space.draw(BASE, generator) for _ in range(20_000)]) < 1e-6


def test_a_sample_is_uniform():
    space = SubNetworkSpace(**SMALL, heads=(1, 2, 3))
    everything = space.sample(WHOLE, space.size(), np.random.default_rng(0))
    counts = dict.fromkeys(everything, 0)
    for seed in range(3000):
        for one in space.sample(WHOLE, 4, np.random.default_rng(seed)):
            counts[one] += 1
    found = np.array(list(counts.values()), float)
    assert chi_square_p(found, np.full(len(found), found.mean())) > 1e-6


AXES = {"depths": [1], "hiddens": [8], "intermediates": [4], "heads": [1]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"width": [3]},
            "f: unknown field 'width', known are depths, hiddens, intermediates, heads, qkvs",
        ),
        ({"depths": None}, "f: depths is None, allowed are a list of integers and an object with"),
        ({"hiddens": []}, "f: hiddens is [], allowed are a list of integers and an object with"),
        ({"heads": []}, "f: heads is [], allowed are a list of integers and an object with"),
        ({"depths": [1, 1]}, "f: depths holds 1 twice, allowed is once"),
        ({"depths": [0]}, "f: depths holds 0, allowed is an integer from 1 to 4096"),
        ({"depths": [4097]}, "f: depths holds 4097, allowed is an integer from 1 to 4096"),
        ({"hiddens": [True]}, "f: hiddens holds True, allowed is an integer from 1 to 16777216"),
        ({"hiddens": ["8"]}, "f: hiddens holds '8', allowed is an integer from 1 to 16777216"),
        ({"hiddens": [8.0]}, "f: hiddens holds 8.0, allowed is an integer from 1 to 16777216"),
        ({"qkvs": [4]}, "f: heads and qkvs are both given, allowed is one of them"),
        ({"depths": {"from": 1}}, "f: depths.to is missing"),
        ({"depths": {"from": 2, "to": 1}}, "f: depths.to is 1, allowed is an integer from 2 to"),
        ({"depths": {"from": 1, "to": 2, "by": 1}}, "f: depths has unknown field 'by', known are"),
        (
            {"depths": {"from": 1, "to": 4, "step": 2}},
            "f: depths.to is 4, which steps of 2 from 1 do not reach, allowed are 3 and 5",
        ),
        ({"depths": {"from": 1, "to": 3, "step": 0}}, "f: depths.step is 0, allowed is"),
        (
            {"hiddens": {"from": 1, "to": 16777216}},
            "f: hiddens has 16777216 values, allowed are at most 32768",
        ),
    ],
)
def test_bad_axes_are_named(changes, message):
    with pytest.raises(InputError) as error:
        SubNetworkSpace.from_dict({**AXES, **changes}, "f")
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("depths", "f: field 'depths' is missing"),
        ("heads", "f: heads and qkvs are both missing, allowed is one of them"),
    ],
)
def test_missing_axes_are_named(missing, message):
    axes = {name: values for name, values in AXES.items() if name != missing}
    with pytest.raises(InputError) as error:
        SubNetworkSpace.from_dict(axes, "f")
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("axis", "values", "message"),
    [
        ("depths", [7], "s: depths holds 7, allowed is at most 6, that of the network it starts"),
        ("hiddens", [8, 49], "s: hiddens holds 49, allowed is at most 48"),
        ("intermediates", [97], "s: intermediates holds 97, allowed is at most 96"),
        ("heads", [5], "s: heads holds 5, allowed is at most 4"),
        ("qkvs", [36], "s: qkvs holds 36, allowed is at most 32"),
        ("qkvs", [8, 10], "s: qkvs holds 10, which the 4 heads of the network do not divide"),
    ],
)
def test_a_space_that_does_not_fit_the_whole_is_refused(axis, values, message):
    axes = {name: given for name, given in AXES.items() if axis != "qkvs" or name != "heads"}
    space = SubNetworkSpace.from_dict({**axes, axis: values})
    with pytest.raises(InputError) as error:
        space.check_fits(WHOLE, "s")
    assert str(error.value).startswith(message)


def test_spaces_are_read_by_name_and_from_files(tmp_path):
    assert read_sub_network_space("autotinybert_kd") is not None
    path = tmp_path / "space.json"
    path.write_text(json.dumps({**AXES, "depths": {"from": 2, "to": 6, "step": 2}}))
    assert read_sub_network_space(str(path)).depths == (2, 4, 6)
    path.write_text("[1]")
    with pytest.raises(InputError, match=r"space.json: it is \[1\], allowed is an object"):
        read_sub_network_space(str(path))
    with pytest.raises(InputError, match="space: 'paper' is unknown; known are autotinybert_mlm"):
        read_sub_network_space("paper")


def test_flags_give_values_and_grids():
    assert parse_axis("depths", ["2:6:2"]) == [2, 4, 6]
    assert parse_axis("depths", ["2:4", "9"]) == [2, 3, 4, 9]


@pytest.mark.parametrize("word", ["", "a", "1:", "1:2:3:4", "-1", "1.5", "²", "1:2:x"])
def test_a_bad_word_is_named(word):
    with pytest.raises(InputError) as error:
        parse_axis("depths", [word])
    assert str(error.value).startswith(f"depths is {word!r}, allowed are an integer, first:last")


@pytest.mark.parametrize("word", ["2:1", "1:4:2", "0:2", "1:9:0", "1:9999999999", "9" * 40])
def test_a_bad_grid_is_named(word):
    with pytest.raises(InputError, match=r"depths(\.| is)"):
        parse_axis("depths", [word])
