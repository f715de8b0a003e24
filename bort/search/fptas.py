"""The approximation scheme, exhaustive and random search: which candidates are looked at.

All three share a signature and differ in nothing but the candidates they measure; `ranking` turns
measurements into W-coefficients.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Sequence

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.search.ranking import SearchResult, rank_candidates
from bort.search.space import SearchSpace
from bort.search.surrogates import ErrorModel, Hyperparameters, LatencyModel, Trial, check_error

OnTrial = Callable[[int, int, Trial, float], None]
"""Called after each trial with trials done, trials in all, the trial and its error."""


def sort_by_parameters(architectures: Sequence[Architecture]) -> List[Architecture]:
    """Ascending by parameter count, ties by D, A, H, I.

    Heads never change the count, so ties are the rule. The order of ties is our choice: the paper
    states none.
    """
    return sorted(
        architectures,
        key=lambda a: (a.parameter_count(), a.depth, a.heads, a.hidden, a.intermediate),
    )


def choose_every_nth(space: SearchSpace, epsilon: int) -> List[Architecture]:
    """Every ε-th candidate of the space sorted by parameter count, from the first.

    Starting from the first is our choice; the smallest candidate is always looked at, the largest
    only if ε divides the number of candidates less one.

    Args:
        space: Ξ.
        epsilon: ε, the interval size, 1 to the number of candidates.

    Raises:
        InputError: for ε out of range.

    >>> from bort.search.space import PAPER_SPACE
    >>> len(choose_every_nth(PAPER_SPACE, 6))
    50
    """
    candidates = sort_by_parameters(space.candidates())
    if isinstance(epsilon, bool) or not isinstance(epsilon, int):
        raise InputError(f"epsilon is {epsilon!r}, allowed is an integer")
    if not 1 <= epsilon <= len(candidates):
        raise InputError(f"epsilon is {epsilon}, allowed is 1 to {len(candidates)} candidates")
    return candidates[::epsilon]


def choose_random(
    space: SearchSpace, count: int, generator: np.random.Generator
) -> List[Architecture]:
    """`count` different candidates drawn evenly, in the order of the scheme."""
    return sort_by_parameters(space.sample(count, generator))


def plan_trials(
    architectures: Sequence[Architecture],
    hyperparameters: Sequence[Hyperparameters],
    seeds: Sequence[int] = (0,),
) -> List[Trial]:
    """The loops of Algorithm 1 written out: θ in Θ, then candidates, then (ours) seeds.

    Raises:
        InputError: without a θ or a seed, or with one given twice.
    """
    if not hyperparameters or not seeds:
        raise InputError("a search needs at least one set of hyperparameters and one seed")
    if len(set(hyperparameters)) != len(hyperparameters) or len(set(seeds)) != len(seeds):
        raise InputError("hyperparameter sets and seeds must differ from each other")
    return [
        Trial(architecture, theta, seed)
        for theta in hyperparameters
        for architecture in architectures
        for seed in seeds
    ]


def fptas(
    space: SearchSpace,
    maximum_point: Architecture,
    errors: ErrorModel,
    latencies: LatencyModel,
    *,
    epsilon: int = 6,
    hyperparameters: Sequence[Hyperparameters] = (Hyperparameters(),),
    seeds: Sequence[int] = (0,),
    on_trial: Optional[OnTrial] = None,
) -> SearchResult:
    """Optimal subarchitecture extraction by the approximation scheme.

    Sort Ξ by parameter count, take every ε-th candidate, train each for s steps with every θ in Θ,
    return the argmax of W with respect to T.

    Where neighbouring W along the sort differ by at most L, the result is at most L(ε − 1) below
    the best W of the space: the best candidate is at most ε − 1 places behind one that is measured.

    Source: arXiv 2010.08512, algorithm 1; arXiv 2010.10499, section 3. Choices of ours: the order
    of ties (`sort_by_parameters`), the first interval (`choose_every_nth`), equal W (the smaller
    candidate first, see `rank_candidates`), several seeds a trial (the mean of their errors),
    candidates that are not smaller than T have no W and are never returned.

    Args:
        space: Ξ.
        maximum_point: T; may lie outside of the space.
        errors: ê; the number of steps s is its affair.
        latencies: î, of the candidates and of T.
        epsilon: ε, the interval size; 1 looks at every candidate.
        hyperparameters: Θ.
        seeds: of initial weights; more than one gives W a spread.
        on_trial: see `OnTrial`.

    Returns:
        The candidates ranked by W, best first.

    Raises:
        InputError: for ε out of range, an empty Θ, or an error that is not above 0.
    """
    chosen = choose_every_nth(space, epsilon)
    return _measure(chosen, maximum_point, errors, latencies, hyperparameters, seeds, on_trial)


def exhaustive(
    space: SearchSpace,
    maximum_point: Architecture,
    errors: ErrorModel,
    latencies: LatencyModel,
    *,
    hyperparameters: Sequence[Hyperparameters] = (Hyperparameters(),),
    seeds: Sequence[int] = (0,),
    on_trial: Optional[OnTrial] = None,
) -> SearchResult:
    """The scheme with ε = 1: every candidate is measured."""
    chosen = choose_every_nth(space, 1)
    return _measure(chosen, maximum_point, errors, latencies, hyperparameters, seeds, on_trial)


def random_search(
    space: SearchSpace,
    maximum_point: Architecture,
    errors: ErrorModel,
    latencies: LatencyModel,
    *,
    count: int,
    generator: np.random.Generator,
    hyperparameters: Sequence[Hyperparameters] = (Hyperparameters(),),
    seeds: Sequence[int] = (0,),
    on_trial: Optional[OnTrial] = None,
) -> SearchResult:
    """`count` candidates drawn evenly: what the scheme must be compared with."""
    chosen = choose_random(space, count, generator)
    return _measure(chosen, maximum_point, errors, latencies, hyperparameters, seeds, on_trial)


def _measure(
    architectures: Sequence[Architecture],
    maximum_point: Architecture,
    errors: ErrorModel,
    latencies: LatencyModel,
    hyperparameters: Sequence[Hyperparameters],
    seeds: Sequence[int],
    on_trial: Optional[OnTrial],
) -> SearchResult:
    trials = plan_trials(architectures, hyperparameters, seeds)
    measured_latencies = {a: latencies.latency(a) for a in [*architectures, maximum_point]}
    measured: Dict[Trial, float] = {}
    for done, trial in enumerate(trials, start=1):
        measured[trial] = check_error(errors.error(trial), trial)
        if on_trial is not None:
            on_trial(done, len(trials), trial, measured[trial])
    return rank_candidates(measured, measured_latencies, maximum_point)
