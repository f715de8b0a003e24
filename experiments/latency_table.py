"""Measurement of a space's inference times on this device, and a predictor of the others."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Tuple

import numpy as np

from bort.architecture import Architecture, get_architecture
from bort.engines.latency import EngineLatency, check_latency_length, measure_in_fresh_process
from bort.errors import InputError
from bort.process.packages import is_installed
from bort.search.grid import CandidateGrid
from bort.search.latency import LatencyTable, describe_conditions
from bort.search.latency_config import LatencyTableConfig, LatencyTablePaths, TimingConfig
from bort.search.latency_errors import PredictionErrors, compare_predictors, error_table
from bort.search.latency_predictor import LEAST_ROWS, LatencyPredictor
from bort.search.latency_sample import (
    LATENCY_TABLE_FILE,
    PREDICTOR_FILE,
    measure_with_progress,
)
from bort.search.sampling import space_filling_sample
from bort.search.sizes import sizes_of
from bort.search.space import read_space
from bort.storage.files import write_json
from bort.storage.locks import hold_folder
from bort.storage.run_claim import claim_folder
from bort.super_network.folder import open_super_network
from bort.super_network.space import read_sub_network_space

log = logging.getLogger(__name__)

_SETTINGS_FILE = "latency_table.json"
_ERRORS_FILE, _FIGURE_FILE = "errors.json", "latency.png"
_GREAT_DRIFT = 1.5

Times = Dict[Architecture, float]


def measure_model(folder: Path, config: TimingConfig) -> Dict[str, Any]:
    """Return the time of a model folder in a new process, JSON-ready.

    Raises:
        InputError: the folder is damaged, or the engine does not run it under the conditions.
    """
    settings = gauge_settings(config)
    conditions = EngineLatency(**settings).conditions
    timing = measure_in_fresh_process(folder, **settings)
    return {
        "model": str(folder),
        "milliseconds": 1e3 * timing.seconds,
        "spread": timing.spread,
        "is_noisy": timing.is_noisy,
        "conditions": conditions,
    }


def measure_latency_table(
    paths: LatencyTablePaths,
    config: LatencyTableConfig,
    stop_requested: Callable[[], bool] = lambda: False,
) -> Dict[str, Any]:
    """Measure a sample of a space, and write the table, a predictor, its errors and a figure.

    Args:
        paths: the space and the folder.
        config: conditions, number of architectures and seed.
        stop_requested: returns whether to stop before the next architecture.

    Returns:
        The folder, conditions, noisy rows, times of the reference, and errors, JSON-ready.

    Raises:
        InputError: a file or value is missing or bad, or the folder holds another table.
    """
    assert paths.output_dir is not None
    folder = Path(paths.output_dir)
    grid = open_grid(paths)
    check_latency_length(config.length, grid.whole, "length")
    gauge = EngineLatency(**gauge_settings(config))
    fitted, held_out = draw_sample(grid, config)
    _check_count(len(grid), len(fitted), config)
    with hold_folder(folder):
        claim_folder(
            folder,
            _SETTINGS_FILE,
            {
                "settings": config.results_settings(),
                "conditions": gauge.conditions,
                "whole": grid.whole.as_dict(),
                "axes": [list(axis) for axis in grid.axes],
            },
            "latency table",
            paths.resume,
            defaults={"settings": LatencyTableConfig.defaults()},
            results=(LATENCY_TABLE_FILE,),
        )
        log.info("inference is timed on %s", describe_conditions(gauge.conditions))
        table = measure_with_progress(
            gauge,
            [*fitted, *held_out],
            folder / LATENCY_TABLE_FILE,
            config.seed,
            stop_requested,
        )
        if table is None:
            return {"folder": str(folder), "stopped": True}
        summary = _evaluated(table, fitted, held_out, folder)
    return {"folder": str(folder), "stopped": False, **summary}


def open_grid(paths: LatencyTablePaths) -> CandidateGrid:
    """Return the architectures of the space that the paths name.

    Raises:
        InputError: a file is missing or bad, or the space does not fit the whole network.
    """
    if paths.search_space is not None:
        return CandidateGrid.of_space(read_space(paths.search_space))
    if paths.super_network is not None:
        source = open_super_network(paths.super_network)
        return CandidateGrid.of_sub_networks(source.record.space, source.whole)
    assert paths.space is not None
    assert paths.architecture is not None
    whole = get_architecture(paths.architecture)
    return CandidateGrid.of_sub_networks(read_sub_network_space(paths.space), whole)


def gauge_settings(config: TimingConfig) -> Dict[str, Any]:
    """Return the arguments of `EngineLatency`."""
    return {
        "engine": config.engine,
        "precision": config.precision,
        "threads": config.threads,
        "length": config.length,
        "batch": config.batch,
        "repeats": config.repeats,
        "clock": time.process_time if config.processor_time else time.perf_counter,
    }


def draw_sample(
    grid: CandidateGrid, config: LatencyTableConfig
) -> Tuple[List[Architecture], List[Architecture]]:
    """Return the architectures to fit and others to check, both with all layer counts."""
    generator = np.random.default_rng(config.seed)
    checked: List[int] = []
    if config.held_out:
        checked = space_filling_sample(grid, config.held_out, generator).tolist()
    # A space with few candidates is shared: the checked ones are not fitted.
    drawn = space_filling_sample(grid, config.count, generator)
    left = [row for row in drawn.tolist() if row not in set(checked)]
    return (
        grid.architectures(np.array(left[: config.count - len(checked)], np.int64)),
        grid.architectures(np.array(checked, np.int64)),
    )


def _check_count(architectures: int, fitted: int, config: LatencyTableConfig) -> None:
    """Raise `InputError` if a space leaves too few architectures to fit."""
    if architectures < LEAST_ROWS:
        raise InputError(
            f"the space has {architectures} architectures, allowed are at least {LEAST_ROWS}; "
            "search_architecture.py measures all of a smaller space by itself"
        )
    if fitted < LEAST_ROWS:
        raise InputError(
            f"held_out is {config.held_out}, allowed is at most {architectures - LEAST_ROWS} for a "
            f"space of {architectures} architectures: the predictor needs at least {LEAST_ROWS}"
        )


def _evaluated(
    table: LatencyTable,
    fitted: List[Architecture],
    held_out: List[Architecture],
    folder: Path,
) -> Dict[str, Any]:
    """Fit predictors, write the files, log the table of errors."""
    noisy = {row.architecture for row in table.rows if row.is_noisy}
    summary: Dict[str, Any] = {
        "conditions": table.conditions,
        "architectures": len(table.rows),
        "noisy": len(noisy),
        "reference": _reference(table),
    }
    predictor = LatencyPredictor.of_table(table)
    predictor.save(folder / PREDICTOR_FILE)
    summary["predictor"] = {"kind": predictor.kind, "cross_validation": dict(predictor.errors)}
    if noisy:
        log.warning(
            "warning: %d of %d times vary by more than 15 %%: other work keeps this machine busy",
            len(noisy),
            len(table.rows),
        )
    known, others = (_times(table, some, noisy) for some in (fitted, held_out))
    if others:
        errors = compare_predictors(known, others, table.conditions)
        summary["errors"] = _as_json(errors)
        write_json(folder / _ERRORS_FILE, summary["errors"])
        log.info(
            "\non %d architectures that were not fitted:\n%s\n", len(others), error_table(errors)
        )
        if is_installed("matplotlib"):
            from bort.report.latency_figure import draw_latencies

            own = LatencyPredictor.fit(
                sizes_of(list(known)),
                np.array(list(known.values())),
                conditions=table.conditions,
            )
            timed_on = describe_conditions(table.conditions)
            draw_latencies(folder / _FIGURE_FILE, own, known, others, timed_on)
    return summary


def _times(table: LatencyTable, some: List[Architecture], noisy: Any) -> Times:
    """Return the times of steady rows, or of all if most rows are noisy."""
    steady = [one for one in some if one not in noisy]
    return {one: table.latency(one) for one in (steady if 2 * len(steady) >= len(some) else some)}


def _reference(table: LatencyTable) -> Dict[str, Any]:
    """Return the reference and its times; warn if the machine changed its speed a lot."""
    assert table.reference is not None
    times = 1e3 * np.array([row.reference_seconds for row in table.rows])
    if times.max() > _GREAT_DRIFT * times.min():
        log.warning(
            "warning: the same model took %.2f to %.2f ms while the table was measured; the times "
            "are corrected to the median, %.2f ms",
            times.min(),
            times.max(),
            np.median(times),
        )
    return {
        "architecture": table.reference.as_dict(),
        "fastest_milliseconds": float(times.min()),
        "milliseconds": float(np.median(times)),
        "slowest_milliseconds": float(times.max()),
    }


def _as_json(errors: Mapping[str, PredictionErrors]) -> Dict[str, Any]:
    return {name: dict(vars(one)) for name, one in errors.items()}
