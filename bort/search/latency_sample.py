"""A predictor of all latencies of a space, fitted to a sample that a search measures itself."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Callable, Optional, Sequence

import numpy as np

from bort.architecture import Architecture
from bort.process.progress import RowProgress
from bort.ranks import Communicator, on_rank_0
from bort.search.grid import CandidateGrid
from bort.search.latency import LatencyTable
from bort.search.latency_measuring import TableGauge, measure_table
from bort.search.latency_predictor import LatencyPredictor
from bort.search.sampling import space_filling_sample

log = logging.getLogger(__name__)

LATENCY_TABLE_FILE, PREDICTOR_FILE = "latencies.json", "predictor.json"


def sampled_predictor(
    gauge: TableGauge,
    grid: CandidateGrid,
    count: int,
    seed: int,
    folder: Path,
    communicator: Communicator,
    stop_requested: Callable[[], bool],
) -> Optional[LatencyPredictor]:
    """Measure a sample of a space on rank 0, and return a predictor of its other latencies.

    The folder gets `latencies.json` and `predictor.json`. A stopped measurement continues.

    Args:
        gauge: loads and times architectures.
        grid: the space.
        count: number of architectures to measure.
        seed: seed of the sample.
        folder: the folder.
        communicator: the ranks; those other than 0 wait.
        stop_requested: whether to stop before the next architecture.

    Returns:
        The predictor, the same on every rank; None when stopped.

    Raises:
        InputError: a file is damaged.
    """

    def measure() -> bool:
        rows = space_filling_sample(grid, count, np.random.default_rng(seed))
        table = measure_with_progress(
            gauge, grid.architectures(rows), folder / LATENCY_TABLE_FILE, seed, stop_requested
        )
        if table is None:
            return False
        found = LatencyPredictor.of_table(table)
        log.info(
            "predictor of latencies: %s, error in cross-validation %.1f %%",
            found.kind,
            100 * found.errors[found.kind],
        )
        found.save(folder / PREDICTOR_FILE)
        return True

    if not on_rank_0(communicator, measure):
        return None
    return LatencyPredictor.read(folder / PREDICTOR_FILE)


def measure_with_progress(
    gauge: TableGauge,
    architectures: Sequence[Architecture],
    path: Path,
    seed: int,
    stop_requested: Callable[[], bool],
) -> Optional[LatencyTable]:
    """Measure a table while its estimate and progress are shown; see `measure_table`."""
    progress = RowProgress("inference times")
    try:
        return measure_table(
            gauge,
            architectures,
            path,
            seed=seed,
            on_estimate=lambda seconds, missing: log.info(
                "estimate: the latencies of %d architectures take %.1f minutes",
                missing,
                seconds / 60,
            ),
            on_row=lambda row, done, total: progress.show(done, total),
            stop_requested=stop_requested,
        )
    finally:
        progress.close()
