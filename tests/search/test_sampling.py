"""Tests of samples that cover every axis of a grid."""

from __future__ import annotations

import numpy as np
import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.search.grid import CandidateGrid
from bort.search.sampling import space_filling_sample
from bort.search.space import PAPER_SPACE, SearchSpace
from bort.super_network.space import SPACES

WHOLE = Architecture(12, 12, 768, 3072, 30522, 512, 2)


def drawn(grid, count, seed=0):
    return space_filling_sample(grid, count, np.random.default_rng(seed))


@pytest.mark.parametrize("name", ["autotinybert_mlm", "autotinybert_kd_search"])
def test_every_interval_of_every_axis_has_its_share(name):
    grid = CandidateGrid.of_sub_networks(SPACES[name], WHOLE)
    rows = drawn(grid, 160)
    assert len(set(rows.tolist())) == 160
    genes = grid.genes_at(rows)
    for column, axis in enumerate(grid.axes):
        parts = np.floor(genes[:, column] / len(axis) * 4).astype(int)
        counts = np.bincount(parts, minlength=4)
        assert counts.min() >= 36, (column, counts)
        assert counts.max() <= 44
    assert np.abs(np.corrcoef(genes.T) - np.eye(4)).max() < 0.3, "the axes are drawn apart"


def test_eight_architectures_have_all_eight_layer_counts():
    grid = CandidateGrid.of_sub_networks(SPACES["autotinybert_mlm"], WHOLE)
    for seed in range(5):
        assert sorted(grid.sizes_at(drawn(grid, 8, seed))[:, 0]) == list(range(1, 9))


def test_combinations_that_are_no_candidates_are_replaced():
    grid = CandidateGrid.of_space(PAPER_SPACE)
    for count in (1, 100, 290, len(grid) - 1):
        rows = drawn(grid, count)
        assert len(set(rows.tolist())) == count
        assert 0 <= rows.min() <= rows.max() < len(grid)


def test_few_candidates_are_taken_in_order():
    grid = CandidateGrid.of_space(SearchSpace((2, 4), (2,), (8,), (8, 16)))
    assert drawn(grid, 4).tolist() == drawn(grid, 9).tolist() == [0, 1, 2, 3]
    with pytest.raises(InputError, match="count is 0, allowed is at least 1"):
        drawn(grid, 0)


def test_the_seed_decides():
    grid = CandidateGrid.of_sub_networks(SPACES["autotinybert_kd_search"], WHOLE)
    assert drawn(grid, 20).tolist() == drawn(grid, 20).tolist() != drawn(grid, 20, 1).tolist()
