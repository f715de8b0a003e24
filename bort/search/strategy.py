"""Search strategies: objects that are asked for candidates and told what was measured."""

from __future__ import annotations

from typing import Callable, Dict, List, Protocol, Sequence

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.search.config import SearchConfig
from bort.search.ranking import MeasuredCandidate
from bort.search.space import SearchSpace


class SearchStrategy(Protocol):
    """Chooses the candidates of a search, in one round or several.

    `ask` and `tell` are called in turn until `ask` returns no candidate. A strategy is
    deterministic: it draws only from a generator that it was given, so the same results always
    lead to the same questions. That keeps ranks in step, each of which asks a strategy of its own,
    and it lets a search resume: the kept results are told again, round by round.

    Attributes:
        budget: the most candidates that the strategy asks for in all.
    """

    budget: int

    def ask(self) -> Sequence[Architecture]:
        """Candidates of the next round, none of which was asked for before; empty at the end."""

    def tell(self, results: Sequence[MeasuredCandidate]) -> None:
        """Take the results of the last round, one for each candidate and θ."""


class _OneRound:
    """Asks for a fixed list of candidates."""

    def __init__(self, candidates: Sequence[Architecture]) -> None:
        self._left = list(candidates)
        self.budget = len(self._left)

    def ask(self) -> Sequence[Architecture]:
        """See `SearchStrategy`."""
        candidates, self._left = self._left, []
        return candidates

    def tell(self, results: Sequence[MeasuredCandidate]) -> None:
        """Ignore the results: no question depends on them."""


class ApproximationScheme(_OneRound):
    """Every ε-th candidate of the space sorted by parameter count, from the first.

    Where W of neighbours in that order differ by at most L, the best of these is at most L(ε − 1)
    below the best W of the space: the best candidate is at most ε − 1 places behind one that is
    measured.

    Source: arXiv 2010.08512, algorithm 1; arXiv 2010.10499, section 3. Choices of ours: the order
    of ties (`sort_by_parameters`) and the first interval. Starting from the first candidate always
    measures the smallest one; the largest is measured only if ε divides the number of candidates
    less one.

    Args:
        space: Ξ.
        epsilon: ε, the interval size, 1 to the number of candidates.

    Raises:
        InputError: for ε out of range.

    >>> from bort.search.space import PAPER_SPACE
    >>> len(ApproximationScheme(PAPER_SPACE, 6).ask())
    50
    """

    def __init__(self, space: SearchSpace, epsilon: int) -> None:
        candidates = sort_by_parameters(space.candidates())
        if isinstance(epsilon, bool) or not isinstance(epsilon, int):
            raise InputError(f"epsilon is {epsilon!r}, allowed is an integer")
        if not 1 <= epsilon <= len(candidates):
            raise InputError(f"epsilon is {epsilon}, allowed is 1 to {len(candidates)} candidates")
        super().__init__(candidates[::epsilon])


class ExhaustiveSearch(ApproximationScheme):
    """Every candidate of the space: the scheme with ε = 1.

    Args:
        space: Ξ.
    """

    def __init__(self, space: SearchSpace) -> None:
        super().__init__(space, 1)


class RandomSearch(_OneRound):
    """Different candidates drawn evenly from the space: the baseline of every other strategy.

    Args:
        space: Ξ.
        count: number of candidates, 1 to all of them.
        generator: source of the draw.

    Raises:
        InputError: for a count out of range.
    """

    def __init__(self, space: SearchSpace, count: int, generator: np.random.Generator) -> None:
        super().__init__(sort_by_parameters(space.sample(count, generator)))


def sort_by_parameters(architectures: Sequence[Architecture]) -> List[Architecture]:
    """Architectures in ascending order of parameter count, ties by D, A, H, I.

    Heads never change the count, so ties are the rule. The order of ties is our choice: the paper
    states none.
    """
    return sorted(
        architectures,
        key=lambda a: (a.parameter_count(), a.depth, a.heads, a.hidden, a.intermediate),
    )


_STRATEGIES: Dict[str, Callable[[SearchConfig, SearchSpace], SearchStrategy]] = {
    "fptas": lambda config, space: ApproximationScheme(space, config.epsilon),
    "exhaustive": lambda config, space: ExhaustiveSearch(space),
    "random": lambda config, space: RandomSearch(
        space, config.random_count, np.random.default_rng(config.seed)
    ),
}


def build_strategy(config: SearchConfig, space: SearchSpace) -> SearchStrategy:
    """The strategy that the settings name, ready to be asked.

    Raises:
        InputError: for a setting of the strategy that does not fit the space.
    """
    return _STRATEGIES[config.strategy](config, space)
