"""The result of a search under a limit: ranked candidates, Pareto fronts, the pick."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from bort.architecture import Architecture
from bort.search.limit import LATENCY, Limit
from bort.search.ranking import pareto_front
from bort.search.w_coefficient import rank_correlation

_NORMAL_QUANTILE = 1.959963984540054
_LEAST_COUNT_OF_AN_INTERVAL = 5


@dataclass(frozen=True)
class LimitedCandidate:
    """A candidate of a search under a limit.

    Attributes:
        architecture: sizes.
        parameters: number of parameters of the encoder.
        multiply_adds: multiply-adds of one sequence.
        predicted_seconds: predicted latency of one sequence; None without a predictor.
        measured_seconds: latency measured in a fresh process; None if it was not measured.
        error: error on held-out data, lower is better; None with a strategy that measures none.
        error_spread: standard deviation of the error over seeds; None with one seed.
        on_front: whether no other candidate has both a lower latency and a lower error (is at most
            as high in both, and lower in one).
        on_size_front: the same with parameters in the place of the latency.
    """

    architecture: Architecture
    parameters: int
    multiply_adds: int
    predicted_seconds: Optional[float]
    measured_seconds: Optional[float] = None
    error: Optional[float] = None
    error_spread: Optional[float] = None
    on_front: bool = False
    on_size_front: bool = False

    @property
    def seconds(self) -> Optional[float]:
        """The measured latency, or the predicted one if it was not measured."""
        return self.predicted_seconds if self.measured_seconds is None else self.measured_seconds

    def as_dict(self) -> Dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return {**vars(self), "architecture": self.architecture.as_dict()}


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation with its interval of 95 %.

    Attributes:
        value: the correlation, -1 to 1.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, first: Sequence[float], second: Sequence[float]) -> Optional[Correlation]:
        """Return the correlation of two sequences; None if it is not defined or of few numbers.

        The interval is that of Fisher's transformation with the variance (1 + r²/2)/(n − 3).

        Source: D. G. Bonett and T. A. Wright, Sample size requirements for estimating Pearson,
        Kendall and Spearman correlations, Psychometrika 65, 2000.
        """
        value = rank_correlation(first, second)
        if value is None or len(first) < _LEAST_COUNT_OF_AN_INTERVAL:
            return None
        inside = max(-1 + 1e-12, min(1 - 1e-12, value))
        half = _NORMAL_QUANTILE * math.sqrt((1 + inside**2 / 2) / (len(first) - 3))
        centre = math.atanh(inside)
        return cls(value, math.tanh(centre - half), math.tanh(centre + half))


@dataclass(frozen=True)
class LimitedResult:
    """The result of a search under a limit.

    Attributes:
        limit: the limit.
        strategy: name of the strategy.
        error_name: what the error is.
        ranking: candidates, the best first.
        best: the best candidate that keeps the limit by measurement; None if none does.
        nearest: without `best`, the measured candidate with the lowest latency.
        reference: the teacher or the whole super-network.
        prior: the candidate that a search without training takes, with its error; None if it was
            not evaluated.
        correlations: Spearman's correlation of the error with `parameters`, `multiply_adds` and
            `predicted_seconds`, which need no training.
        noise: standard error of a candidate's error on this held-out data; None if not known.
        space_size: number of architectures of the space.
        band_size: number of them in the band of the limit.
        notes: what the strategy has to say, line by line.
    """

    limit: Limit
    strategy: str
    error_name: str
    ranking: Tuple[LimitedCandidate, ...]
    best: Optional[LimitedCandidate]
    nearest: Optional[LimitedCandidate]
    reference: Optional[LimitedCandidate]
    prior: Optional[LimitedCandidate]
    correlations: Mapping[str, Correlation]
    noise: Optional[float]
    space_size: int
    band_size: int
    notes: Tuple[str, ...] = ()

    @property
    def front(self) -> List[LimitedCandidate]:
        """The candidates on the Pareto front of latency and error, by rising latency."""
        rows = [row for row in self.ranking if row.on_front]
        return sorted(rows, key=lambda row: row.predicted_seconds or 0.0)

    @property
    def errors_are_noise(self) -> bool:
        """Whether the errors of the candidates differ by no more than the held-out data tell."""
        errors = [row.error for row in self.ranking if row.error is not None]
        if self.noise is None or len(errors) < 2:
            return False
        mean = math.fsum(errors) / len(errors)
        spread = math.sqrt(math.fsum((e - mean) ** 2 for e in errors) / (len(errors) - 1))
        return spread <= self.noise

    def is_smallest(self, row: LimitedCandidate) -> bool:
        """Return whether no candidate of the ranking has fewer parameters."""
        return all(row.parameters <= other.parameters for other in self.ranking)

    def is_largest(self, row: LimitedCandidate) -> bool:
        """Return whether no candidate of the ranking has more parameters."""
        return all(row.parameters >= other.parameters for other in self.ranking)

    def as_dict(self) -> Dict[str, Any]:
        """Return the ranking and the summary as JSON-ready values."""
        return {"ranking": [row.as_dict() for row in self.ranking], **self.summary()}

    def summary(self) -> Dict[str, Any]:
        """Return the result without the ranking as JSON-ready values."""
        rows = {
            name: None if row is None else row.as_dict()
            for name, row in (
                ("best", self.best),
                ("nearest", self.nearest),
                ("reference", self.reference),
                ("prior", self.prior),
            )
        }
        return {
            **rows,
            "best_is_smallest": self.best is not None and self.is_smallest(self.best),
            "limit": {"kind": self.limit.kind, "most": self.limit.most, "unit": self.limit.unit},
            "speed_up": self.speed_up(self.best),
            "strategy": self.strategy,
            "error": self.error_name,
            "noise": self.noise,
            "correlations": {name: vars(one) for name, one in self.correlations.items()},
            "space_size": self.space_size,
            "band_size": self.band_size,
            "notes": list(self.notes),
        }

    def speed_up(self, row: Optional[LimitedCandidate]) -> Optional[float]:
        """Return the latency of the reference divided by that of a candidate, if both are known."""
        if row is None or self.reference is None:
            return None
        own, other = row.seconds, self.reference.seconds
        return None if own is None or other is None else other / own


def ranked(rows: Sequence[LimitedCandidate]) -> List[LimitedCandidate]:
    """Return candidates by rising error, with their places on the fronts.

    Ties are broken by latency, parameters, D, A, H, I. Without errors the order stays.

    Args:
        rows: the candidates; all of them have an error, or none.
    """
    if any(row.error is None for row in rows):
        return list(rows)
    errors = [row.error or 0.0 for row in rows]
    times = [row.predicted_seconds for row in rows]
    fast = [False] * len(rows)
    if None not in times:
        fast = pareto_front([(time or 0.0, error) for time, error in zip(times, errors)])
    small = pareto_front([(row.parameters, error) for row, error in zip(rows, errors)])
    placed = [
        dataclasses.replace(row, on_front=one, on_size_front=other)
        for row, one, other in zip(rows, fast, small)
    ]
    return sorted(
        placed,
        key=lambda row: (
            row.error or 0.0,
            row.predicted_seconds or 0.0,
            row.parameters,
            row.architecture,
        ),
    )


def free_correlations(rows: Sequence[LimitedCandidate]) -> Dict[str, Correlation]:
    """Return the correlations of the errors with numbers that need no training.

    Args:
        rows: the candidates.
    """
    found = {}
    for name in ("parameters", "multiply_adds", "predicted_seconds"):
        errors = [row.error for row in rows if row.error is not None]
        values = [getattr(row, name) for row in rows if getattr(row, name) is not None]
        if not len(errors) == len(values) == len(rows):
            continue
        one = Correlation.of(errors, [float(value) for value in values])
        if one is not None:
            found[name] = one
    return found


def keeps(limit: Limit, row: LimitedCandidate) -> bool:
    """Return whether a candidate keeps a limit: by its measured latency, or its parameters."""
    if limit.kind == LATENCY:
        return row.measured_seconds is not None and limit.holds(row.measured_seconds)
    return limit.holds(row.parameters)
