"""Architecture search in a folder: answers of the teacher, rounds of candidates, ranking."""

from __future__ import annotations

import dataclasses
import functools
import logging
from typing import Any, Callable, Mapping, Optional

import mxnet as mx

from bort.architecture import Architecture
from bort.engines.latency import EngineLatency, check_latency_length
from bort.engines.protocol import MXNET
from bort.gluon.distributed import choose_context
from bort.gluon.engine import set_openmp_threads
from bort.gluon.network.measured_importance import masked_questions
from bort.gluon.search.candidate_error import DistillationError
from bort.gluon.search.plan import SearchPlan, announce, check_start, claim_search
from bort.network.from_teacher import OrderedNetwork
from bort.ranks import Communicator, on_rank_0
from bort.report.search_files import save_result
from bort.search.driver import count_trials, drive
from bort.search.latency import describe_conditions, measure_latencies
from bort.search.maximum_point import (
    MAXIMUM_POINT_FILE,
    read_maximum_point,
    write_maximum_point,
)
from bort.search.measuring import MeasureTimes, SharedMeasurements
from bort.search.questions import SearchQuestions
from bort.search.ranking import SearchResult
from bort.search.strategy import build_strategy
from bort.search.surrogates import MultiplyAddLatency
from bort.storage.locks import hold_run_folder
from bort.text.masking import Masking

log = logging.getLogger(__name__)


def run_search(
    plan: SearchPlan,
    communicator: Communicator,
    *,
    resume: bool = False,
    cpu_only: bool = True,
    stop_requested: Callable[[], bool] = lambda: False,
) -> Optional[SearchResult]:
    """Measure the candidates of the strategy, and write the ranking to `plan.folder`.

    The teacher T answers all batches once. Then the ranks measure the candidates in rounds (see
    `SharedMeasurements`). A search that was stopped or killed continues with `resume`: it repeats
    no finished trial and has the same table, except for times that were not stored.

    Args:
        plan: the search.
        communicator: the ranks that share the work.
        resume: continue the search in the folder; without a result, the search begins.
        cpu_only: run on the CPU even if there is a GPU.
        stop_requested: called between trials; True stops the search.

    Returns:
        The ranking; None when the search was stopped before its end.

    Raises:
        InputError: the folder holds another search or is used by another process, or text and
            teacher do not fit together.
        WorkError: a loss is not finite, or the disk is full.
    """
    with hold_run_folder(plan.folder, communicator):
        return _run(plan, communicator, resume, cpu_only, stop_requested)


def _run(
    plan: SearchPlan,
    communicator: Communicator,
    resume: bool,
    cpu_only: bool,
    stop_requested: Callable[[], bool],
) -> Optional[SearchResult]:
    """Search in a folder that this process holds; see `run_search`."""
    chief, seeds = communicator.rank == 0, plan.config.trial_seeds
    strategy = build_strategy(plan.config, plan.space)
    trials = count_trials(strategy, plan.hyperparameters, seeds)
    questions = SearchQuestions(plan.config, plan.text)
    _check_latency_length(plan, questions, plan.space.maximum_point())
    check_start(plan)
    engine = on_rank_0(communicator, lambda: claim_search(plan, resume))
    plan = dataclasses.replace(plan, config=dataclasses.replace(plan.config, latency_engine=engine))
    if chief:
        announce(plan, strategy.budget, trials, questions.length)
    maximum_point = ask_teacher(plan, questions, communicator, stop_requested)
    if maximum_point is None:
        return None
    context = choose_context(communicator, cpu_only)
    timing = _plan_timing(plan, questions.length, context, communicator, stop_requested)
    if chief and timing.conditions is not None:
        log.info("inference is timed on %s", describe_conditions(timing.conditions))
    measure = SharedMeasurements(
        plan.folder,
        communicator,
        maximum_point,
        times=timing.measure,
        errors=error_model(plan, questions, context, communicator),
        total=trials,
        stop_requested=stop_requested,
    )
    result = drive(
        strategy,
        measure,
        maximum_point,
        hyperparameters=plan.hyperparameters,
        seeds=seeds,
    )
    if chief and result is not None:
        save_result(plan.folder, result, timing.unit, timing.conditions)
    return result


def ask_teacher(
    plan: SearchPlan,
    questions: SearchQuestions,
    communicator: Communicator,
    stop_requested: Callable[[], bool],
) -> Optional[Architecture]:
    """Return the teacher's architecture after it has answered all batches; None when stopped.

    The teacher is not loaded if its answers and architecture are in the folder already.
    """
    path = plan.folder / MAXIMUM_POINT_FILE
    if not on_rank_0(communicator, lambda: path.exists() and questions.is_complete(plan.answers)):
        teacher = plan.teacher()
        _check_latency_length(plan, questions, teacher.architecture)
        if not questions.fill(plan.answers, teacher, communicator, stop_requested):
            return None
        on_rank_0(
            communicator,
            lambda: write_maximum_point(path, teacher.architecture, teacher.fingerprint),
        )
    answered_by = questions.open(plan.answers)[0].key.teacher
    return read_maximum_point(path, answered_by)


def _check_latency_length(
    plan: SearchPlan, questions: SearchQuestions, architecture: Architecture
) -> None:
    """Raise `InputError` if an architecture cannot be timed, before the teacher answers."""
    if plan.config.latency == "measured":
        check_latency_length(plan.config.latency_length or questions.length, architecture)


@dataclasses.dataclass(frozen=True)
class _Timing:
    """The measurement of inference times î, their unit and conditions (None if computed)."""

    measure: MeasureTimes
    unit: str
    conditions: Optional[Mapping[str, Any]]


def _plan_timing(
    plan: SearchPlan,
    length: int,
    context: mx.Context,
    communicator: Communicator,
    stop_requested: Callable[[], bool],
) -> _Timing:
    config = plan.config
    length = config.latency_length or length
    if config.latency == "multiply_adds":
        polynomial = MultiplyAddLatency(length)
        return _Timing(
            lambda found: {a: polynomial.latency(a) for a in found}, polynomial.unit, None
        )
    gauge = EngineLatency(
        engine=config.latency_engine,
        precision=config.latency_precision,
        threads=config.latency_threads or config.threads,
        length=length,
        batch=config.latency_batch,
        repeats=config.latency_repeats,
        gpu=context.device_id if context.device_type == "gpu" else None,
    )
    measure = functools.partial(
        measure_latencies,
        plan.latencies,
        gauge,
        communicator=communicator,
        stop_requested=stop_requested,
    )
    return _Timing(measure, gauge.unit, gauge.conditions)


def _rank_start(
    plan: SearchPlan, context: mx.Context, communicator: Communicator
) -> Optional[OrderedNetwork]:
    """Return the model that candidates start from; rank 0 measures its importance once."""
    start = plan.start
    if start is None:
        return None

    text, seed = plan.text, plan.config.seed
    masking = Masking(text.vocabulary, plan.config.masks.policy, seed)
    asked = functools.partial(masked_questions, text.train, masking, seed)

    def measure() -> None:
        start.ranked(asked, context, plan.folder)
        start.save(plan.folder)

    on_rank_0(communicator, measure)
    return start.ranked(asked, context, plan.folder)


def error_model(
    plan: SearchPlan, questions: SearchQuestions, context: mx.Context, communicator: Communicator
) -> Callable[[], DistillationError]:
    """Return a function that prepares the error surrogate ê before each round of trials."""
    start = _rank_start(plan, context, communicator)

    @functools.lru_cache(maxsize=1)
    def build() -> DistillationError:
        return DistillationError(
            plan.config,
            questions.train_batches(),
            questions.held_out_batches(),
            *questions.open(plan.answers),
            context,
            start,
        )

    def prepare() -> DistillationError:
        if plan.config.latency == "measured" and plan.config.latency_engine == MXNET:
            set_openmp_threads(plan.config.threads)  # timing may have changed the number
        return build()

    return prepare
