"""Optimal subarchitecture extraction: which `<D, A, H, I>` is small, fast and close to its teacher.

Pure Python and NumPy: networks come in behind `ErrorModel` and `LatencyModel`.

Source: arXiv 2010.08512 (the scheme), arXiv 2010.10499 (its use).
"""

from bort.search.fptas import exhaustive, fptas, random_search
from bort.search.ranking import RankedCandidate, SearchResult, rank_candidates
from bort.search.space import PAPER_SPACE, SearchSpace, read_space
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
    "ErrorModel",
    "Hyperparameters",
    "LatencyModel",
    "MultiplyAddLatency",
    "RankedCandidate",
    "SearchResult",
    "SearchSpace",
    "Trial",
    "exhaustive",
    "fptas",
    "random_search",
    "rank_candidates",
    "read_space",
    "w_coefficient",
]
