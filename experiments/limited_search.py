"""The search of the best architecture under a limit, on the files that a command names."""

from __future__ import annotations

import dataclasses
import functools
import logging
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence

from bort.architecture import Architecture, get_architecture
from bort.command.subcommands import as_called
from bort.engines.latency import EngineLatency, check_latency_length
from bort.engines.protocol import AUTO, MXNET
from bort.engines.served_latency import ServedLatency
from bort.engines.sources import read_source
from bort.errors import InputError, WorkError
from bort.gluon.distributed import find_communicator
from bort.gluon.search.error_source import ErrorSource
from bort.gluon.search.few_steps_error import FewStepErrors
from bort.gluon.search.finetuned_error import FinetunedErrors
from bort.gluon.search.limited_run import (
    LimitedPlan,
    Prepare,
    known_predictor,
    run_limited_search,
)
from bort.gluon.search.sub_network_error import SubNetworkErrors
from bort.process.machine import describe_machine
from bort.ranks import Communicator
from bort.report.search_files import BEST_FILE
from bort.search.config import ERRORS, FINETUNED, SUPER_NETWORK, SearchConfig, SearchPaths
from bort.search.grid import CandidateGrid
from bort.search.latency_predictor import LatencyPredictor
from bort.search.latency_sample import PREDICTOR_FILE, sample_latencies
from bort.search.limited import LimitedResult
from bort.search.limited_config import LimitedSearchConfig, LimitedSearchPaths
from bort.search.limited_table import pick_line
from bort.search.space import PAPER_SPACE, read_space
from bort.storage.outputs import check_output_folder
from bort.super_network.autotinybert import read_candidates
from bort.super_network.evaluation_config import PartEvaluationConfig, PartEvaluationPaths
from bort.super_network.finetuning_config import PartFinetuningConfig
from bort.super_network.folder import SuperNetwork, open_super_network
from bort.super_network.parts import LARGEST_PART, read_parts
from bort.super_network.space import SubNetworkSpace, read_sub_network_space
from bort.text.masking_config import Masks
from experiments.architecture_evaluation import open_scorer
from experiments.architecture_finetuning import open_part_tasks
from experiments.search import open_search_plan

log = logging.getLogger(__name__)

_DEFAULT_LENGTH = 128
_AXES = ("depths", "heads", "hiddens", "intermediates")


class LimitedCommand(NamedTuple):
    """The settings of the command.

    Attributes:
        paths: data, teacher, space and folder.
        limited: super-network, latency table and data of a task.
        config: error, timing and threads.
        search: limit, strategy and checks.
        training: tasks and settings of fine-tuning, for the error `finetuned`.
        teacher: name or folder of the teacher if one is given.
    """

    paths: SearchPaths
    limited: LimitedSearchPaths
    config: SearchConfig
    search: LimitedSearchConfig
    training: PartFinetuningConfig
    teacher: Optional[str]


def search_best_under_limit(
    command: LimitedCommand, stop_requested: Callable[[], bool]
) -> Optional[Dict[str, Any]]:
    """Search the best architecture that keeps a limit.

    Args:
        command: the settings.
        stop_requested: returns whether the search should end early.

    Returns:
        The folder and the summary of the result; None on ranks other than 0.

    Raises:
        InputError: a file or value is missing or bad, the folder holds another search, or nothing
            in the space can keep the limit.
    """
    folder = Path(command.paths.output_dir)
    communicator = find_communicator()
    source = None
    if command.limited.super_network is not None:
        source = open_super_network(command.limited.super_network)
    _check(command, source)
    errors = _open_errors(command, source, communicator)
    grid = _open_grid(command, source, errors)
    timing = _Timing.of(command, errors, grid)
    check_output_folder(folder)
    plan = LimitedPlan(
        command.search,
        grid,
        folder,
        timing.length,
        errors=errors,
        predictor=timing.predictor(command, grid),
        gauge=timing.gauge,
        reference=_reference(command, source, errors),
        only=_only(command, source, grid),
    )
    result = run_limited_search(
        plan, communicator, resume=command.paths.resume, stop_requested=stop_requested
    )
    if communicator.rank != 0:
        return None
    summary = {"folder": str(folder), "stopped": result is None}
    if result is not None:
        summary.update(result.summary())
        _tell_next(command, result, folder)
    return summary


def refuse_without_pick(summary: Mapping[str, Any]) -> None:
    """Raise `WorkError` if a search ended without a pick; its ranking is written and printed."""
    if not summary["stopped"] and summary["best"] is None:
        raise WorkError(
            f"{summary['folder']}: no candidate keeps the limit when it is measured; ranking.json "
            "has the nearest"
        )


def _check(command: LimitedCommand, source: Optional[SuperNetwork]) -> None:
    """Refuse settings that have no effect or do not fit together, before anything is read."""
    config = command.config
    of_parts = config.error in (SUPER_NETWORK, FINETUNED)
    if command.search.limit.is_of_latency and config.latency != "measured":
        raise InputError(
            f"latency is {config.latency!r} with a limit of the latency, allowed is 'measured'"
        )
    if source is None and of_parts and not command.search.is_prior:
        raise InputError(f"error is {config.error!r}, which needs --super_network")
    if source is not None and not of_parts:
        raise InputError(
            f"error is {config.error!r}, allowed with super_network are {SUPER_NETWORK}, "
            f"{FINETUNED}; leave out super_network to train candidates for a few steps"
        )
    if (config.error == FINETUNED) != (command.training.tasks is not None):
        raise InputError(
            f"error is {config.error!r} and tasks is {command.training.tasks!r}, allowed are tasks "
            f"with {FINETUNED} alone"
        )


def _open_errors(
    command: LimitedCommand, source: Optional[SuperNetwork], communicator: Communicator
) -> Optional[ErrorSource]:
    """Return where errors come from; None for the prior."""
    paths, limited, config = command.paths, command.limited, command.config
    if command.search.is_prior:
        return None
    if config.error in ERRORS:
        return FewStepErrors(open_search_plan(paths, config), cpu_only=paths.cpu_only)
    assert source is not None
    if config.error == FINETUNED:
        tasks = open_part_tasks(
            source,
            command.training,
            communicator,
            data_dir=limited.data_dir,
            sample=limited.sample,
        )
        return FinetunedErrors(
            source,
            tasks,
            config.trial_seeds,
            threads=config.threads,
            cpu_only=paths.cpu_only,
        )
    scoring = PartEvaluationConfig(
        seed=config.seed,
        masks=Masks(**config.masks.as_dict()),
        held_out_batches=command.search.scored_batches,
        split=limited.split,
        threads=config.threads,
    )
    files = PartEvaluationPaths(
        super_network=str(source.folder),
        output_dir=paths.output_dir,
        architectures=(LARGEST_PART,),
        data=paths.data if paths.data_eval is None else paths.data_eval,
        data_dir=limited.data_dir,
        sample=limited.sample,
    )
    scorer = open_scorer(files, scoring, source)
    engine, precision = MXNET, "fp32"
    if config.latency_precision != "fp32":  # errors are those of the graph that is timed
        probe = EngineLatency(**_engine_settings(command, None), length=1)
        if probe.precision != "fp32":
            engine, precision = probe.engine, config.latency_precision
    return SubNetworkErrors(
        source,
        scorer,
        engine=engine,
        precision=precision,
        threads=config.threads,
        items=getattr(scorer, "items", None),
    )


def _open_grid(
    command: LimitedCommand, source: Optional[SuperNetwork], errors: Optional[ErrorSource]
) -> CandidateGrid:
    """Return the space of the search.

    Raises:
        InputError: the space is bad, or does not fit into the super-network.
    """
    paths = command.paths
    axes = {name: getattr(paths, name) for name in _AXES if getattr(paths, name) is not None}
    if source is not None:
        space = source.record.space
        if paths.space is not None:
            space = read_sub_network_space(paths.space)
        values = {**space.as_dict(), **axes}
        if "heads" in axes:
            values.pop("qkvs", None)
        return CandidateGrid.of_sub_networks(
            SubNetworkSpace.from_dict(values, paths.space or "space"), source.whole
        )
    if isinstance(errors, FewStepErrors):
        return CandidateGrid.of_space(errors.space)
    base = PAPER_SPACE if paths.space is None else read_space(paths.space)
    space_of_prior = type(base).from_dict({**base.as_dict(), **axes}, paths.space or "space")
    return CandidateGrid.of_space(space_of_prior)


def _only(
    command: LimitedCommand, source: Optional[SuperNetwork], grid: CandidateGrid
) -> Optional[Sequence[int]]:
    """Return the rows of the candidates that files name; None without files.

    Raises:
        InputError: a file is bad, or an architecture is not in the space.
    """
    texts = command.limited.architectures
    if texts is None:
        return None
    if source is None:
        raise InputError("architectures are given, which needs --super_network")
    named: List[Architecture] = []
    for text in texts:
        if text.endswith((".json", ".txt")) or not Path(text).is_file():
            named += read_parts([text], source.whole, source.record.space)
        else:
            named += [sizes.within(source.whole) for sizes in read_candidates(text)]
    rows = []
    for one in dict.fromkeys(named):
        row = grid.index_of(one)
        if row is None:
            raise InputError(f"architectures has {one}, which is not in the space of the search")
        rows.append(row)
    return rows


def _reference(
    command: LimitedCommand, source: Optional[SuperNetwork], errors: Optional[ErrorSource]
) -> Optional[Architecture]:
    """Return the teacher's sizes if one is given, or those of the whole super-network.

    Candidates that are trained for a few steps know their teacher: None.
    """
    if isinstance(errors, FewStepErrors):
        return None
    if command.teacher is not None:
        folder = Path(command.teacher)
        if folder.is_dir():
            return read_source(folder).description.architecture
        return get_architecture(command.teacher)
    return None if source is None else source.whole


@dataclasses.dataclass(frozen=True)
class _Timing:
    """The measurement and prediction of latencies; without a gauge if nothing needs them."""

    length: int
    settings: Optional[Dict[str, Any]]
    gauge: Optional[ServedLatency]
    known: Optional[LatencyPredictor]

    @classmethod
    def of(
        cls, command: LimitedCommand, errors: Optional[ErrorSource], grid: CandidateGrid
    ) -> _Timing:
        """Open the latency table, and check that it was measured as the search measures.

        Raises:
            InputError: the table is bad, or of other conditions; an engine is missing.
        """
        known, source = None, ""
        if command.limited.latency_table is not None:
            path = Path(command.limited.latency_table)
            path = path / PREDICTOR_FILE if path.is_dir() else path
            known, source = LatencyPredictor.read(path), str(path)
        longest = min(_DEFAULT_LENGTH, grid.whole.maximum_length)
        if errors is not None and errors.length is not None:
            longest = errors.length
        length = command.config.latency_length or (longest if known is None else known.length)
        if known is None and not command.search.limit.is_of_latency:
            return cls(length, None, None, None)
        check_latency_length(length, grid.whole)
        settings = {**_engine_settings(command, known), "length": length}
        gauge = ServedLatency(**settings)
        if known is not None:
            known.check_conditions({**describe_machine(), **gauge.conditions}, source)
        return cls(length, settings, gauge, known)

    def predictor(self, command: LimitedCommand, grid: CandidateGrid) -> Optional[Prepare]:
        """Return the source of latencies: the table's predictor, or a sample of the space."""
        if self.known is not None:
            return known_predictor(self.known)
        if self.settings is None:
            return None
        return functools.partial(
            sample_latencies,
            EngineLatency(**self.settings),
            grid,
            command.search.latency_sample,
            command.search.candidates.seed,
        )


def _engine_settings(command: LimitedCommand, known: Optional[LatencyPredictor]) -> Dict[str, Any]:
    """Return the arguments of `EngineLatency` but the length; `auto` is the table's engine."""
    config = command.config
    engine = config.latency_engine
    if known is not None and engine == AUTO:
        engine = str(known.conditions.get("engine", "")).split(" ")[0]
    processor = known is not None and known.conditions.get("clock") == "processor"
    return {
        "engine": engine,
        "precision": config.latency_precision,
        "threads": config.latency_threads or config.threads,
        "batch": config.latency_batch,
        "repeats": config.latency_repeats,
        "clock": time.process_time if processor else time.perf_counter,
    }


def _tell_next(command: LimitedCommand, result: LimitedResult, folder: Path) -> None:
    """Log the command that takes the pick."""
    if result.best is None:
        log.warning("warning: %s", pick_line(result))
        return
    best = folder / BEST_FILE
    if command.limited.super_network is not None:
        log.info(
            "next: %s --super_network %s --architecture %s --output_dir …",
            as_called("scripts/extract_model.py"),
            command.limited.super_network,
            best,
        )
    else:
        log.info(
            "next: %s --architecture %s --data …",
            as_called("scripts/run_pretraining_distillation.py"),
            best,
        )
