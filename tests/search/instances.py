"""Synthetic instances of the search: parameters, latency and error are known in advance."""

from __future__ import annotations

from typing import Callable, Dict, List

from bort.architecture import Architecture
from bort.search.fptas import sort_by_parameters
from bort.search.space import SearchSpace
from bort.search.surrogates import Trial
from bort.search.w_coefficient import smallness

MAXIMUM = Architecture(24, 16, 1024, 4096)


def line(count: int) -> SearchSpace:
    """A space in which every candidate has a parameter count of its own."""
    return SearchSpace((2,), (2,), (64,), tuple(range(1, count + 1)))


class KnownLatency:
    """The multiply-adds of the architecture, or what it is told."""

    unit = "units"

    def __init__(self, values: Dict[Architecture, float]) -> None:
        self.values = values

    def latency(self, architecture: Architecture) -> float:
        return self.values.get(architecture, float(architecture.multiply_adds_per_token(1)))


class KnownError:
    """The error that gives every candidate the W that it is told; remembers what it was asked."""

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
    """Errors that give the candidates, in the order of the scheme, these W."""
    order = sort_by_parameters(space.candidates())
    table = dict(zip(order, values))
    return KnownError(table.__getitem__, KnownLatency({}), MAXIMUM)
