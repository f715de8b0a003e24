"""The course of a search under a limit: candidates by prediction, their errors, a measured pick."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.search.driver import Measure, run_rounds
from bort.search.grid import CandidateGrid
from bort.search.limit import LATENCY, Limit
from bort.search.limited import LimitedCandidate, keeps, ranked
from bort.search.limited_config import LimitedSearchConfig
from bort.search.limited_strategy import PriorSearch, build_limited_strategy, notes_of
from bort.search.ranking import MeasuredCandidate, measured_candidates
from bort.search.sizes import sizes_of
from bort.search.strategy import SearchStrategy
from bort.search.surrogates import Hyperparameters

PredictSeconds = Callable[[np.ndarray], np.ndarray]
"""Returns the predicted seconds a sequence, (n,), of sizes (n, 5)."""

TimeOne = Callable[[Architecture], Optional[float]]
"""Returns the seconds a sequence of an architecture, measured; None when a stop was requested."""


@dataclass(frozen=True)
class LimitedProblem:
    """The candidates of a search under a limit, and their costs.

    Attributes:
        grid: the space.
        limit: the limit.
        length: tokens of a sequence.
        predict: predicts latencies; None only with a limit of the parameters.
        only: rows of the grid that may be candidates; None for all.
    """

    grid: CandidateGrid
    limit: Limit
    length: int
    predict: Optional[PredictSeconds]
    only: Optional[Sequence[int]] = None

    @functools.cached_property
    def costs(self) -> np.ndarray:
        """The predicted cost of every architecture of the space: (n,)."""
        if self.limit.kind != LATENCY:
            return np.asarray(self.grid.parameter_counts())
        assert self.predict is not None, "a limit of the latency needs a predictor"
        return self.grid.costs(self.predict)

    @functools.cached_property
    def rows(self) -> np.ndarray:
        """The rows of the candidates: the architectures in the band of the limit.

        If the whole space costs less than the band, the band begins at the same share of the
        largest cost instead.

        Raises:
            InputError: no architecture is in the band; the message names the nearest.
        """
        chosen = np.arange(len(self.grid)) if self.only is None else np.unique(self.only)
        costs, limit = self.costs[chosen], self.limit
        if costs.max() < limit.least:
            return np.asarray(chosen[costs >= limit.band[0] * costs.max()])
        try:
            return np.asarray(chosen[limit.candidates(costs)])
        except InputError as error:
            row = chosen[limit.nearest(costs)]
            raise InputError(f"{error}: that of {self.grid.architecture(int(row))}") from error

    def candidate(self, architecture: Architecture) -> LimitedCandidate:
        """Return an architecture with its counts and its predicted latency."""
        seconds = None
        if self.predict is not None:
            seconds = float(self.predict(sizes_of([architecture]))[0])
        return LimitedCandidate(
            architecture,
            architecture.parameter_count(),
            architecture.multiply_adds(1, self.length),
            seconds,
        )


@dataclass(frozen=True)
class LimitedFindings:
    """The result of a search under a limit.

    Attributes:
        ranking: candidates, the best first.
        best: the pick; None if no measured candidate keeps the limit.
        nearest: without a pick, the measured candidate with the lowest latency.
        band_size: number of architectures in the band of the first search.
        notes: what the strategies have to say, line by line.
    """

    ranking: Tuple[LimitedCandidate, ...]
    best: Optional[LimitedCandidate]
    nearest: Optional[LimitedCandidate]
    band_size: int
    notes: Tuple[str, ...]


def search_under_limit(
    problem: LimitedProblem,
    config: LimitedSearchConfig,
    measure: Optional[Measure],
    time_one: Optional[TimeOne],
    *,
    hyperparameters: Sequence[Hyperparameters] = (Hyperparameters(),),
    seeds: Sequence[int] = (0,),
) -> Optional[LimitedFindings]:
    """Search the best architecture that keeps a limit.

    The candidates are the architectures whose predicted cost lies in the band of the limit. The
    strategy chooses among them, and they are ranked by their errors. Under a limit of the latency
    the best ones are measured, one after the other, until one keeps the limit. If none of
    `config.checks` candidates does, the predictions are multiplied by the median of measured over
    predicted latencies, and the strategy starts again among those that keep the limit then, at most
    `config.search_rounds` times; only candidates whose corrected prediction keeps it are measured.

    Args:
        problem: the space and the limit.
        config: strategy, number of checks and searches.
        measure: measures the errors of trials; None with the strategy `prior`, which ranks by size.
        time_one: measures a latency; None with a limit of the parameters.
        hyperparameters: Θ; of a candidate the best set counts.
        seeds: seeds of initial weights.

    Returns:
        The findings; None when a stop was requested.

    Raises:
        InputError: no architecture of the space is in the band; the message names the nearest.
    """
    rows = problem.rows
    band_size = len(rows)
    found: Dict[Architecture, LimitedCandidate] = {}
    measured: Dict[Architecture, float] = {}
    notes: List[str] = []
    ratio = 0.0  # the first search measures the best, whatever their predictions are
    for search in range(config.search_rounds):
        strategy = build_limited_strategy(
            config.candidates, problem.grid, rows, length=problem.length
        )
        evaluated = _evaluate(problem, strategy, measure, hyperparameters, seeds)
        notes += notes_of(strategy)
        if evaluated is None:
            return None
        found.update(evaluated)
        ranking = _with_times(ranked(list(found.values())), measured)
        if time_one is not None:
            likely = [row for row in ranking if ratio * _predicted(row) <= problem.limit.most]
            checked = _check(problem.limit, likely, measured, config.checks, time_one)
            if checked is None:
                return None
            ranking = _with_times(ranking, measured)
        best = next((row for row in ranking if keeps(problem.limit, row)), None)
        if best is not None or search + 1 == config.search_rounds:
            break
        ratio = _ratio(found, measured)
        rows = _faster(problem, ratio)
        if not len(rows):
            break
        notes.append(
            f"none of {len(measured)} measured candidates keeps the limit; predictions are "
            f"corrected by {ratio:.3g}, and the search starts again among {len(rows)} candidates"
        )
    times = [row for row in ranking if row.measured_seconds is not None]
    nearest = None
    if best is None and times:
        nearest = min(times, key=lambda row: row.measured_seconds or 0.0)
    return LimitedFindings(tuple(ranking), best, nearest, band_size, tuple(notes))


def prior_pick(problem: LimitedProblem, by: str) -> Architecture:
    """Return the candidate that a search without training takes: the largest in the limit.

    Args:
        problem: the space and the limit.
        by: see `PriorSearch`.
    """
    rows = problem.rows
    inside = rows[problem.costs[rows] <= problem.limit.most]
    chosen = inside if len(inside) else rows
    return PriorSearch(problem.grid, chosen, 1, by=by, length=problem.length).ask()[0]


def _evaluate(
    problem: LimitedProblem,
    strategy: SearchStrategy,
    measure: Optional[Measure],
    hyperparameters: Sequence[Hyperparameters],
    seeds: Sequence[int],
) -> Optional[Dict[Architecture, LimitedCandidate]]:
    """Return the candidates of a strategy with their errors; None when stopped."""
    if measure is None:
        return {one: problem.candidate(one) for one in strategy.ask()}
    found = run_rounds(strategy, measure, None, hyperparameters=hyperparameters, seeds=seeds)
    if found is None:
        return None
    return with_errors(problem, measured_candidates(found.errors, found.latencies, None))


def with_errors(
    problem: LimitedProblem, rows: Sequence[MeasuredCandidate]
) -> Dict[Architecture, LimitedCandidate]:
    """Return candidates with their errors; of a candidate with several Θ the best counts."""
    found: Dict[Architecture, LimitedCandidate] = {}
    for row in rows:
        before = found.get(row.architecture)
        if before is None or row.error < (before.error or 0.0):
            found[row.architecture] = dataclasses.replace(
                problem.candidate(row.architecture), error=row.error, error_spread=row.error_spread
            )
    return found


def _with_times(
    ranking: Sequence[LimitedCandidate], measured: Mapping[Architecture, float]
) -> List[LimitedCandidate]:
    return [
        dataclasses.replace(row, measured_seconds=measured.get(row.architecture)) for row in ranking
    ]


def _check(
    limit: Limit,
    ranking: Sequence[LimitedCandidate],
    measured: Dict[Architecture, float],
    checks: int,
    time_one: TimeOne,
) -> Optional[bool]:
    """Measure candidates in order until one keeps the limit; None when stopped.

    A candidate that one search has measured is not measured again by the next.
    """
    fresh = [row for row in ranking if row.architecture not in measured]
    for row in fresh[:checks]:
        seconds = time_one(row.architecture)
        if seconds is None:
            return None
        measured[row.architecture] = seconds
        if limit.holds(seconds):
            return True
    return False


def _faster(problem: LimitedProblem, ratio: float) -> np.ndarray:
    """Return the rows whose corrected costs keep the limit, from the band's share of the largest.

    Layers are few, so all that keep the limit may cost less than the band.
    """
    corrected = problem.costs * ratio
    inside = corrected <= problem.limit.most
    if problem.only is not None:
        inside &= np.isin(np.arange(len(corrected)), problem.only)
    if not inside.any():
        return np.flatnonzero(inside)
    least = min(problem.limit.least, problem.limit.band[0] * float(corrected[inside].max()))
    return np.flatnonzero(inside & (corrected >= least))


def _predicted(row: LimitedCandidate) -> float:
    """Return the predicted latency; 0 without a predictor."""
    return row.predicted_seconds or 0.0


def _ratio(
    found: Mapping[Architecture, LimitedCandidate], measured: Mapping[Architecture, float]
) -> float:
    """Return the median of measured over predicted latencies."""
    ratios = [seconds / (_predicted(found[one]) or seconds) for one, seconds in measured.items()]
    return float(np.median(ratios))
