"""A search from beginning to end: times, answers, trials, ranking; on one rank or several."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

import mxnet as mx
import numpy as np

from bort.architecture import Architecture, get_architecture
from bort.errors import InputError
from bort.gluon.distributed import choose_context
from bort.gluon.search.candidate_error import DistillationError
from bort.gluon.search.candidate_latency import GluonLatency
from bort.process.progress import Progress
from bort.ranks import Communicator, any_rank, wait_for_all
from bort.report.search_figure import draw_search
from bort.search.config import SearchConfig
from bort.search.fptas import choose_every_nth, choose_random, plan_trials
from bort.search.latency import LatencyTable
from bort.search.questions import SearchQuestions, SearchText
from bort.search.ranking import SearchResult, rank_candidates
from bort.search.space import SearchSpace
from bort.search.store import TrialStore
from bort.search.surrogates import Hyperparameters, MultiplyAddLatency, Trial, check_error
from bort.search.table import as_csv, as_text
from bort.search.w_coefficient import w_coefficient
from bort.settings.config import defaults_of
from bort.storage.files import atomic_write, read_json, write_json
from bort.storage.run_claim import claim_folder
from bort.storage.shared_work import share_work
from bort.teacher.answers import LiveTeacher

log = logging.getLogger(__name__)

SETTINGS_FILE, BEST_FILE, RANKING_FILE = "search.json", "best.json", "ranking.json"
MAXIMUM_POINT_FILE = "maximum_point.json"


@dataclasses.dataclass(frozen=True)
class SearchPlan:
    """What is searched, once everything is read.

    Attributes:
        config: settings.
        space: Ξ, with the vocabulary and the length of the text.
        hyperparameters: Θ.
        text: to train and to judge candidates on.
        folder: of the search.
        answers: folder of T's answers.
        latencies: file of inference times.
        teacher: makes T; called only when something must be asked.
    """

    config: SearchConfig
    space: SearchSpace
    hyperparameters: Sequence[Hyperparameters]
    text: SearchText
    folder: Path
    answers: Path
    latencies: Path
    teacher: Callable[[], LiveTeacher]


def run_search(
    plan: SearchPlan,
    communicator: Communicator,
    *,
    resume: bool = False,
    cpu_only: bool = True,
    stop_requested: Callable[[], bool] = lambda: False,
) -> Optional[SearchResult]:
    """Measure the candidates that the strategy chooses, and leave the ranking in `plan.folder`.

    Times come first, one candidate at a time on rank 0 while the others wait; then T answers all
    questions once; then the trials are dealt out to the ranks, and each result is appended to the
    rank's own file as it is found. A search that was stopped or killed continues with `resume`,
    repeats no finished trial and ends with the same table (but for times that were not kept).

    Returns:
        The ranking; None when it was stopped before the end.

    Raises:
        InputError: a folder that holds another search, text or teacher that do not fit.
        WorkError: a training that ran into numbers that are not finite, a full disk.
    """
    config, folder, chief = plan.config, plan.folder, communicator.rank == 0
    questions = SearchQuestions(config, plan.text)
    chosen = choose(config, plan.space)
    trials = plan_trials(chosen, plan.hyperparameters, config.trial_seeds)
    if chief:
        _prepare_folder(plan, resume)
        _announce(plan, chosen, trials, questions.length)
    wait_for_all(communicator)
    maximum_point = _ask_teacher(plan, questions, communicator, stop_requested)
    if maximum_point is None:
        return None
    context = choose_context(communicator, cpu_only)
    times = _measure_times(
        plan, [*chosen, maximum_point], questions.length, communicator, context, stop_requested
    )
    if times is None:
        return None
    w_of = _WOf(times, maximum_point)
    measured = _run_trials(plan, questions, trials, w_of, communicator, context, stop_requested)
    if measured is None:
        return None
    result = rank_candidates({trial: measured[trial] for trial in trials}, times, maximum_point)
    if chief:
        save_result(folder, result, _unit(config))
    return result


def choose(config: SearchConfig, space: SearchSpace) -> List[Architecture]:
    """The candidates that the strategy looks at."""
    if config.strategy == "exhaustive":
        return choose_every_nth(space, 1)
    if config.strategy == "random":
        return choose_random(space, config.random_count, np.random.default_rng(config.seed))
    return choose_every_nth(space, config.epsilon)


def save_result(folder: Path, result: SearchResult, unit: str) -> None:
    """Write `ranking.json`, `ranking.csv`, `scatter.png` and `best.json`.

    `best.json` is an architecture for `--architecture`; it is not written without a pick.
    """
    write_json(folder / RANKING_FILE, {**result.as_dict(), "latency_unit": unit})
    with atomic_write(folder / "ranking.csv") as stream:
        stream.write(as_csv(result).encode("utf-8"))
    draw_search(folder / "scatter.png", result, unit)
    if result.best is not None:
        write_json(folder / BEST_FILE, {"architecture": result.best.architecture.as_dict()})
    log.info("\n%s\n", as_text(result, unit))


def _unit(config: SearchConfig) -> str:
    return GluonLatency.unit if config.latency == "measured" else MultiplyAddLatency.unit


def _prepare_folder(plan: SearchPlan, resume: bool) -> None:
    """Refuse a folder with another search; write down what this one is."""
    settings: Dict[str, Any] = {
        "settings": plan.config.results_settings(),
        "space": plan.space.as_dict(),
        "hyperparameters": [theta.as_dict() for theta in plan.hyperparameters],
        "train": plan.text.train.fingerprint,
        "held_out": plan.text.held_out.fingerprint,
        "vocabulary": plan.text.vocabulary.fingerprint,
    }
    defaults = {
        "settings": SearchConfig.defaults(),
        "space": defaults_of(SearchSpace),
        "hyperparameters": Hyperparameters.defaults(),
    }
    claim_folder(plan.folder, SETTINGS_FILE, settings, "search", resume, defaults=defaults)


def _announce(
    plan: SearchPlan, chosen: Sequence[Architecture], trials: Sequence[Trial], length: int
) -> None:
    excluded: Dict[str, int] = {}
    for exclusion in plan.space.exclusions():
        excluded[exclusion.reason] = excluded.get(exclusion.reason, 0) + 1
    reasons = "".join(f"; {count} excluded: {reason}" for reason, count in excluded.items())
    log.info("search space: %d candidates%s", len(plan.space), reasons)
    log.info(
        "%s: %d candidates, %d trials of %d steps",
        plan.config.strategy,
        len(chosen),
        len(trials),
        plan.config.train_steps,
    )
    for warning in plan.space.weak_property_warnings(length):
        log.warning("warning: %s", warning)


def _ask_teacher(
    plan: SearchPlan,
    questions: SearchQuestions,
    communicator: Communicator,
    stop_requested: Callable[[], bool],
) -> Optional[Architecture]:
    """T's architecture once T has answered everything; None when stopped before.

    T is not even loaded when an earlier call has written both down.
    """
    path = plan.folder / MAXIMUM_POINT_FILE
    known = path.exists() and questions.is_complete(plan.answers)
    wait_for_all(communicator)  # nobody writes before everybody has looked
    if not known:
        teacher = plan.teacher()
        if communicator.rank == 0:
            description = {
                "architecture": teacher.architecture.as_dict(),
                "fingerprint": teacher.fingerprint,
            }
            write_json(path, description)
        if not questions.fill(plan.answers, teacher, communicator, stop_requested):
            return None
    answered_by = questions.open(plan.answers)[0].key.teacher
    if read_json(path)["fingerprint"] != answered_by:
        raise InputError(f"{plan.answers}: holds the answers of another teacher than {path}")
    return get_architecture(str(path))


def _measure_times(
    plan: SearchPlan,
    architectures: Sequence[Architecture],
    length: int,
    communicator: Communicator,
    context: mx.Context,
    stop_requested: Callable[[], bool],
) -> Optional[Dict[Architecture, float]]:
    """î of all; None when stopped."""
    config = plan.config
    length = config.latency_length or length
    if config.latency == "multiply_adds":
        polynomial = MultiplyAddLatency(length)
        return {architecture: polynomial.latency(architecture) for architecture in architectures}
    gauge = GluonLatency(
        length=length,
        batch=config.latency_batch,
        repeats=config.latency_repeats,
        threads=config.threads,
        context=context,
    )
    stopped = False
    if communicator.rank == 0:
        table = LatencyTable(plan.latencies, gauge.conditions)
        missing = table.missing(architectures)
        progress = Progress(len(missing), "inference times", unit="candidate")
        for architecture in missing:
            stopped = stop_requested()
            if stopped:
                break
            table.add(architecture, gauge.latency(architecture))
            progress.advance()
        progress.close()
    if any_rank(communicator, stopped):
        return None
    table = LatencyTable(plan.latencies, gauge.conditions)
    return {architecture: table.latency(architecture) for architecture in architectures}


def _run_trials(
    plan: SearchPlan,
    questions: SearchQuestions,
    trials: Sequence[Trial],
    w_of: _WOf,
    communicator: Communicator,
    context: mx.Context,
    stop_requested: Callable[[], bool],
) -> Optional[Dict[Trial, float]]:
    """ê of all trials, measured where it is missing; None when stopped."""
    store = TrialStore(plan.folder, communicator.rank)
    chief, shown = communicator.rank == 0, len(store.load())
    progress = Progress(len(trials), "trials", unit="trial", done=shown, enabled=chief)
    model: Optional[DistillationError] = None

    def measure(trial: Trial) -> float:
        nonlocal model
        if model is None:  # made by the first trial, so that a finished search opens nothing
            model = DistillationError(
                plan.config,
                questions.train_batches(),
                questions.held_out_batches(),
                *questions.open(plan.answers),
                context,
            )
        return check_error(model.error(trial), trial)

    def show(trial: Trial) -> None:
        nonlocal shown
        if not chief:
            return
        found = store.load()
        best = max(found, key=lambda t: w_of(t, found[t]))
        progress.advance(
            len(found) - shown,
            best_w=w_of(best, found[best]),
            D=best.architecture.depth,
            A=best.architecture.heads,
            H=best.architecture.hidden,
            I=best.architecture.intermediate,
        )
        shown = len(found)

    try:
        return share_work(
            shuffled(trials),
            measure,
            store,
            communicator=communicator,
            stop_requested=stop_requested,
            on_result=show,
        )
    finally:
        progress.close()


class _WOf:
    """W of a single trial, for the progress; 0 where it is not defined."""

    def __init__(self, times: Mapping[Architecture, float], maximum_point: Architecture) -> None:
        self._times = times
        self._maximum = (maximum_point.parameter_count(), times[maximum_point])

    def __call__(self, trial: Trial, error: float) -> float:
        size = trial.architecture.parameter_count()
        w = w_coefficient(size, self._times[trial.architecture], error, *self._maximum)
        return 0.0 if w is None else w


def shuffled(trials: Sequence[Trial]) -> List[Trial]:
    """Always the same shuffle: large and small ones alternate, so the ETA is honest."""
    order = np.random.default_rng(0).permutation(len(trials))
    return [trials[index] for index in order]
