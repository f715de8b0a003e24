"""Tests of the table of candidates, against loops and against `Architecture`'s own counts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.search import grid as grid_module
from bort.search.grid import CandidateGrid
from bort.search.limit import Limit
from bort.search.space import PAPER_SPACE, SearchSpace
from bort.super_network.space import SPACES, SubNetworkSpace

BASE = Architecture(12, 12, 768, 3072, 30522, 512, token_types=2)
PUBLISHED = {"autotinybert_kd_search": 1_525_200, "autotinybert_mlm_search": 366_048}

SMALL_HEADS = SubNetworkSpace((1, 3), (128, 192, 256), (256, 512), heads=(1, 4, 12))
SMALL_QKVS = SubNetworkSpace((2, 5, 8), (64, 256), (96, 100, 512), qkvs=(180, 192, 768))


def published(name: str) -> CandidateGrid:
    return CandidateGrid.of_sub_networks(SPACES[name], BASE)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_grids_have_the_published_sizes(name):
    grid = published(name)
    assert len(grid) == PUBLISHED[name]
    assert grid.sizes.shape == (PUBLISHED[name], 5)
    assert len(np.unique(grid.sizes, axis=0)) == PUBLISHED[name]


def by_loops(mode: str, speed_up: float):
    """Every (D, A, H, I, Q) of AutoTinyBERT's grid whose multiply-adds are in the band, by loops.

    The formula is that of SEED_SYSTEMS.md A.2, n(4dq + 2df) + 2n²q a layer at n = 128.
    """
    base = 12 * (128 * (4 * 768 * 768 + 2 * 768 * 3072) + 2 * 128**2 * 768)
    found = set()
    for depth in range(1, 9):
        for hidden in range(128, 769, 16):
            for intermediate in range(128, 3073, 32):
                rest = depth * 128 * 2 * hidden * intermediate
                if rest > 1.1 * base / speed_up:
                    break
                attention = depth * (128 * 4 * hidden + 2 * 128**2)
                for qkv in range(180, 769, 12) if mode == "kd" else range(64, 769, 64):
                    if 0.85 * base / speed_up <= rest + attention * qkv <= 1.1 * base / speed_up:
                        found.add(
                            (depth, 12 if mode == "kd" else qkv // 64, hidden, intermediate, qkv)
                        )
    return found, base


@pytest.mark.parametrize("speed_up", [4, 7, 15.7, 27.2, 60])
@pytest.mark.parametrize("mode", ["kd", "mlm"])
def test_the_candidates_of_five_bands_equal_those_of_plain_loops(mode, speed_up):
    grid = published(f"autotinybert_{mode}_search")
    expected, base = by_loops(mode, speed_up)
    assert base == BASE.multiply_adds(1, 128)
    limit = Limit.speed_up(speed_up, base)
    rows = limit.candidates(grid.multiply_adds(128))
    assert set(map(tuple, grid.sizes_at(rows).tolist())) == expected
    planted = Limit.speed_up(speed_up, base, band=(0.86, 1.10)).candidates(grid.multiply_adds(128))
    assert 0 < len(planted) < len(rows)


@pytest.mark.parametrize(
    "grid",
    [
        CandidateGrid.of_sub_networks(SMALL_HEADS, BASE),
        CandidateGrid.of_sub_networks(SMALL_QKVS, BASE),
        CandidateGrid.of_space(PAPER_SPACE),
    ],
    ids=["heads", "qkvs", "space"],
)
def test_costs_and_rows_equal_those_of_the_architectures(grid):
    rows = np.arange(len(grid))
    architectures = grid.architectures(rows)
    assert len(set(architectures)) == len(grid)
    assert grid.parameter_counts().tolist() == [a.parameter_count() for a in architectures]
    assert grid.multiply_adds(50).tolist() == [a.multiply_adds(1, 50) for a in architectures]
    assert [grid.index_of(a) for a in architectures] == rows.tolist()
    assert grid.rows_of(grid.genes_at(rows)).tolist() == rows.tolist()
    assert grid.sizes.tolist() == [
        [a.depth, a.heads, a.hidden, a.intermediate, a.qkv] for a in architectures
    ]


@pytest.mark.parametrize("space", [SMALL_HEADS, SMALL_QKVS])
def test_a_grid_of_sub_networks_holds_what_the_space_holds(space):
    grid = CandidateGrid.of_sub_networks(space, BASE)
    listed = space.sample(BASE, space.size(), np.random.default_rng(0))
    assert grid.architectures(np.arange(len(grid))) == listed


def test_a_grid_of_a_search_space_leaves_out_what_the_space_leaves_out():
    space = SearchSpace((1, 2, 4), (2, 3), (48, 64), (32, 96), 1000, 64, norm="pre")
    grid = CandidateGrid.of_space(space)
    assert set(grid.architectures(np.arange(len(grid)))) == set(space.candidates())
    places = np.array(list(itertools.product(*(range(len(axis)) for axis in grid.axes))))
    assert (grid.rows_of(places) >= 0).sum() == len(space)


def test_an_architecture_off_the_grid_has_no_row_but_nearest_places():
    grid = published("autotinybert_mlm_search")
    s1 = BASE.replace(depth=5, heads=8, hidden=564, intermediate=1054, qkv=512)
    assert grid.index_of(s1) is None
    nearest = grid.rows_of(grid.nearest_genes(s1)[np.newaxis])
    assert grid.sizes_at(nearest).tolist() == [[5, 8, 560, 1056, 512]]
    on_grid = BASE.replace(depth=5, heads=8, hidden=560, intermediate=1056, qkv=512)
    assert grid.index_of(on_grid) == nearest[0]
    assert grid.index_of(on_grid.replace(vocabulary_size=100)) is None
    space = CandidateGrid.of_space(PAPER_SPACE)
    assert space.index_of(Architecture(2, 12, 768, 512)) is not None
    assert space.index_of(Architecture(2, 12, 768, 512, qkv=384)) is None


def test_costs_are_computed_in_pieces(monkeypatch):
    grid = CandidateGrid.of_space(PAPER_SPACE)
    whole = grid.parameter_counts().tolist()
    monkeypatch.setattr(grid_module, "_CHUNK", 7)
    seen = []

    def hiddens(sizes):
        seen.append(len(sizes))
        return sizes[:, 2]

    assert grid.costs(hiddens).tolist() == grid.sizes[:, 2].tolist()
    assert max(seen) == 7
    assert sum(seen) == len(grid)
    assert grid.parameter_counts().tolist() == whole


def test_a_space_that_is_too_large_names_its_axes():
    message = "47760650 architectures|allowed are at most 20000000; a larger step"
    with pytest.raises(InputError, match=message):
        CandidateGrid.of_sub_networks(SPACES["autotinybert_kd"], BASE)
    with pytest.raises(InputError, match="hiddens holds 768, allowed is at most 512"):
        CandidateGrid.of_sub_networks(SPACES["autotinybert_mlm"], BASE.replace(hidden=512, heads=8))
    with pytest.raises(InputError, match="length is 513, allowed is 1 to 512"):
        CandidateGrid.of_sub_networks(SMALL_HEADS, BASE).multiply_adds(513)
