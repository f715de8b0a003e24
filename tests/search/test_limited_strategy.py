"""Tests of the strategies under a limit: who is a candidate, in which order, and how many."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.search.grid import CandidateGrid
from bort.search.limit import Limit
from bort.search.limited_strategy import (
    LIMITED_STRATEGIES,
    FastSearch,
    LimitedExhaustive,
    LimitedRandom,
    LimitedScheme,
    PriorSearch,
    StrategyOptions,
    build_limited_strategy,
    has_fast_ratios,
    notes_of,
    sort_rows,
)
from bort.search.space import PAPER_SPACE
from bort.search.strategy import sort_by_parameters
from bort.super_network.autotinybert import mean_errors, read_performances
from bort.super_network.space import SPACES, SubNetworkSpace

BASE = Architecture(12, 12, 768, 3072, 30522, 512, token_types=2)
GRID = CandidateGrid.of_space(PAPER_SPACE)
ALLOWED = np.arange(0, len(GRID), 3)


def seeded(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("name", "count"), [("autotinybert_kd_search", 18_552), ("autotinybert_mlm_search", 3_672)]
)
def test_the_fast_filter_keeps_the_published_numbers(name, count):
    grid = CandidateGrid.of_sub_networks(SPACES[name], BASE)
    kept = has_fast_ratios(grid.sizes)
    assert kept.sum() == count
    # An independent loop; the ends of the ratios belong to them: 1.6 · 160 = 256, 0.7 · 640 = 448.
    by_loop = sum(
        16 * hidden <= 10 * wide <= 19 * hidden and 7 * hidden <= 10 * qkv <= 10 * hidden
        for hidden in grid.axes[1]
        for wide in grid.axes[2]
        for qkv in (grid.axes[3] if "kd" in name else [64 * heads for heads in grid.axes[3]])
    )
    assert by_loop * len(grid.axes[0]) == count
    # The planted fault: ratios in floating point lose the ends.
    d, f, q = (grid.sizes[:, column].astype(np.float64) for column in (2, 3, 4))
    wrong = (1.6 * d < f) & (f < 1.9 * d) & (0.7 * d < q) & (q < d)
    assert wrong.sum() < count


def test_the_scheme_and_exhaustive_search_go_by_size():
    ordered = sort_by_parameters(GRID.architectures(ALLOWED))
    assert GRID.architectures(sort_rows(GRID, ALLOWED)) == ordered
    assert LimitedScheme(GRID, ALLOWED, 6).ask() == ordered[::6]
    assert LimitedScheme(GRID, ALLOWED, 1000).ask() == ordered[:1]
    assert LimitedExhaustive(GRID, ALLOWED).ask() == ordered
    with pytest.raises(InputError, match="epsilon is 0, allowed is an integer of at least 1"):
        LimitedScheme(GRID, ALLOWED, 0)


def test_random_draws_different_candidates_uniformly():
    """Each of 12 rows in 5 of 12 of 1500 draws, within 6.5 deviations: fails with 1e-9."""
    rows = ALLOWED[:12]
    counts = dict.fromkeys(rows.tolist(), 0)
    generator = seeded(1)
    for _ in range(1500):
        drawn = [GRID.index_of(a) for a in LimitedRandom(GRID, rows, 5, generator).ask()]
        assert len(set(drawn)) == 5
        for row in drawn:
            counts[row] += 1
    expected = 1500 * 5 / 12
    deviation = (expected * (1 - 5 / 12)) ** 0.5
    assert max(abs(count - expected) for count in counts.values()) < 6.5 * deviation


@pytest.mark.parametrize("kind", [LimitedRandom, FastSearch])
def test_too_few_candidates_are_all_taken_with_a_note(kind):
    fitting = np.flatnonzero(has_fast_ratios(GRID.sizes))
    assert len(fitting) == 0  # PAPER_SPACE has no such ratio
    space = SubNetworkSpace((1, 2, 3), (128, 160), (208, 272), heads=(2,))
    grid = CandidateGrid.of_sub_networks(space, BASE)
    rows = np.flatnonzero(has_fast_ratios(grid.sizes))
    assert len(rows) == 6
    strategy = kind(grid, rows, 25, seeded())
    assert strategy.budget == 6
    note = "there are 6 candidates, fewer than the 25 asked for: all are taken"
    assert notes_of(strategy) == (note,)
    assert {grid.index_of(a) for a in strategy.ask()} == set(rows.tolist())
    assert not notes_of(kind(grid, rows, 6, seeded()))


def test_fast_draws_only_what_has_the_ratios():
    grid = CandidateGrid.of_sub_networks(SPACES["autotinybert_kd_search"], BASE)
    allowed = Limit.speed_up(9, float(BASE.multiply_adds(1, 128))).candidates(
        grid.multiply_adds(128)
    )
    found = FastSearch(grid, allowed, 25, seeded()).ask()
    assert len(set(found)) == 25
    for one in found:
        assert 1.6 * one.hidden - 1e-6 <= one.intermediate <= 1.9 * one.hidden + 1e-6
        assert 0.7 * one.hidden - 1e-6 <= one.qkv <= one.hidden
        assert grid.index_of(one) in allowed
    with pytest.raises(InputError, match="none of the 100 candidates of the band has"):
        FastSearch(GRID, ALLOWED, 25, seeded())


def test_the_prior_takes_the_largest_first():
    def layers(one):
        return one.parameter_count() - one.hidden * (one.vocabulary_size + one.maximum_length + 2)

    by_parameters = PriorSearch(GRID, ALLOWED, 4).ask()
    everything = GRID.architectures(ALLOWED)
    assert [layers(a) for a in by_parameters] == sorted(map(layers, everything))[::-1][:4]
    by_adds = PriorSearch(GRID, ALLOWED, 4, by="multiply_adds", length=64).ask()
    adds = sorted((a.multiply_adds(1, 64) for a in everything), reverse=True)
    assert [a.multiply_adds(1, 64) for a in by_adds] == adds[:4]
    short = PriorSearch(GRID, ALLOWED[:2], 4)
    assert short.budget == 2
    assert notes_of(short)
    with pytest.raises(InputError, match="prior is 'latency', allowed are parameters, multiply"):
        PriorSearch(GRID, ALLOWED, by="latency")


@pytest.mark.parametrize("name", LIMITED_STRATEGIES)
def test_every_strategy_is_deterministic_and_asks_only_new_candidates_of_the_band(name):
    space = SubNetworkSpace((1, 2, 3), (128, 160, 192), (208, 272, 304), heads=(2, 3))
    grid = CandidateGrid.of_sub_networks(space, BASE)
    allowed = np.arange(10, len(grid))
    options = StrategyOptions(strategy=name, random_count=5, generations=3, generation_size=4)

    def sequence(seed):
        strategy = build_limited_strategy(dataclasses.replace(options, seed=seed), grid, allowed)
        asked = []
        for _ in range(10):
            found = strategy.ask()
            asked += [grid.index_of(a) for a in found]
            strategy.tell([SimpleNamespace(architecture=a, error=1 / a.hidden) for a in found])
        assert not strategy.ask()
        assert 0 < len(asked) == len(set(asked)) <= strategy.budget
        assert set(asked) <= set(allowed.tolist())
        return asked

    assert sequence(1) == sequence(1)
    assert (sequence(1) != sequence(2)) == (name in ("random", "fast", "evolved"))
    with pytest.raises(InputError, match="the band of the limit holds no candidate"):
        build_limited_strategy(options, grid, allowed[:0])


def test_counts_below_one_are_refused():
    for make in (
        lambda: LimitedRandom(GRID, ALLOWED, 0, seeded()),
        lambda: PriorSearch(GRID, ALLOWED, 0),
    ):
        with pytest.raises(InputError, match="random_count is 0, allowed is at least 1"):
            make()


def test_results_of_autotinybert_are_the_first_parents(tmp_path):
    """The published S1 lies off the grid, and its results came from another tool."""
    written = {
        "sample_layer_num": 5,
        "sample_hidden_size": 564,
        "sample_num_attention_heads": [8] * 5,
        "sample_intermediate_sizes": [1054] * 5,
        "sample_qkv_sizes": [512] * 5,
    }
    path = tmp_path / "subbert.results"
    path.write_text(f"task_name = mnli\narchitecture = {written}\nbest_acc = 0.78\n")
    errors = mean_errors(read_performances(path))
    known = {sizes.within(BASE): error for sizes, error in errors.items()}
    (s1,) = known
    grid = CandidateGrid.of_sub_networks(SPACES["autotinybert_mlm_search"], BASE)
    limit = Limit.latency_ms(float(s1.multiply_adds(1, 128)))
    allowed = limit.candidates(grid.multiply_adds(128) / 1e3)
    options = StrategyOptions(strategy="evolved", generations=1)

    def near(given) -> int:
        asked = build_limited_strategy(options, grid, allowed, known=given).ask()
        rows = np.array([grid.index_of(a) for a in asked])
        away = np.abs(grid.genes_at(rows) - grid.nearest_genes(s1))
        return int((away <= np.array([1, 1, 2, 2])).all(1).sum())

    assert near(known) >= 4
    assert near(None) < 4
