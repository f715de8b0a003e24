"""Tests of the course of a search under a limit, on spaces with known latencies and errors."""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Sequence

import numpy as np
import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.search.driver import RoundResults
from bort.search.grid import CandidateGrid
from bort.search.limit import Limit
from bort.search.limited import ranked
from bort.search.limited_config import LimitConfig, LimitedSearchConfig
from bort.search.limited_driver import LimitedProblem, prior_pick, search_under_limit
from bort.search.limited_strategy import StrategyOptions
from bort.search.surrogates import Trial
from bort.super_network.space import SubNetworkSpace

WHOLE = Architecture(6, 4, 64, 256, 100, 32, 2)
SPACE = SubNetworkSpace((1, 2, 3, 4, 5, 6), (16, 32, 48, 64), (64, 128, 256), heads=(1, 2, 4))
GRID = CandidateGrid.of_sub_networks(SPACE, WHOLE)
LENGTH = 16
SECONDS = 1e-9  # of a multiply-add


def predict(sizes: np.ndarray) -> np.ndarray:
    depth, _, hidden, intermediate, qkv = np.asarray(sizes, float).T
    adds = LENGTH * depth * (4 * hidden * qkv + 2 * hidden * intermediate + 2 * LENGTH * qkv)
    return adds * SECONDS


def seconds_of(architecture: Architecture) -> float:
    return architecture.multiply_adds(1, LENGTH) * SECONDS


def error_of(architecture: Architecture) -> float:
    """Wide and shallow is best, so that neither size nor latency alone decides."""
    return 1.0 / architecture.hidden + 0.001 * architecture.depth


class Measured:
    """Measures errors by formula and counts the architectures."""

    def __init__(self, error: Callable[[Architecture], float] = error_of) -> None:
        self.error, self.asked = error, []  # type: ignore[var-annotated]

    def __call__(self, trials: Sequence[Trial]) -> Optional[RoundResults]:
        self.asked += [trial.architecture for trial in trials]
        errors = {trial: self.error(trial.architecture) for trial in trials}
        return RoundResults(errors, {one.architecture: 1.0 for one in trials})


def problem(limit: Limit) -> LimitedProblem:
    return LimitedProblem(GRID, limit, LENGTH, predict)


def config(strategy: str = "exhaustive", **changes: int) -> LimitedSearchConfig:
    return LimitedSearchConfig(
        LimitConfig(latency_ms=1.0), StrategyOptions(strategy=strategy), **changes
    )


def in_band(limit: Limit) -> List[Architecture]:
    every = [GRID.architecture(row) for row in range(len(GRID))]
    return [one for one in every if limit.least <= seconds_of(one) <= limit.reach]


LIMIT = Limit.latency_ms(1.5)


def test_an_exhaustive_search_finds_the_best_of_the_band_and_measures_it_alone() -> None:
    timed: List[Architecture] = []

    def time_one(architecture: Architecture) -> float:
        timed.append(architecture)
        return seconds_of(architecture)

    measured = Measured()
    found = search_under_limit(problem(LIMIT), config(), measured, time_one)
    assert found is not None
    band = in_band(LIMIT)
    assert len(band) > 10
    assert found.band_size == len(band) == len(found.ranking)
    assert set(measured.asked) == set(band)
    allowed = [one for one in band if seconds_of(one) <= LIMIT.most]
    assert found.best is not None
    assert error_of(found.best.architecture) == min(map(error_of, allowed))
    assert timed[-1] == found.best.architecture
    assert all(seconds_of(one) > LIMIT.most for one in timed[:-1])


def test_a_pick_that_is_too_slow_is_recorded_and_the_next_best_is_taken() -> None:
    order = sorted(in_band(LIMIT), key=error_of)
    slow = set(order[:3])

    def time_one(architecture: Architecture) -> float:
        return 1.0 if architecture in slow else LIMIT.most / 2

    found = search_under_limit(problem(LIMIT), config(), Measured(), time_one)
    assert found is not None
    assert found.best is not None
    assert found.best.architecture not in slow
    measured = [row for row in found.ranking if row.measured_seconds is not None]
    assert [row.measured_seconds for row in measured] == [1.0] * (len(measured) - 1) + [
        LIMIT.most / 2
    ]
    assert measured[-1] == found.best


def test_a_predictor_that_is_too_low_is_corrected_and_the_search_goes_on() -> None:
    found = search_under_limit(
        problem(LIMIT), config(checks=3), Measured(), lambda one: 1.5 * seconds_of(one)
    )
    assert found is not None
    assert found.best is not None
    assert found.best.measured_seconds is not None
    assert 0.8 * LIMIT.most <= found.best.measured_seconds <= LIMIT.most
    assert "corrected by 1.5" in found.notes[-1]


@pytest.mark.parametrize("strategy", ["exhaustive", "evolved", "random"])
@pytest.mark.parametrize("factor", [1.2, 1.5])
def test_the_corrected_candidates_are_measured_though_larger_ones_are_better(
    strategy: str, factor: float
) -> None:
    """As networks are: the candidates of the first search are ahead, and all of them too slow."""
    timed: List[Architecture] = []

    def time_one(architecture: Architecture) -> float:
        timed.append(architecture)
        return factor * seconds_of(architecture)

    measure = Measured(lambda one: 1.0 / seconds_of(one))
    found = search_under_limit(problem(LIMIT), config(strategy, checks=3), measure, time_one)
    assert found is not None
    assert found.best is not None
    assert found.best.measured_seconds is not None
    assert 0.8 * LIMIT.most <= found.best.measured_seconds <= LIMIT.most
    assert len(timed) <= 6


def test_what_keeps_a_corrected_limit_may_cost_less_than_the_band() -> None:
    space = SubNetworkSpace((1, 2, 3, 4), (64,), (256,), heads=(4,))
    grid = CandidateGrid.of_sub_networks(space, WHOLE.replace(depth=4))
    one, two = (seconds_of(grid.architecture(row)) for row in (0, 1))
    limit = Limit.latency_ms(1.02e3 * two)

    def time_one(architecture: Architecture) -> float:
        return 1.1 * seconds_of(architecture)

    few = LimitedProblem(grid, limit, LENGTH, predict)
    found = search_under_limit(few, config(checks=3), Measured(), time_one)
    assert found is not None
    assert found.best is not None
    assert found.best.architecture.depth == 1
    assert found.best.measured_seconds == pytest.approx(1.1 * one)
    known = LimitedProblem(grid, limit, LENGTH, predict, only=[1, 2, 3])
    found = search_under_limit(known, config(checks=3), Measured(), time_one)
    assert found is not None
    assert found.best is None, "one layer is no candidate"


def test_a_limit_that_nothing_keeps_ends_with_the_nearest() -> None:
    found = search_under_limit(
        problem(LIMIT), config(checks=2, search_rounds=3), Measured(), lambda one: 5.0
    )
    assert found is not None
    assert found.best is None
    assert found.nearest is not None
    assert found.nearest.measured_seconds == 5.0


def test_an_empty_band_names_the_nearest_architecture_and_what_it_costs() -> None:
    with pytest.raises(InputError, match=r"nearest is .* ms.*: that of <D=1, A=1, H=16"):
        search_under_limit(
            problem(Limit.latency_ms(1e-6)), config(), Measured(), lambda one: seconds_of(one)
        )


def test_a_limit_above_the_whole_space_takes_its_slowest_candidates() -> None:
    chosen = problem(Limit.latency_ms(1e6))
    slowest = max(seconds_of(GRID.architecture(row)) for row in range(len(GRID)))
    assert all(seconds_of(GRID.architecture(int(row))) >= 0.85 * slowest for row in chosen.rows)
    assert len(chosen.rows)


def test_a_stop_ends_the_search() -> None:
    assert search_under_limit(problem(LIMIT), config(), lambda trials: None, seconds_of) is None
    assert search_under_limit(problem(LIMIT), config(), Measured(), lambda one: None) is None


def test_the_prior_measures_no_error_and_takes_the_largest_that_keeps_the_limit() -> None:
    found = search_under_limit(problem(LIMIT), config("prior"), None, seconds_of)
    assert found is not None
    assert found.best is not None
    assert found.best.error is None

    def layers(one: Architecture) -> int:
        return one.parameter_count() - one.hidden * (100 + 32 + 2 + 2)  # without embeddings

    keeping = [one for one in in_band(LIMIT) if seconds_of(one) <= LIMIT.most]
    assert found.best.architecture in keeping
    assert found.best.architecture == prior_pick(problem(LIMIT), "parameters")
    assert layers(found.best.architecture) == max(map(layers, keeping))


def test_a_limit_of_parameters_needs_no_latency() -> None:
    limit = Limit.parameters(100_000)
    measured = Measured()
    chosen = LimitedProblem(GRID, limit, LENGTH, None)
    found = search_under_limit(chosen, config(), measured, None)
    assert found is not None
    assert found.best is not None
    assert found.best.parameters <= 100_000
    assert found.best == found.ranking[0]
    assert found.best.predicted_seconds is None


@pytest.mark.parametrize("strategy", ["evolved", "random", "fptas"])
def test_the_same_seed_gives_the_same_sequence_and_no_architecture_twice(strategy: str) -> None:
    sequences = []
    for _ in range(2):
        measured = Measured()
        search_under_limit(problem(LIMIT), config(strategy), measured, seconds_of)
        sequences.append(measured.asked)
    assert sequences[0] == sequences[1]
    assert len(set(sequences[0])) == len(sequences[0])


def test_the_front_is_that_of_an_independent_dominance_check() -> None:
    generator = np.random.default_rng(4)
    noise: Dict[Architecture, float] = {}

    def error(architecture: Architecture) -> float:
        return noise.setdefault(architecture, float(generator.integers(1, 99)))

    wide = Limit.latency_ms(1.5, band=(0.0, 1.1))
    found = search_under_limit(problem(wide), config(), Measured(error), seconds_of)
    assert found is not None
    rows = [(row, (row.predicted_seconds, row.error)) for row in found.ranking]
    for row, (time, lost) in rows:
        dominated = False
        for other, (their_time, their_lost) in rows:
            if other is row:
                continue
            no_worse = their_time <= time and their_lost <= lost  # type: ignore[operator]
            better = their_time < time or their_lost < lost  # type: ignore[operator]
            dominated = dominated or (no_worse and better)
        assert row.on_front == (not dominated)
    assert sum(row.on_front for row, _ in rows) > 1
    again = ranked([row for row, _ in reversed(rows)])
    assert [row.architecture for row in again] == [row.architecture for row, _ in rows]
