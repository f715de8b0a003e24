"""Search strategies: objects that propose candidates and receive their measurements."""

from __future__ import annotations

from typing import Callable, Dict, List, Protocol, Sequence

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.search.config import SearchConfig
from bort.search.ranking import MeasuredCandidate
from bort.search.space import SearchSpace


class SearchStrategy(Protocol):
    """A strategy that chooses the candidates of a search, in one or more rounds.

    `ask` and `tell` are called in turn until `ask` returns no candidate. A strategy is
    deterministic: it draws only from the generator that it was given, so the same results always
    lead to the same candidates. This keeps ranks in step, since each rank runs its own strategy.
    It also lets a search resume: the strategy receives the stored results again, round by round.

    Attributes:
        budget: the largest number of candidates that the strategy asks for in total.
    """

    budget: int

    def ask(self) -> Sequence[Architecture]:
        """Return the candidates of the next round, all of them new; empty at the end."""

    def tell(self, results: Sequence[MeasuredCandidate]) -> None:
        """Receive the results of the last round, one for each candidate and θ."""


class OneRound:
    """A strategy that asks for a fixed list of candidates in one round.

    Args:
        candidates: the candidates, in the order in which they are asked for.
    """

    def __init__(self, candidates: Sequence[Architecture]) -> None:
        self._left = list(candidates)
        self.budget = len(self._left)

    def ask(self) -> Sequence[Architecture]:
        """Return the whole list the first time, then nothing."""
        candidates, self._left = self._left, []
        return candidates

    def tell(self, results: Sequence[MeasuredCandidate]) -> None:
        """Ignore the results: the candidates do not depend on them."""


class ApproximationScheme(OneRound):
    """Every ε-th candidate of the space sorted by parameter count, from the first.

    The best candidate of the space is at most ε − 1 places behind a measured one. So if the W of
    neighbours in that order differ by at most L, the best measured W is at most L(ε − 1) below the
    best W of the space.

    Source: arXiv 2010.08512, algorithm 1; arXiv 2010.10499, section 3. Our choices: the order of
    ties (`sort_by_parameters`) and the start. The scheme starts from the first candidate, so it
    always measures the smallest one. It measures the largest one only if ε divides the number of
    candidates minus one.

    Args:
        space: Ξ.
        epsilon: ε, the interval size, from 1 to the number of candidates.

    Raises:
        InputError: ε is out of range.

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


class RandomSearch(OneRound):
    """Different candidates drawn uniformly from the space: a baseline for other strategies.

    Args:
        space: Ξ.
        count: number of candidates, from 1 to the size of the space.
        generator: random generator of the draw.

    Raises:
        InputError: the count is out of range.
    """

    def __init__(self, space: SearchSpace, count: int, generator: np.random.Generator) -> None:
        super().__init__(sort_by_parameters(space.sample(count, generator)))


def sort_by_parameters(architectures: Sequence[Architecture]) -> List[Architecture]:
    """Return architectures in ascending order of parameter count, ties by D, A, H, I.

    Ties are common, because the number of heads does not change the count. The order of ties is
    our choice; the paper states none.
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
    """Return a new instance of the strategy that the settings name.

    Raises:
        InputError: a setting of the strategy does not fit the space.
    """
    return _STRATEGIES[config.strategy](config, space)
