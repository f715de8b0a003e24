"""Optimal subarchitecture extraction: the search for an architecture `<D, A, H, I>`.

The search looks for a candidate that is small, fast and close to its teacher. This package is pure
Python and NumPy; it reaches networks through the protocols `ErrorModel` and `LatencyModel`.

Source: arXiv 2010.08512 (the scheme), arXiv 2010.10499 (its use).
"""

from bort.search.driver import exhaustive, fptas, random_search, search_with
from bort.search.ranking import (
    MeasuredCandidate,
    RankedCandidate,
    SearchResult,
    rank_candidates,
)
from bort.search.space import PAPER_SPACE, SearchSpace, read_space
from bort.search.strategy import (
    ApproximationScheme,
    ExhaustiveSearch,
    RandomSearch,
    SearchStrategy,
)
from bort.search.surrogates import (
    ErrorModel,
    Hyperparameters,
    LatencyModel,
    MultiplyAddLatency,
    Trial,
)
from bort.search.w_coefficient import w_coefficient

__all__ = [
    "PAPER_SPACE",
    "ApproximationScheme",
    "ErrorModel",
    "ExhaustiveSearch",
    "Hyperparameters",
    "LatencyModel",
    "MeasuredCandidate",
    "MultiplyAddLatency",
    "RandomSearch",
    "RankedCandidate",
    "SearchResult",
    "SearchSpace",
    "SearchStrategy",
    "Trial",
    "exhaustive",
    "fptas",
    "random_search",
    "rank_candidates",
    "read_space",
    "search_with",
    "w_coefficient",
]
