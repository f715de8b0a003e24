"""The ranking of measured candidates by W, and the result of a search."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.search.surrogates import Hyperparameters, Trial
from bort.search.w_coefficient import rank_correlation, smallness, w_coefficient


@dataclass(frozen=True)
class MeasuredCandidate:
    """Measurements of a candidate with one θ.

    Attributes:
        architecture: f.
        hyperparameters: θ.
        parameters: p(f).
        latency: i(f), in the unit of the search.
        error: ê(f, θ), the mean over seeds.
        error_spread: sample standard deviation of ê over seeds; None with one seed.
        w: W(f, T), computed from the mean error; None where W is not defined.
        w_spread: sample standard deviation of W over seeds; None with one seed or without W.
    """

    architecture: Architecture
    hyperparameters: Hyperparameters
    parameters: int
    latency: float
    error: float
    error_spread: Optional[float]
    w: Optional[float]
    w_spread: Optional[float]

    def as_dict(self) -> Dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return {
            "architecture": self.architecture.as_dict(),
            "hyperparameters": self.hyperparameters.as_dict(),
            "parameters": self.parameters,
            "latency": self.latency,
            "error": self.error,
            "error_spread": self.error_spread,
            "w": self.w,
            "w_spread": self.w_spread,
        }


@dataclass(frozen=True)
class RankedCandidate(MeasuredCandidate):
    """A measured candidate, with its place on the Pareto front.

    Attributes:
        on_front: whether no other candidate is at least as small, fast and close to T, and better
            in one of the three.
    """

    on_front: bool

    def as_dict(self) -> Dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return {**super().as_dict(), "on_front": self.on_front}


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    Attributes:
        ranking: candidates, best W first; those without a W come last, by parameter count.
        maximum_point: T.
        maximum_parameters: p(T).
        maximum_latency: i(T).
        size_correlation: Spearman's rank correlation of W with (1 − p)(1 − i), the part of W that
            needs no training. Near 1 the error surrogate had no influence. None if not defined.
    """

    ranking: Tuple[RankedCandidate, ...]
    maximum_point: Architecture
    maximum_parameters: int
    maximum_latency: float
    size_correlation: Optional[float]

    @property
    def best(self) -> Optional[RankedCandidate]:
        """The candidate with the highest W; None if no candidate has a W."""
        first = self.ranking[0] if self.ranking else None
        return first if first is not None and first.w is not None else None

    @property
    def best_is_smallest(self) -> bool:
        """Whether the best candidate also has the largest (1 − p)(1 − i): size alone decided."""
        best = self.best
        return (
            best is not None
            and best.w is not None
            and all(self.smallness_of(row) <= self.smallness_of(best) for row in self.ranking)
        )

    def smallness_of(self, row: RankedCandidate) -> float:
        """Return (1 − p/p(T)) · (1 − i/i(T)) of a row; 0 if a factor is not positive."""
        if row.parameters >= self.maximum_parameters or row.latency >= self.maximum_latency:
            return 0.0
        return smallness(row.parameters, row.latency, self.maximum_parameters, self.maximum_latency)

    def as_dict(self) -> Dict[str, Any]:
        """Return the ranking and the summary as JSON-ready values."""
        return {"ranking": [row.as_dict() for row in self.ranking], **self.summary()}

    def summary(self) -> Dict[str, Any]:
        """Return the result without the ranking as JSON-ready values."""
        return {
            "best": None if self.best is None else self.best.as_dict(),
            "best_is_smallest": self.best_is_smallest,
            "size_correlation": self.size_correlation,
            "maximum_point": {
                "architecture": self.maximum_point.as_dict(),
                "parameters": self.maximum_parameters,
                "latency": self.maximum_latency,
            },
        }


def measured_candidates(
    errors: Mapping[Trial, float],
    latencies: Mapping[Architecture, float],
    maximum_point: Optional[Architecture],
) -> List[MeasuredCandidate]:
    """Return W of every measured (candidate, θ), in the order of their first trial in `errors`.

    Args:
        errors: ê of every trial; trials that differ only in the seed are averaged.
        latencies: î of every candidate and of `maximum_point`.
        maximum_point: T; None for candidates without a W.

    Raises:
        InputError: when a latency is missing.
    """
    grouped: Dict[Tuple[Architecture, Hyperparameters], List[float]] = {}
    for trial, error in errors.items():
        grouped.setdefault((trial.architecture, trial.hyperparameters), []).append(error)
    for architecture in [*(key[0] for key in grouped), maximum_point]:
        if architecture is not None and architecture not in latencies:
            raise InputError(f"the latency of {architecture} was not measured")
    maximum = None
    if maximum_point is not None:
        maximum = (maximum_point.parameter_count(), latencies[maximum_point])
    found = []
    for (architecture, theta), values in grouped.items():
        point = (architecture.parameter_count(), latencies[architecture], float(np.mean(values)))
        defined = None if maximum is None else w_coefficient(*point, *maximum)
        w_spread = None
        if maximum is not None and defined is not None:
            w_spread = _spread([_w(point, value, maximum) for value in values])
        found.append(
            MeasuredCandidate(architecture, theta, *point, _spread(values), defined, w_spread)
        )
    return found


def rank_candidates(
    errors: Mapping[Trial, float],
    latencies: Mapping[Architecture, float],
    maximum_point: Architecture,
) -> SearchResult:
    """Return the measured candidates ranked by W; arguments as in `measured_candidates`.

    Ties are broken by parameter count, latency, D, A, H, I, and then by the order of Θ.

    Raises:
        InputError: when a latency is missing.
    """
    measured = measured_candidates(errors, latencies, maximum_point)
    maximum = (maximum_point.parameter_count(), latencies[maximum_point])
    front = pareto_front([(row.parameters, row.latency, row.error) for row in measured])
    rows = [RankedCandidate(**vars(row), on_front=on) for row, on in zip(measured, front)]
    order = {theta: n for n, theta in enumerate(dict.fromkeys(r.hyperparameters for r in rows))}
    rows.sort(
        key=lambda row: (
            math.inf if row.w is None else -row.w,
            row.parameters,
            row.latency,
            row.architecture,
            order[row.hyperparameters],
        )
    )
    with_w = [row for row in rows if row.w is not None]
    correlation = rank_correlation(
        [row.w for row in with_w if row.w is not None],
        [smallness(row.parameters, row.latency, *maximum) for row in with_w],
    )
    return SearchResult(tuple(rows), maximum_point, maximum[0], maximum[1], correlation)


def pareto_front(points: Sequence[Tuple[float, ...]]) -> List[bool]:
    """Return for each point whether it is on the Pareto front (lower is better).

    A point is on the front if no other point is at most as high in every number and lower in one.

    >>> pareto_front([(1, 5), (2, 3), (3, 4)])
    [True, True, False]
    """
    if not points:
        return []
    table = np.asarray(points, dtype=np.float64)
    return [
        not bool(np.any(np.all(table <= row, axis=1) & np.any(table < row, axis=1)))
        for row in table
    ]


def _w(point: Tuple[float, float, float], error: float, maximum: Tuple[int, float]) -> float:
    value = w_coefficient(point[0], point[1], error, *maximum)
    assert value is not None
    return value


def _spread(values: Sequence[float]) -> Optional[float]:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None
