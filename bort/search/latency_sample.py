"""Latencies of a space by a sample of it that a search measures itself."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Callable, Optional, Protocol, Sequence

import numpy as np

from bort.architecture import Architecture
from bort.process.progress import RowProgress
from bort.ranks import Communicator, on_rank_0
from bort.search.grid import CandidateGrid
from bort.search.latency import LatencyTable, TimedReference
from bort.search.latency_measuring import TableGauge, measure_table
from bort.search.latency_predictor import LEAST_ROWS, LatencyPredictor
from bort.search.latency_terms import fit_terms, sum_of_terms
from bort.search.sampling import space_filling_sample
from bort.search.sizes import sizes_of

log = logging.getLogger(__name__)

LATENCY_TABLE_FILE, PREDICTOR_FILE = "latencies.json", "predictor.json"


class SpaceLatencies(Protocol):
    """The latencies of a space, predicted or measured."""

    @property
    def reference(self) -> Optional[TimedReference]:
        """The architecture that they were measured in turns with; None if it is not known."""

    def predict(self, sizes: np.ndarray) -> np.ndarray:
        """Return the seconds per sequence, float64 (n,), of sizes, int (n, 5)."""


class MeasuredLatencies:
    """The latencies of a space that is too small for a predictor: those that were measured.

    Other sizes have the time of the terms of `LatencyPredictor`, fitted to these few.

    Args:
        table: the measured latencies, at least one.
    """

    def __init__(self, table: LatencyTable) -> None:
        found = [row.architecture for row in table.rows]
        self.reference = table.timed_reference
        self._sizes = sizes_of(found)
        self._seconds = np.array([table.latency(one) for one in found])
        self._length = int(table.conditions["length"])
        self._coefficients = fit_terms(self._sizes, self._seconds, self._length)

    def predict(self, sizes: np.ndarray) -> np.ndarray:
        """Return the seconds per sequence, float64 (n,), of sizes, int (n, 5)."""
        seconds = sum_of_terms(self._coefficients, np.asarray(sizes), self._length)
        for own, measured in zip(self._sizes, self._seconds):
            seconds = np.where((sizes == own).all(axis=1), measured, seconds)
        return seconds


def sample_latencies(
    gauge: TableGauge,
    grid: CandidateGrid,
    count: int,
    seed: int,
    folder: Path,
    communicator: Communicator,
    stop_requested: Callable[[], bool],
    reference: Optional[Architecture] = None,
) -> Optional[SpaceLatencies]:
    """Measure a sample of a space on rank 0, and return the latencies of the whole space.

    The folder gets `latencies.json`, and `predictor.json` unless the space has fewer than 5
    architectures. All of so small a space are measured, and none is predicted. A stopped
    measurement continues.

    Args:
        gauge: loads and times architectures.
        grid: the space.
        count: number of architectures to measure.
        seed: seed of the sample.
        folder: the folder.
        communicator: the ranks; those other than 0 wait.
        stop_requested: whether to stop before the next architecture.
        reference: architecture whose runs take turns with those of the sample; see `measure_table`.

    Returns:
        The latencies, the same on every rank; None when stopped.

    Raises:
        InputError: a file is damaged.
    """

    path = folder / LATENCY_TABLE_FILE
    is_small = len(grid) < LEAST_ROWS

    def measure() -> bool:
        rows = space_filling_sample(grid, count, np.random.default_rng(seed))
        table = measure_with_progress(
            gauge, grid.architectures(rows), path, seed, stop_requested, reference
        )
        if table is None:
            return False
        if is_small:
            return True
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
    if is_small:
        return MeasuredLatencies(LatencyTable(path, gauge.conditions))
    return LatencyPredictor.read(folder / PREDICTOR_FILE)


def measure_with_progress(
    gauge: TableGauge,
    architectures: Sequence[Architecture],
    path: Path,
    seed: int,
    stop_requested: Callable[[], bool],
    reference: Optional[Architecture] = None,
    may_repeat: Callable[[], bool] = lambda: True,
    most_seconds: float = math.inf,
) -> Optional[LatencyTable]:
    """Measure a table while its estimate and progress are shown; see `measure_table`.

    Args:
        gauge, architectures, path, seed, stop_requested, reference, may_repeat: see
            `measure_table`.
        most_seconds: seconds after which `stop_requested` ends the measurement, for the estimate.
    """
    progress = RowProgress("inference times")

    def tell(seconds: float, missing: int) -> None:
        ends = f", of which {most_seconds / 60:.1f} are given" if seconds > most_seconds else ""
        log.info(
            "estimate: the latencies of %d architectures take %.1f minutes%s",
            missing,
            seconds / 60,
            ends,
        )

    try:
        return measure_table(
            gauge,
            architectures,
            path,
            reference=reference,
            seed=seed,
            on_estimate=tell,
            on_row=lambda row, done, total: progress.show(done, total),
            stop_requested=stop_requested,
            may_repeat=may_repeat,
        )
    finally:
        progress.close()
