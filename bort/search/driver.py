"""The loop of a search: ask a strategy for candidates, measure them, tell it, rank them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Optional, Protocol, Sequence

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.search.ranking import SearchResult, measured_candidates, rank_candidates
from bort.search.space import SearchSpace
from bort.search.strategy import (
    ApproximationScheme,
    ExhaustiveSearch,
    RandomSearch,
    SearchStrategy,
)
from bort.search.surrogates import ErrorModel, Hyperparameters, LatencyModel, Trial, check_error

OnTrial = Callable[[int, int, Trial, float], None]
"""Called after each trial: number of trials done, upper bound on trials, the trial, its error."""


@dataclass(frozen=True)
class RoundResults:
    """Measurements of one round.

    Attributes:
        errors: ê of every trial.
        latencies: î of every candidate, and of the maximum point if there is one.
    """

    errors: Mapping[Trial, float]
    latencies: Mapping[Architecture, float]


class Measure(Protocol):
    """A function that measures the trials of a round, in one process or shared among ranks."""

    def __call__(self, trials: Sequence[Trial]) -> Optional[RoundResults]:
        """Return the results of all trials, or None when a stop was requested before the end."""


def drive(
    strategy: SearchStrategy,
    measure: Measure,
    maximum_point: Architecture,
    *,
    hyperparameters: Sequence[Hyperparameters],
    seeds: Sequence[int],
) -> Optional[SearchResult]:
    """Run a strategy until it asks for no more candidates, and rank all measured candidates.

    Args:
        strategy: chooses the candidates.
        measure: measures a round of candidates.
        maximum_point: T.
        hyperparameters: Θ; every θ is tried on every candidate.
        seeds: seeds of initial weights; every seed is tried with every θ.

    Returns:
        The candidates ranked by W, best first; None when `measure` was stopped.

    Raises:
        InputError: for an empty Θ, no seed, or a θ or seed that is given twice.
    """
    found = run_rounds(
        strategy, measure, maximum_point, hyperparameters=hyperparameters, seeds=seeds
    )
    return None if found is None else rank_candidates(found.errors, found.latencies, maximum_point)


def run_rounds(
    strategy: SearchStrategy,
    measure: Measure,
    maximum_point: Optional[Architecture],
    *,
    hyperparameters: Sequence[Hyperparameters],
    seeds: Sequence[int],
) -> Optional[RoundResults]:
    """Run a strategy until it asks for no more candidates; arguments and errors as in `drive`.

    Args:
        maximum_point: T; None if the strategy needs no W.

    Returns:
        The results of all rounds, with the errors in the order of `plan_trials`; None when
        `measure` was stopped.
    """
    asked: List[Architecture] = []
    errors: Dict[Trial, float] = {}
    latencies: Dict[Architecture, float] = {}
    candidates = strategy.ask()
    while candidates:
        asked.extend(candidates)
        assert len(set(asked)) == len(asked) <= strategy.budget, "a strategy breaks its protocol"
        trials = plan_trials(candidates, hyperparameters, seeds)
        found = measure(trials)
        if found is None:
            return None
        latencies.update(found.latencies)
        round_errors = {trial: found.errors[trial] for trial in trials}
        errors.update(round_errors)
        strategy.tell(measured_candidates(round_errors, latencies, maximum_point))
        candidates = strategy.ask()
    trials = plan_trials(asked, hyperparameters, seeds)
    return RoundResults({trial: errors[trial] for trial in trials}, latencies)


def count_trials(
    strategy: SearchStrategy, hyperparameters: Sequence[Hyperparameters], seeds: Sequence[int]
) -> int:
    """Return the largest number of trials of a search; arguments and errors as in `drive`."""
    _check_sets(hyperparameters, seeds)
    return strategy.budget * len(hyperparameters) * len(seeds)


def plan_trials(
    architectures: Sequence[Architecture],
    hyperparameters: Sequence[Hyperparameters],
    seeds: Sequence[int] = (0,),
) -> List[Trial]:
    """Return all trials of a round, in the order of the loops of Algorithm 1.

    The loops are θ in Θ, then candidates, then seeds; the loop over seeds is ours.

    Raises:
        InputError: for an empty Θ, no seed, or a θ or seed that is given twice.
    """
    _check_sets(hyperparameters, seeds)
    return [
        Trial(architecture, theta, seed)
        for theta in hyperparameters
        for architecture in architectures
        for seed in seeds
    ]


def _check_sets(hyperparameters: Sequence[Hyperparameters], seeds: Sequence[int]) -> None:
    if not hyperparameters or not seeds:
        raise InputError("a search needs at least one set of hyperparameters and one seed")
    if len(set(hyperparameters)) != len(hyperparameters) or len(set(seeds)) != len(seeds):
        raise InputError("hyperparameter sets and seeds must differ from each other")


def search_with(
    strategy: SearchStrategy,
    maximum_point: Architecture,
    errors: ErrorModel,
    latencies: LatencyModel,
    *,
    hyperparameters: Sequence[Hyperparameters] = (Hyperparameters(),),
    seeds: Sequence[int] = (0,),
    on_trial: Optional[OnTrial] = None,
) -> SearchResult:
    """Run a search in this process: the argmax of W over the candidates of a strategy.

    Source: arXiv 2010.08512, algorithm 1, with `ApproximationScheme`. Our choices: of candidates
    with equal W the smaller one comes first (see `rank_candidates`); the error with several seeds
    is their mean; a candidate that is not smaller and faster than T has no W and is never the best.

    Args:
        strategy: chooses the candidates.
        maximum_point: T; may lie outside the space.
        errors: model of ê; it sets the number of training steps s.
        latencies: model of î, for the candidates and for T.
        hyperparameters: Θ.
        seeds: seeds of initial weights; with more than one, W has a spread.
        on_trial: see `OnTrial`.

    Returns:
        The candidates ranked by W, best first.

    Raises:
        InputError: for an empty Θ, or an error that is not finite and above 0.
    """
    total = count_trials(strategy, hyperparameters, seeds)
    known: Dict[Architecture, float] = {}
    done = 0

    def measure(trials: Sequence[Trial]) -> RoundResults:
        nonlocal done
        for architecture in [*(trial.architecture for trial in trials), maximum_point]:
            if architecture not in known:
                known[architecture] = latencies.latency(architecture)
        found: Dict[Trial, float] = {}
        for trial in trials:
            error = errors.error(trial)
            assert error is not None, "nothing stops this search"
            found[trial] = check_error(error, trial)
            done += 1
            if on_trial is not None:
                on_trial(done, total, trial, found[trial])
        return RoundResults(found, known)

    result = drive(strategy, measure, maximum_point, hyperparameters=hyperparameters, seeds=seeds)
    assert result is not None, "nothing stops this search"
    return result


def fptas(
    space: SearchSpace,
    maximum_point: Architecture,
    errors: ErrorModel,
    latencies: LatencyModel,
    *,
    epsilon: int = 6,
    **options: Any,
) -> SearchResult:
    """Run `search_with` on an `ApproximationScheme`; `options` are passed on to it."""
    strategy = ApproximationScheme(space, epsilon)
    return search_with(strategy, maximum_point, errors, latencies, **options)


def exhaustive(
    space: SearchSpace,
    maximum_point: Architecture,
    errors: ErrorModel,
    latencies: LatencyModel,
    **options: Any,
) -> SearchResult:
    """Run `search_with` on an `ExhaustiveSearch`; `options` are passed on to it."""
    return search_with(ExhaustiveSearch(space), maximum_point, errors, latencies, **options)


def random_search(
    space: SearchSpace,
    maximum_point: Architecture,
    errors: ErrorModel,
    latencies: LatencyModel,
    *,
    count: int,
    generator: np.random.Generator,
    **options: Any,
) -> SearchResult:
    """Run `search_with` on a `RandomSearch`; `options` are passed on to it."""
    strategy = RandomSearch(space, count, generator)
    return search_with(strategy, maximum_point, errors, latencies, **options)
