"""Tests of whole searches: brute force, the guarantee of the scheme, ties, several rounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.architecture import Architecture
from bort.errors import InputError
from bort.search.driver import exhaustive, fptas, plan_trials, random_search, search_with
from bort.search.space import SearchSpace
from bort.search.strategy import ApproximationScheme, sort_by_parameters
from bort.search.surrogates import Hyperparameters, Trial
from tests.search.instances import MAXIMUM, Climber, KnownError, KnownLatency, line, planted

W_VALUES = st.lists(st.floats(0.1, 50), min_size=1, max_size=25)


@given(values=W_VALUES)
def test_with_epsilon_1_the_scheme_is_brute_force(values):
    space = line(len(values))
    result = fptas(space, MAXIMUM, planted(space, values), KnownLatency({}), epsilon=1)
    assert result.best.w == pytest.approx(max(values))
    order = sort_by_parameters(space.candidates())
    by_brute_force = max(range(len(values)), key=lambda n: (round(values[n], 9), -n))
    assert result.best.w == pytest.approx(values[by_brute_force])
    assert values[order.index(result.best.architecture)] == pytest.approx(max(values))
    again = exhaustive(space, MAXIMUM, planted(space, values), KnownLatency({}))
    assert again == result


@given(
    start=st.floats(5, 50),
    moves=st.lists(st.floats(-1, 1), max_size=40),
    epsilon=st.integers(1, 12),
)
def test_the_loss_is_at_most_l_times_epsilon_less_one(start, moves, epsilon):
    values = list(np.maximum(0.5, start + np.cumsum([0.0, *moves])))
    epsilon = min(epsilon, len(values))
    steepest = max([abs(b - a) for a, b in zip(values, values[1:])], default=0.0)
    space = line(len(values))
    result = fptas(space, MAXIMUM, planted(space, values), KnownLatency({}), epsilon=epsilon)
    loss = max(values) - result.best.w
    assert loss <= steepest * (epsilon - 1) + 1e-6
    order = sort_by_parameters(space.candidates())
    assert result.best.w == pytest.approx(max(values[n] for n in range(0, len(order), epsilon)))


@pytest.mark.parametrize("epsilon", [2, 5, 6])
def test_the_bound_is_nearly_reached(epsilon):
    """W grows by L up to the end of the last interval, which is the worst case."""
    slope = 0.25
    values = [1.0 + slope * n for n in range(5 * epsilon)]
    space = line(len(values))
    result = fptas(space, MAXIMUM, planted(space, values), KnownLatency({}), epsilon=epsilon)
    loss = max(values) - result.best.w
    assert 0.9 * slope * (epsilon - 1) <= loss <= slope * (epsilon - 1) + 1e-6


@given(values=st.lists(st.floats(0.1, 5), min_size=3, max_size=20), data=st.data())
def test_the_error_of_the_planted_best_decides(values, data):
    best = data.draw(st.integers(0, len(values) - 1))
    values[best] = 10.0
    space = line(len(values))
    order = sort_by_parameters(space.candidates())
    errors = planted(space, values)
    result = fptas(space, MAXIMUM, errors, KnownLatency({}), epsilon=1)
    assert result.best.architecture == order[best]

    class Flipped(KnownError):
        def error(self, trial: Trial) -> float:
            worse = 1000.0 if trial.architecture == order[best] else 1.0
            return worse * super().error(trial)

    flipped = Flipped(errors.w_of, errors.latency, MAXIMUM)
    assert (
        fptas(space, MAXIMUM, flipped, KnownLatency({}), epsilon=1).best.architecture
        != (order[best])
    )


def test_candidates_that_are_not_smaller_and_faster_than_t_are_never_the_pick():
    space = SearchSpace((2,), (2,), (64,), (16, 32, 64))
    small, middle, large = sort_by_parameters(space.candidates())
    latency = KnownLatency({small: 100.0, middle: 1.0, large: 1.0})

    class Same:
        def error(self, trial: Trial) -> float:
            return 1.0

    result = fptas(space, middle, Same(), latency, epsilon=1)
    assert result.best is None
    assert [row.w for row in result.ranking] == [None, None, None]
    # T is large. Small is slower than T and middle is as fast as T, so neither has a W.
    assert fptas(space, large, Same(), latency, epsilon=1).best is None
    latency.values[large] = 2.0
    found = fptas(space, large, Same(), latency, epsilon=1)
    assert found.best.architecture == middle
    assert found.ranking[1].w is None


def test_every_theta_is_tried_and_the_best_one_returned():
    space = line(4)
    thetas = [Hyperparameters(lr=lr) for lr in (0.1, 0.2, 0.3)]

    class PrefersMiddle:
        def error(self, trial: Trial) -> float:
            return 1.0 if trial.hyperparameters.lr == 0.2 else 2.0

    seen = []
    result = fptas(
        space,
        MAXIMUM,
        PrefersMiddle(),
        KnownLatency({}),
        epsilon=2,
        hyperparameters=thetas,
        on_trial=lambda done, total, trial, error: seen.append((done, total, trial)),
    )
    assert len(result.ranking) == 6
    assert result.best.hyperparameters.lr == 0.2
    assert [entry[:2] for entry in seen] == [(n, 6) for n in range(1, 7)]
    assert [entry[2].hyperparameters.lr for entry in seen] == [0.1, 0.1, 0.2, 0.2, 0.3, 0.3]


def test_equal_w_are_ordered_by_size_then_sizes_then_theta():
    space = SearchSpace((2,), (2, 4), (64,), (16, 32))
    latency = KnownLatency(dict.fromkeys(space.candidates(), 1.0))
    errors = KnownError(lambda a: 3.0, latency, MAXIMUM)

    class Exactly:
        def error(self, trial: Trial) -> float:
            return errors.error(trial)

    thetas = [Hyperparameters(lr=0.2), Hyperparameters(lr=0.1)]
    result = fptas(space, MAXIMUM, Exactly(), latency, epsilon=1, hyperparameters=thetas)
    w = [row.w for row in result.ranking]
    assert w == pytest.approx([3.0] * 8)
    equal = [row for row in result.ranking if row.w == result.ranking[0].w]
    keys = [(r.parameters, r.architecture, -r.hyperparameters.lr) for r in equal]
    assert keys == sorted(keys)


def test_random_search_measures_as_many_and_finds_their_best():
    space = line(30)
    values = [float(1 + (7 * n) % 30) for n in range(30)]
    errors = planted(space, values)
    result = random_search(
        space, MAXIMUM, errors, KnownLatency({}), count=8, generator=np.random.default_rng(3)
    )
    asked = {trial.architecture for trial in errors.asked}
    assert len(asked) == 8
    assert result.best.w == pytest.approx(max(errors.w_of(a) for a in asked))


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_an_error_that_is_not_positive_stops_the_search_and_names_the_trial(bad):
    class Bad:
        def error(self, trial: Trial) -> float:
            return bad

    with pytest.raises(InputError, match=r"error of <D=2, A=2, H=64, I=1> .*seed 0"):
        fptas(line(3), MAXIMUM, Bad(), KnownLatency({}), epsilon=1)


def test_trials_need_different_thetas_and_seeds():
    here = [Architecture(2, 2, 4, 4)]
    with pytest.raises(InputError, match="at least one set"):
        plan_trials(here, [])
    with pytest.raises(InputError, match="must differ"):
        plan_trials(here, [Hyperparameters()], (1, 1))
    assert len(plan_trials(here * 1, [Hyperparameters()], (1, 2))) == 2


def test_a_strategy_in_rounds_is_told_what_it_asked_for_and_ranked_as_a_whole():
    space = line(30)
    values = [float(100 - abs(n - 3)) for n in range(30)]
    errors = planted(space, values)
    thetas = [Hyperparameters(lr=0.1), Hyperparameters(lr=0.2)]
    climber = Climber(space, np.random.default_rng(1))
    steps = []
    result = search_with(
        climber,
        MAXIMUM,
        errors,
        KnownLatency({}),
        hyperparameters=thetas,
        seeds=(0, 1),
        on_trial=lambda done, total, trial, error: steps.append((done, total)),
    )
    order = sort_by_parameters(space.candidates())
    assert result.best.architecture == order[3], "from neighbour to neighbour up to the top"
    assert len(climber.told) > 5
    for candidates, rows in zip(climber.rounds, climber.told):
        assert [(r.architecture, r.hyperparameters) for r in rows] == [
            (a, theta) for theta in thetas for a in candidates
        ]
        for row in rows:
            assert row.w == pytest.approx(values[order.index(row.architecture)])
            assert row.parameters == row.architecture.parameter_count()
            assert row.latency == KnownLatency({}).latency(row.architecture)
            assert row.error_spread == 0.0
    assert len(result.ranking) == sum(len(rows) for rows in climber.told)
    assert {vars(row)["w"] for row in result.ranking} == {
        r.w for rows in climber.told for r in rows
    }
    assert steps == [(n, 30 * 4) for n in range(1, len(steps) + 1)]
    assert len(errors.asked) == len(steps) == len(set(errors.asked)), "nothing is measured twice"


def test_the_same_generator_leads_to_the_same_rounds():
    def rounds(seed: int):
        climber = Climber(line(30), np.random.default_rng(seed))
        search_with(climber, MAXIMUM, planted(line(30), list(range(1, 31))), KnownLatency({}))
        return climber.rounds

    assert rounds(3) == rounds(3)
    assert rounds(3) != rounds(4)


@pytest.mark.parametrize("fault", ["twice", "too many"])
def test_a_strategy_that_breaks_its_protocol_ends(fault):
    class Broken(ApproximationScheme):
        def ask(self):
            return self.again if fault == "twice" else super().ask()

    broken = Broken(line(3), 1)
    broken.again = line(3).candidates()[:1]
    broken.budget = 9 if fault == "twice" else 2
    with pytest.raises(AssertionError, match="protocol"):
        search_with(broken, MAXIMUM, planted(line(3), [1.0] * 3), KnownLatency({}))


def test_the_latency_of_an_architecture_is_asked_for_once():
    asked = []

    class Counting(KnownLatency):
        def latency(self, architecture: Architecture) -> float:
            asked.append(architecture)
            return super().latency(architecture)

    space = line(30)
    climber = Climber(space, np.random.default_rng(1))
    search_with(climber, MAXIMUM, planted(space, list(range(1, 31))), Counting({}))
    assert len(asked) == len(set(asked))
