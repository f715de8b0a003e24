"""Synthetic search instances with known parameters, latencies and errors."""

from __future__ import annotations

from typing import Callable, Dict, List, Sequence

import numpy as np

from bort.architecture import Architecture
from bort.search.ranking import MeasuredCandidate
from bort.search.space import SearchSpace
from bort.search.strategy import sort_by_parameters
from bort.search.surrogates import Trial
from bort.search.w_coefficient import smallness

MAXIMUM = Architecture(24, 16, 1024, 4096)


def line(count: int) -> SearchSpace:
    """Return a space in which no two candidates have the same parameter count."""
    return SearchSpace((2,), (2,), (64,), tuple(range(1, count + 1)))


class KnownLatency:
    """A latency model that returns given values, and multiply-adds for other architectures."""

    unit = "units"

    def __init__(self, values: Dict[Architecture, float]) -> None:
        self.values = values

    def latency(self, architecture: Architecture) -> float:
        return self.values.get(architecture, float(architecture.multiply_adds_per_token(1)))


class KnownError:
    """An error model that gives every candidate a chosen W and records the trials."""

    def __init__(
        self, w_of: Callable[[Architecture], float], latency: KnownLatency, maximum: Architecture
    ) -> None:
        self.w_of = w_of
        self.latency = latency
        self.maximum = maximum
        self.asked: List[Trial] = []

    def error(self, trial: Trial) -> float:
        self.asked.append(trial)
        architecture = trial.architecture
        size = smallness(
            architecture.parameter_count(),
            self.latency.latency(architecture),
            self.maximum.parameter_count(),
            self.latency.latency(self.maximum),
        )
        return size / self.w_of(architecture)


def planted(space: SearchSpace, values: List[float]) -> KnownError:
    """Return errors that give the candidates these W, in the order of the scheme."""
    order = sort_by_parameters(space.candidates())
    table = dict(zip(order, values))
    return KnownError(table.__getitem__, KnownLatency({}), MAXIMUM)


class Climber:
    """A strategy with several rounds: hill climbing on W from a random candidate."""

    def __init__(self, space: SearchSpace, generator: np.random.Generator) -> None:
        self.budget = len(space)
        self.rounds: List[List[Architecture]] = []
        self.told: List[Sequence[MeasuredCandidate]] = []
        self._space = space
        self._next = space.sample(2, generator)
        self._w: Dict[Architecture, float] = {}

    def ask(self) -> List[Architecture]:
        if self._next:
            self.rounds.append(self._next)
        return self._next

    def tell(self, results: Sequence[MeasuredCandidate]) -> None:
        self.told.append(results)
        for row in results:
            self._w[row.architecture] = row.w or 0.0
        best = max(self._w, key=self._w.__getitem__)
        self._next = [a for a in self._space.neighbours(best) if a not in self._w]
