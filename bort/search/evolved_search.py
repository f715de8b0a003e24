"""Evolutionary search among the candidates of a grid: mutated parents and random candidates."""

from __future__ import annotations

import math
from typing import Dict, List, Mapping, Optional, Protocol, Sequence, Tuple

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.search.grid import CandidateGrid

MUTATIONS: Tuple[Tuple[float, int], ...] = ((0.25, 1), (0.5, 1), (0.5, 2), (0.25, 2))
"""For depth, hidden, intermediate and attention: the probability of a move, and its largest number
of steps on the axis. A move is drawn uniformly from −steps to +steps, 0 included."""

RANDOM_SHARE = 0.5
"""Probability that a candidate is drawn at random, not from a parent."""

_DRAW, _DRAWS = 64, 16
"""Children in one draw from a parent, and the maximum number of draws."""


class ScoredCandidate(Protocol):
    """A measured candidate, as far as a strategy looks at it."""

    @property
    def architecture(self) -> Architecture:
        """The candidate."""

    @property
    def error(self) -> float:
        """Its error; lower is better."""


class EvolvedSearch:
    """Generations of candidates: random ones, and mutations of the best so far.

    Each candidate of a generation is, with probability 1/2, drawn uniformly from the band;
    otherwise a parent is drawn from the best evaluated ones (`roulette`) and mutated (`mutate`),
    always from the same parent, until the child is in the band and new.

    Source: method Evolved of arXiv 2107.13686's code. Its defects are repaired:

    - Its loops do not end when the band is empty or evaluated. Here a generation ends when no
      candidate is left, and a parent without a new child after 1024 mutations gives way to a random
      candidate; `notes` says so.
    - A parent that is not on the grid, or has 12 heads in the space of heads, crashes it. Here such
      a parent is mutated from the nearest values of the grid, and every value of an axis is
      reachable.
    - If all parents are equally good, it always takes the first one. Here they are equally likely.
    - It evaluates an architecture again if its text differs. Here an architecture is one value.
    - It makes one generation a call. Here `ask` makes the next one from what `tell` received.

    Args:
        grid: the space.
        allowed: (m,) rows of the candidates in the band.
        generator: random generator of all draws.
        generations: maximum number of generations, at least 1.
        generation_size: number of candidates in a generation, and maximum number of parents.
        known: errors of architectures that were evaluated before; they may lie off the grid or
            outside the band. They are parents, and are not evaluated again.

    Attributes:
        budget: the largest number of candidates that the search asks for.
        notes: how many candidates gave way to chance, and why the search ended early.
    """

    def __init__(
        self,
        grid: CandidateGrid,
        allowed: np.ndarray,
        generator: np.random.Generator,
        *,
        generations: int = 8,
        generation_size: int = 25,
        known: Optional[Mapping[Architecture, float]] = None,
    ) -> None:
        for name, value in (("generations", generations), ("generation_size", generation_size)):
            if value < 1:
                raise InputError(f"{name} is {value}, allowed is at least 1")
        self._grid = grid
        self._rows = np.unique(np.asarray(allowed, dtype=np.int64))
        self._open = np.ones(len(self._rows), dtype=bool)
        self._generator = generator
        self._left = generations
        self._size = generation_size
        self._errors: Dict[Architecture, float] = {}
        self._lengths = np.array([len(axis) for axis in grid.axes])
        self._asked = self._barren = 0
        for architecture, error in (known or {}).items():
            self._add(architecture, error)
        self.budget = min(generations * generation_size, int(self._open.sum()))

    @property
    def notes(self) -> List[str]:
        """Lines about the search for the user."""
        lines = []
        if self._barren:
            lines.append(
                f"{self._barren} of {self._asked} candidates were drawn at random instead, because "
                f"{_DRAW * _DRAWS} mutations of their parent gave no new candidate in the band"
            )
        if not self._open.any():
            lines.append(f"all {len(self._rows)} candidates of the band are evaluated")
        return lines

    def ask(self) -> Sequence[Architecture]:
        """Return the next generation; empty after the last one or when no candidate is left."""
        if not self._left:
            return ()
        self._left -= 1
        parents, worth = self._parents()
        chosen: List[int] = []
        while len(chosen) < self._size and self._open.any():  # every turn closes a candidate
            place = None
            if parents and self._generator.random() >= RANDOM_SHARE:
                parent = parents[int(roulette(worth, self._generator)[0])]
                place = self._child(self._grid.nearest_genes(parent))
                self._barren += place is None
            if place is None:
                places = np.flatnonzero(self._open)
                place = int(places[self._generator.integers(len(places))])
            self._open[place] = False
            chosen.append(int(self._rows[place]))
        self._asked += len(chosen)
        if not self._open.any():
            self._left = 0
        return self._grid.architectures(np.array(chosen, dtype=np.int64))

    def tell(self, results: Sequence[ScoredCandidate]) -> None:
        """Receive the results of the last generation; of several of a candidate the best counts."""
        for row in results:
            self._add(row.architecture, row.error)

    def _add(self, architecture: Architecture, error: float) -> None:
        if not math.isfinite(error):
            raise InputError(f"the error of {architecture} is {error!r}, allowed is finite")
        self._errors[architecture] = min(error, self._errors.get(architecture, np.inf))
        row = self._grid.index_of(architecture)
        place = None if row is None else self._place_of(row)
        if place is not None:
            self._open[place] = False

    def _parents(self) -> Tuple[List[Architecture], np.ndarray]:
        """Return the best evaluated architectures, best first, and their fitness."""
        best = sorted((error, architecture) for architecture, error in self._errors.items())
        best = best[: self._size]
        return [found for _, found in best], np.array([-error for error, _ in best])

    def _child(self, genes: np.ndarray) -> Optional[int]:
        """Return the place of the first mutation that is in the band and new; None without one."""
        for _ in range(_DRAWS):
            children = mutate(genes, self._lengths, self._generator, _DRAW)
            rows = self._grid.rows_of(children)
            places = np.minimum(np.searchsorted(self._rows, rows), len(self._rows) - 1)
            fitting = np.flatnonzero((self._rows[places] == rows) & self._open[places])
            if len(fitting):
                return int(places[fitting[0]])
        return None

    def _place_of(self, row: int) -> Optional[int]:
        place = int(np.searchsorted(self._rows, row))
        found = place < len(self._rows) and int(self._rows[place]) == row
        return place if found else None


def mutate(
    genes: np.ndarray, lengths: np.ndarray, generator: np.random.Generator, count: int = 1
) -> np.ndarray:
    """Return mutations of a parent.

    Each gene moves on its own: see `MUTATIONS`. A move that leaves the axis is dropped.

    Source: arXiv 2107.13686's code.

    Args:
        genes: (4,) places of the parent on the axes of depth, hidden, intermediate and attention.
        lengths: (4,) number of values of each axis.
        generator: source of the moves.
        count: number of mutations.

    Returns:
        (count, 4) int64.
    """
    children = np.tile(np.asarray(genes, dtype=np.int64), (count, 1))
    for gene, (probability, reach) in enumerate(MUTATIONS):
        moves = generator.random(count) < probability
        moved = children[:, gene] + generator.integers(-reach, reach + 1, count)
        inside = (moved >= 0) & (moved < lengths[gene])
        children[:, gene] = np.where(moves & inside, moved, children[:, gene])
    return children


def roulette(fitness: np.ndarray, generator: np.random.Generator, count: int = 1) -> np.ndarray:
    """Return parents, drawn with weights fitness − lowest fitness; uniformly if all are equal.

    Source: arXiv 2107.13686's code.

    Args:
        fitness: (n,) fitness; higher is better.
        generator: source of the draws.
        count: number of draws.

    Returns:
        (count,) int64: places in `fitness`.

    >>> roulette(np.array([3.0, 1.0, 1.0]), np.random.default_rng(0), 5)
    array([0, 0, 0, 0, 0])
    """
    weights = np.asarray(fitness, dtype=np.float64) - np.min(fitness)
    if not weights.any():
        return generator.integers(len(weights), size=count)
    sums = np.cumsum(weights)
    # The first sum above the point: a point of 0 cannot take a parent without weight.
    places = np.searchsorted(sums, generator.random(count) * sums[-1], side="right")
    return np.asarray(np.minimum(places, np.flatnonzero(weights)[-1]))
