"""Tests of the candidates that each strategy asks for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bort.errors import InputError
from bort.search.config import STRATEGIES, SearchConfig
from bort.search.space import PAPER_SPACE, SearchSpace
from bort.search.strategy import (
    ApproximationScheme,
    ExhaustiveSearch,
    RandomSearch,
    build_strategy,
    sort_by_parameters,
)
from tests.search.instances import line


def test_the_paper_looks_at_50_of_300_sorted_by_size():
    scheme = ApproximationScheme(PAPER_SPACE, 6)
    assert scheme.budget == 50
    chosen = scheme.ask()
    assert len(chosen) == 50
    order = sort_by_parameters(PAPER_SPACE.candidates())
    assert chosen == [order[n] for n in range(0, 300, 6)]
    counts = [a.parameter_count() for a in order]
    assert counts == sorted(counts)


def test_ties_of_size_are_ordered_by_depth_heads_hidden_intermediate():
    space = SearchSpace((2,), (16, 4, 8), (64,), (32,))
    assert [a.heads for a in sort_by_parameters(space.candidates()[::-1])] == [4, 8, 16]


@pytest.mark.parametrize("epsilon", [0, -1, 301])
def test_epsilon_out_of_range_is_refused(epsilon):
    with pytest.raises(InputError, match=rf"epsilon is {epsilon}, allowed is 1 to 300"):
        ApproximationScheme(PAPER_SPACE, epsilon)


@pytest.mark.parametrize("epsilon", [1.0, True, "2"])
def test_epsilon_is_an_integer(epsilon):
    with pytest.raises(InputError, match="allowed is an integer"):
        ApproximationScheme(PAPER_SPACE, epsilon)


@pytest.mark.parametrize(
    "strategy",
    [
        ApproximationScheme(line(9), 2),
        ExhaustiveSearch(line(9)),
        RandomSearch(line(9), 4, np.random.default_rng(0)),
    ],
    ids=["scheme", "exhaustive", "random"],
)
def test_there_is_one_round_in_the_order_of_size(strategy):
    first = strategy.ask()
    assert len(first) == len(set(first)) == strategy.budget
    assert list(first) == sort_by_parameters(first)
    strategy.tell([])
    assert not strategy.ask()


def test_random_candidates_come_from_the_generator():
    def drawn(seed):
        return list(RandomSearch(line(30), 8, np.random.default_rng(seed)).ask())

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)
    with pytest.raises(InputError, match="count is 31, allowed is 1 to 30"):
        RandomSearch(line(30), 31, np.random.default_rng(0))


def test_every_strategy_of_the_settings_can_be_built():
    config = SearchConfig(epsilon=2, random_count=4, seed=7)
    found = {
        name: list(build_strategy(dataclasses.replace(config, strategy=name), line(9)).ask())
        for name in STRATEGIES
    }
    assert found["fptas"] == sort_by_parameters(line(9).candidates())[::2]
    assert found["exhaustive"] == sort_by_parameters(line(9).candidates())
    drawn = RandomSearch(line(9), 4, np.random.default_rng(7)).ask()
    assert found["random"] == list(drawn)
