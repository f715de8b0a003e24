"""Strategies of a search under a limit: they choose among the rows of a grid in the limit's band.

All of them keep the protocol `SearchStrategy`. `EvolvedSearch` is in `bort.search.evolved_search`.
"""

from __future__ import annotations

import dataclasses
from typing import Callable, Dict, List, Mapping, Optional, Sequence

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.search.evolved_search import EvolvedSearch
from bort.search.grid import CandidateGrid
from bort.search.strategy import OneRound, SearchStrategy
from bort.settings.config import Config, setting

LIMITED_STRATEGIES = ("fptas", "exhaustive", "random", "fast", "evolved", "prior")
PRIORS = ("parameters", "multiply_adds")

FAST_INTERMEDIATE = (16, 19)
"""Least and largest I / H of the fast filter, in tenths."""

FAST_QKV = (7, 10)
"""Least and largest Q / H of the fast filter, in tenths."""


@dataclasses.dataclass(frozen=True)
class StrategyOptions(Config):
    """Settings of the strategies under a limit; the defaults are those of AutoTinyBERT's code.

    Our choices are ε, the number of generations and the prior.
    """

    strategy: str = setting(
        "evolved", "strategy that chooses among the candidates", choices=LIMITED_STRATEGIES
    )
    epsilon: int = setting(
        6, "interval of fptas: it evaluates every epsilon-th candidate by size", minimum=1
    )
    random_count: int = setting(
        25, "number of candidates of random, fast and prior", minimum=1, maximum=1_000_000
    )
    generations: int = setting(8, "number of generations of evolved", minimum=1, maximum=10_000)
    generation_size: int = setting(
        25, "candidates in a generation of evolved", minimum=1, maximum=100_000
    )
    prior: str = setting("parameters", "the number that prior takes the largest of", choices=PRIORS)
    seed: int = setting(0, "seed of random, fast and evolved", minimum=0)


class _Rows(OneRound):
    """A strategy of one round over rows of a grid.

    Attributes:
        notes: what a user should know about the candidates.
    """

    def __init__(self, grid: CandidateGrid, rows: np.ndarray) -> None:
        super().__init__(grid.architectures(rows))
        self.notes: List[str] = []


class LimitedScheme(_Rows):
    """Every ε-th candidate of the band by size, from the smallest.

    Source: arXiv 2010.08512, algorithm 1; see `bort.search.strategy.ApproximationScheme`.

    Args:
        grid: the space.
        allowed: (m,) rows of the candidates in the band.
        epsilon: ε, at least 1. A value above m evaluates the smallest candidate only.
    """

    def __init__(self, grid: CandidateGrid, allowed: np.ndarray, epsilon: int) -> None:
        if isinstance(epsilon, bool) or not isinstance(epsilon, int) or epsilon < 1:
            raise InputError(f"epsilon is {epsilon!r}, allowed is an integer of at least 1")
        super().__init__(grid, sort_rows(grid, allowed)[::epsilon])


class LimitedExhaustive(LimitedScheme):
    """Every candidate of the band, by size.

    Args:
        grid: the space.
        allowed: (m,) rows of the candidates in the band.
    """

    def __init__(self, grid: CandidateGrid, allowed: np.ndarray) -> None:
        super().__init__(grid, allowed, 1)


class LimitedRandom(_Rows):
    """Different candidates of the band, drawn uniformly; all of them if there are no more.

    Source: method Random of arXiv 2107.13686's code, which fails with fewer than 25 candidates.

    Args:
        grid: the space.
        allowed: (m,) rows of the candidates in the band.
        count: number of candidates, at least 1.
        generator: random generator of the draw.
    """

    def __init__(
        self,
        grid: CandidateGrid,
        allowed: np.ndarray,
        count: int,
        generator: np.random.Generator,
    ) -> None:
        if count < 1:
            raise InputError(f"random_count is {count}, allowed is at least 1")
        drawn = np.asarray(allowed)[generator.permutation(len(allowed))[:count]]
        super().__init__(grid, sort_rows(grid, drawn))
        if len(drawn) < count:
            self.notes.append(_fewer(len(drawn), count))


class FastSearch(LimitedRandom):
    """Different candidates of the band with common ratios of their sizes, drawn uniformly.

    The ratios are 1.6 H ≤ I ≤ 1.9 H and 0.7 H ≤ Q ≤ H.

    Source: method Fast of arXiv 2107.13686's code.

    Args:
        grid: the space.
        allowed: (m,) rows of the candidates in the band.
        count: number of candidates, at least 1.
        generator: random generator of the draw.

    Raises:
        InputError: no candidate of the band has these ratios.
    """

    def __init__(
        self,
        grid: CandidateGrid,
        allowed: np.ndarray,
        count: int,
        generator: np.random.Generator,
    ) -> None:
        fitting = np.asarray(allowed)[has_fast_ratios(grid.sizes_at(allowed))]
        if len(allowed) and not len(fitting):
            raise InputError(
                f"strategy is 'fast', but none of the {len(allowed)} candidates of the band has "
                "1.6 to 1.9 times hidden as intermediate and 0.7 to 1 times hidden as qkv; "
                "evolved and random have no such rule"
            )
        super().__init__(grid, fitting, count, generator)


class PriorSearch(_Rows):
    """The largest candidates of the band: a search that needs no training at all.

    The candidates come largest first, so the first one is the pick of a search without errors.

    Source: arXiv 2203.02094, in which the number of decoder parameters ranks architectures about as
    well as training does.

    Args:
        grid: the space.
        allowed: (m,) rows of the candidates in the band.
        count: number of candidates, at least 1.
        by: `parameters` (without the embeddings, which buy little at equal latency) or
            `multiply_adds`.
        length: tokens per sequence, for the multiply-adds.
    """

    def __init__(
        self,
        grid: CandidateGrid,
        allowed: np.ndarray,
        count: int = 1,
        *,
        by: str = "parameters",
        length: int = 128,
    ) -> None:
        if by not in PRIORS:
            raise InputError(f"prior is {by!r}, allowed are {', '.join(PRIORS)}")
        if count < 1:
            raise InputError(f"random_count is {count}, allowed is at least 1")
        allowed = np.asarray(allowed)
        if by == "parameters":
            worth = grid.layer_parameter_counts(allowed)
        else:
            worth = grid.multiply_adds(length, allowed)
        # Among equals the one with more parameters in total comes first, then the later row.
        order = np.lexsort((allowed, grid.parameter_counts(allowed), worth))[::-1]
        super().__init__(grid, allowed[order[:count]])
        if len(allowed) < count:
            self.notes.append(_fewer(len(allowed), count))


def has_fast_ratios(sizes: np.ndarray) -> np.ndarray:
    """Return which sizes have the ratios of the fast filter, in exact arithmetic.

    Args:
        sizes: (m, 5) D, A, H, I, Q.

    Returns:
        (m,) bool.
    """
    _, _, hidden, intermediate, qkv = np.asarray(sizes, dtype=np.int64).T
    (least, most), (narrow, wide) = FAST_INTERMEDIATE, FAST_QKV
    fits = (least * hidden <= 10 * intermediate) & (10 * intermediate <= most * hidden)
    return np.asarray(fits & (narrow * hidden <= 10 * qkv) & (10 * qkv <= wide * hidden))


def sort_rows(grid: CandidateGrid, rows: np.ndarray) -> np.ndarray:
    """Return rows in ascending order of parameter count, ties by D, A, H, I, Q.

    Args:
        grid: the space.
        rows: (m,) rows.
    """
    rows = np.asarray(rows, dtype=np.int64)
    order = np.lexsort((*grid.sizes_at(rows).T[::-1], grid.parameter_counts(rows)))
    return np.asarray(rows[order])


_Builder = Callable[[StrategyOptions, CandidateGrid, np.ndarray, int], SearchStrategy]


def _generator(options: StrategyOptions) -> np.random.Generator:
    return np.random.default_rng(options.seed)


_BUILDERS: Dict[str, _Builder] = {
    "fptas": lambda o, grid, rows, length: LimitedScheme(grid, rows, o.epsilon),
    "exhaustive": lambda o, grid, rows, length: LimitedExhaustive(grid, rows),
    "random": lambda o, grid, rows, length: LimitedRandom(
        grid, rows, o.random_count, _generator(o)
    ),
    "fast": lambda o, grid, rows, length: FastSearch(grid, rows, o.random_count, _generator(o)),
    "prior": lambda o, grid, rows, length: PriorSearch(
        grid, rows, o.random_count, by=o.prior, length=length
    ),
}


def build_limited_strategy(
    options: StrategyOptions,
    grid: CandidateGrid,
    allowed: np.ndarray,
    *,
    length: int = 128,
    known: Optional[Mapping[Architecture, float]] = None,
) -> SearchStrategy:
    """Return a new instance of the strategy that the settings name.

    Args:
        options: the strategy and its settings.
        grid: the space.
        allowed: (m,) rows of the candidates, such as those of `Limit.candidates`.
        length: tokens per sequence, for a prior by multiply-adds.
        known: errors of architectures that were evaluated before, the first parents of evolved,
            such as those of `bort.super_network.autotinybert.mean_errors`.

    Raises:
        InputError: there is no candidate, or a setting does not fit.
    """
    if not len(allowed):
        raise InputError("the band of the limit holds no candidate")
    if options.strategy == "evolved":
        return EvolvedSearch(
            grid,
            np.asarray(allowed),
            _generator(options),
            generations=options.generations,
            generation_size=options.generation_size,
            known=known,
        )
    return _BUILDERS[options.strategy](options, grid, np.asarray(allowed), length)


def notes_of(strategy: SearchStrategy) -> Sequence[str]:
    """Return what a strategy has to say to the user about its candidates, line by line."""
    notes: List[str] = getattr(strategy, "notes", [])
    return tuple(notes)


def _fewer(found: int, asked: int) -> str:
    return f"there are {found} candidates, fewer than the {asked} asked for: all are taken"
