"""A search under a limit in a folder: predictor, errors of candidates, a measured pick, files."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from bort.architecture import Architecture
from bort.gluon.search.error_source import ErrorSource
from bort.gluon.search.plan import SEARCH_SETTINGS_FILE
from bort.ranks import Communicator, on_rank_0
from bort.report.limited_files import save_limited_result
from bort.report.search_files import RANKING_FILE
from bort.search.driver import Measure, RoundResults, plan_trials
from bort.search.grid import CandidateGrid
from bort.search.latency import (
    AnchoredGauge,
    LatencyGauge,
    TimedReference,
    describe_conditions,
    measure_latencies,
)
from bort.search.latency_sample import SpaceLatencies
from bort.search.limit import LATENCY, Limit
from bort.search.limited import LimitedCandidate, LimitedResult, free_correlations
from bort.search.limited_config import LimitedSearchConfig
from bort.search.limited_driver import (
    LimitedProblem,
    prior_pick,
    search_under_limit,
    with_errors,
)
from bort.search.limited_strategy import build_limited_strategy
from bort.search.measuring import SharedMeasurements
from bort.search.near_limit import NearLimitLatency
from bort.search.ranking import measured_candidates
from bort.search.surrogates import ErrorModel
from bort.storage.locks import hold_run_folder
from bort.storage.run_claim import claim_folder

log = logging.getLogger(__name__)

MEASURED_FILE = "measured.json"
_RESULTS = ("results-rank*.jsonl", RANKING_FILE)

Prepare = Callable[
    [Path, Communicator, Callable[[], bool], Optional[Architecture]], Optional[SpaceLatencies]
]
"""Returns the latencies of the space on every rank; None when stopped.

Args: the folder, the ranks, whether to stop, and the network that speed-ups refer to.
"""


@dataclass(frozen=True)
class LimitedPlan:
    """The inputs of a search under a limit.

    Attributes:
        config: limit, strategy and number of checks.
        grid: the space.
        folder: folder of the search.
        length: tokens of a sequence.
        errors: measures errors; None with the strategy `prior`, which measures none.
        predictor: returns the latencies of the space, see `Prepare`, such as
            `known_predictor(LatencyPredictor.read(path))`; None only with a limit of parameters.
        gauge: measures latencies as they will be when the model is served, in fresh processes: of
            the reference, and of the best candidates. If the latencies of the space were measured
            in turns with an architecture, so are these. None only with a limit of parameters,
            under which nothing is measured.
        reference: the teacher, or another network that speed-ups refer to; None: that of `errors`.
        only: rows of the grid that may be candidates; None for all.
        identity: further JSON-ready values that results depend on; a resumed search has the same.
    """

    config: LimitedSearchConfig
    grid: CandidateGrid
    folder: Path
    length: int
    errors: Optional[ErrorSource] = None
    predictor: Optional[Prepare] = None
    gauge: Optional[AnchoredGauge] = None
    reference: Optional[Architecture] = None
    only: Optional[Sequence[int]] = None
    identity: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        limit, strategy = self.config.limit, self.config.candidates.strategy
        if limit.is_of_latency:
            assert self.predictor is not None
            assert self.gauge is not None
        assert (self.errors is None) == (strategy == "prior"), "the prior alone measures no errors"

    @property
    def compared(self) -> Optional[Architecture]:
        """The network that speed-ups refer to."""
        own = None if self.errors is None else self.errors.reference
        return own if self.reference is None else self.reference


def known_predictor(predictor: SpaceLatencies) -> Prepare:
    """Return a `Prepare` for a predictor that is ready."""
    return lambda folder, communicator, stop_requested, reference: predictor


def run_limited_search(
    plan: LimitedPlan,
    communicator: Communicator,
    *,
    resume: bool = False,
    stop_requested: Callable[[], bool] = lambda: False,
) -> Optional[LimitedResult]:
    """Search the best architecture that keeps the limit, and write the result to `plan.folder`.

    The ranks share the candidates; every error and every measured latency is kept on disk at once.
    A search that was stopped or killed continues with `resume`, measures nothing twice and has the
    same result.

    Args:
        plan: the search.
        communicator: the ranks.
        resume: continue the search in the folder; without a result, the search begins.
        stop_requested: called between candidates; True stops the search.

    Returns:
        The result; `best` is None if no measured candidate keeps the limit. None when stopped.

    Raises:
        InputError: no architecture of the space can keep the limit (the message names the nearest),
            the folder holds another search, or an input does not fit.
        WorkError: the disk is full.
    """
    with hold_run_folder(plan.folder, communicator):
        on_rank_0(communicator, lambda: _claim(plan, resume))
        return _Search(plan, communicator, stop_requested).run()


def _claim(plan: LimitedPlan, resume: bool) -> None:
    settings: Dict[str, Any] = {
        "settings": plan.config.results_settings(),
        "space": [list(axis) for axis in plan.grid.axes],
        "attention": plan.grid.attention,
        "whole": plan.grid.whole.as_dict(),
        "only": None if plan.only is None else [int(row) for row in plan.only],
        "length": plan.length,
        "reference": None if plan.reference is None else plan.reference.as_dict(),
        "error": None if plan.errors is None else dict(plan.errors.identity),
        "conditions": None if plan.gauge is None else dict(plan.gauge.conditions),
        **plan.identity,
    }
    claim_folder(
        plan.folder,
        SEARCH_SETTINGS_FILE,
        settings,
        "search",
        resume,
        defaults={"settings": LimitedSearchConfig.defaults()},
        results=_RESULTS,
    )


class _Search:
    """One run of `run_limited_search` in a folder that this process holds."""

    def __init__(
        self, plan: LimitedPlan, communicator: Communicator, stop_requested: Callable[[], bool]
    ) -> None:
        self._plan, self._communicator = plan, communicator
        self._stop_requested = stop_requested
        self._chief = communicator.rank == 0
        self._gauge: Optional[LatencyGauge] = plan.gauge
        self._anchor: Optional[TimedReference] = None

    def run(self) -> Optional[LimitedResult]:
        """Search, and write the result on rank 0."""
        plan = self._plan
        model = None
        if plan.errors is not None:
            model = plan.errors.prepare(plan.folder, self._communicator, self._stop_requested)
            if model is None:
                return None
        latencies = None
        if plan.predictor is not None:
            latencies = plan.predictor(
                plan.folder, self._communicator, self._stop_requested, plan.compared
            )
            if latencies is None:
                return None
            self._anchor = latencies.reference
        if plan.gauge is not None and self._anchor is not None:
            self._gauge = plan.gauge.beside(self._anchor)
        reference = self._reference()
        if reference is None and plan.compared is not None:
            return None
        limit = plan.config.limit.limit(
            None if reference is None else reference.measured_seconds,
            None if reference is None else reference.parameters,
        )
        predict = None if latencies is None else latencies.predict
        if self._gauge is not None and limit.kind == LATENCY:
            self._gauge = NearLimitLatency(self._gauge, limit.most)
        problem = LimitedProblem(plan.grid, limit, plan.length, predict, plan.only)
        self._announce(limit, len(problem.rows))
        measure = None if model is None else self._measure(problem, model)
        found = search_under_limit(
            problem,
            plan.config,
            measure,
            self._time_one if limit.kind == LATENCY else None,
            hyperparameters=() if plan.errors is None else plan.errors.hyperparameters,
            seeds=() if plan.errors is None else plan.errors.seeds,
        )
        if found is None:
            return None
        shown = [plan.errors.whole] if plan.errors is not None and plan.errors.whole else []
        prior = prior_pick(problem, plan.config.candidates.prior)
        extra = self._extra(problem, measure, [*shown, prior])
        if extra is None:
            return None
        if reference is not None and reference.architecture in extra:
            error = extra[reference.architecture].error
            reference = dataclasses.replace(reference, error=error)
        result = LimitedResult(
            limit=limit,
            strategy=plan.config.candidates.strategy,
            error_name="none" if plan.errors is None else plan.errors.name,
            ranking=found.ranking,
            best=found.best,
            nearest=found.nearest,
            reference=reference,
            prior=extra.get(prior),
            correlations=free_correlations(found.ranking),
            noise=self._noise(found.ranking),
            space_size=len(plan.grid),
            band_size=found.band_size,
            notes=found.notes,
        )
        if self._chief:
            conditions = None if self._gauge is None else self._gauge.conditions
            save_limited_result(plan.folder, result, conditions)
        return result

    def _reference(self) -> Optional[LimitedCandidate]:
        """Return the network of speed-ups with its latency; None without one or when stopped."""
        compared = self._plan.compared
        if compared is None:
            return None
        seconds = None
        if self._anchor is not None and self._anchor.architecture == compared:
            seconds = self._anchor.seconds  # the median of all turns with the space's sample
        elif self._plan.config.limit.is_of_latency:
            seconds = self._time_one(compared)
            if seconds is None:
                return None
        return LimitedCandidate(
            compared,
            compared.parameter_count(),
            compared.multiply_adds(1, self._plan.length),
            None,
            seconds,
        )

    def _announce(self, limit: Limit, count: int) -> None:
        if not self._chief:
            return
        plan = self._plan
        if self._gauge is not None:
            log.info("latency is measured on %s", describe_conditions(self._gauge.conditions))
        log.info(
            "limit: %s; %d of %d architectures are candidates by prediction",
            limit.describe(),
            count,
            len(plan.grid),
        )

    def _measure(self, problem: LimitedProblem, model: Callable[[], ErrorModel]) -> Measure:
        """Return what measures errors, and keeps them in the folder."""
        errors = self._plan.errors
        assert errors is not None

        def costs(architectures: Sequence[Architecture]) -> Dict[Architecture, float]:
            found = {one: problem.candidate(one) for one in architectures}
            return {
                one: row.predicted_seconds or float(row.multiply_adds) for one, row in found.items()
            }

        options = self._plan.config.candidates
        strategy = build_limited_strategy(
            options, problem.grid, problem.rows, length=problem.length
        )
        compared = 1 + (errors.whole is not None)  # the prior's pick and the whole network
        trials = len(errors.hyperparameters) * len(errors.seeds)
        total = (strategy.budget + compared) * trials
        return SharedMeasurements(
            self._plan.folder,
            self._communicator,
            None,
            times=costs,
            errors=model,
            total=total,
            stop_requested=self._stop_requested,
        )

    def _extra(
        self,
        problem: LimitedProblem,
        measure: Optional[Measure],
        architectures: Sequence[Architecture],
    ) -> Optional[Dict[Architecture, LimitedCandidate]]:
        """Return networks that are compared with the candidates, with errors; None when stopped."""
        errors = self._plan.errors
        if measure is None or errors is None:
            return {one: problem.candidate(one) for one in architectures}
        trials = plan_trials(
            list(dict.fromkeys(architectures)), errors.hyperparameters, errors.seeds
        )
        found: Optional[RoundResults] = measure(trials)
        if found is None:
            return None
        rows = measured_candidates(
            {trial: found.errors[trial] for trial in trials}, found.latencies, None
        )
        return with_errors(problem, rows)

    def _noise(self, ranking: Sequence[LimitedCandidate]) -> Optional[float]:
        """Return the median spread over seeds, or the standard error on the held-out data."""
        errors: List[float] = [row.error for row in ranking if row.error is not None]
        spreads = sorted(row.error_spread for row in ranking if row.error_spread is not None)
        if spreads:
            return spreads[len(spreads) // 2]
        if not errors or self._plan.errors is None:
            return None
        return self._plan.errors.noise(sum(errors) / len(errors))

    def _time_one(self, architecture: Architecture) -> Optional[float]:
        """Return a latency from the file, or measured by rank 0; None when stopped."""
        assert self._gauge is not None
        path = self._plan.folder / MEASURED_FILE
        found = measure_latencies(
            path, self._gauge, [architecture], self._communicator, self._stop_requested
        )
        return None if found is None else found[architecture]
