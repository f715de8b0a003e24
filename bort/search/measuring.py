"""The measuring of a search's rounds on several ranks, with every result kept on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence

import numpy as np

from bort.architecture import Architecture
from bort.process.progress import Progress
from bort.ranks import Communicator
from bort.search.driver import RoundResults
from bort.search.ranking import measured_candidates
from bort.search.store import TrialStore
from bort.search.surrogates import ErrorModel, Trial, check_error
from bort.storage.shared_work import share_work

MeasureTimes = Callable[[Sequence[Architecture]], Optional[Dict[Architecture, float]]]
"""Returns î of all architectures on every rank, or None when stopped."""


class SharedMeasurements:
    """An implementation of `bort.search.driver.Measure` for ranks that share a folder.

    A round measures latencies first. Then the ranks share the trials that have no result on disk,
    and each rank appends every result to its own file at once. A search that was stopped or killed
    therefore repeats no finished trial.

    Args:
        folder: the folder of the search.
        communicator: the ranks; all of them measure the same rounds.
        maximum_point: T; None for a search that ranks by the error, which may then be 0.
        times: measures î.
        errors: builds the model of ê; called only when this rank has a trial to run.
        total: the largest number of trials of the search, for the progress bar.
        stop_requested: whether to stop before the next trial.
    """

    def __init__(
        self,
        folder: Path,
        communicator: Communicator,
        maximum_point: Optional[Architecture],
        *,
        times: MeasureTimes,
        errors: Callable[[], ErrorModel],
        total: int,
        stop_requested: Callable[[], bool],
    ) -> None:
        self._store = TrialStore(folder, communicator.rank, zero=maximum_point is None)
        self._communicator = communicator
        self._maximum_point = maximum_point
        self._times = times
        self._errors = errors
        self._total = total
        self._stop_requested = stop_requested

    def __call__(self, trials: Sequence[Trial]) -> Optional[RoundResults]:
        """Measure a round; see `Measure`.

        Raises:
            InputError: an error is not finite and above 0, or a stored result is damaged.
            WorkError: the loss of a training is not finite, or a file cannot be written.
        """
        candidates = dict.fromkeys(trial.architecture for trial in trials)
        point = self._maximum_point
        times = self._times([*candidates, *([] if point is None else [point])])
        if times is None:
            return None
        errors = self._measure_errors(trials, times)
        return None if errors is None else RoundResults(errors, times)

    def _measure_errors(
        self, trials: Sequence[Trial], times: Mapping[Architecture, float]
    ) -> Optional[Dict[Trial, float]]:
        """Return ê of all trials after measuring the missing ones; None when stopped."""
        chief, known = self._communicator.rank == 0, self._store.load()
        shown = len(known)
        # A search that starts again among other candidates can have more trials than planned.
        total = max(self._total, shown + sum(trial not in known for trial in trials))
        progress = Progress(total, "trials", unit="trial", done=shown, enabled=chief)
        model: Optional[ErrorModel] = None

        def measure(trial: Trial) -> Optional[float]:
            nonlocal model
            if model is None:  # built by the first trial, so a finished search loads no data
                model = self._errors()
            error = model.error(trial)
            if error is None:
                return None
            return check_error(error, trial, zero=self._maximum_point is None)

        def show(trial: Trial) -> None:
            nonlocal shown
            if chief:
                found = self._store.load()
                progress.advance(len(found) - shown, **self._best(found, times))
                shown = len(found)

        try:
            return share_work(
                shuffled(trials),
                measure,
                self._store,
                communicator=self._communicator,
                stop_requested=self._stop_requested,
                on_result=show,
            )
        finally:
            progress.close()

    def _best(
        self, errors: Mapping[Trial, float], times: Mapping[Architecture, float]
    ) -> Dict[str, float]:
        """Return W, or without T the error, and the sizes of the best candidate so far."""
        here = {trial: error for trial, error in errors.items() if trial.architecture in times}
        rows = measured_candidates(here, times, self._maximum_point)
        if self._maximum_point is None:
            best = min(rows, key=lambda row: row.error)
            shown = {"error": best.error}
        else:
            best = max(rows, key=lambda row: row.w or 0.0)
            shown = {"best_w": best.w or 0.0}
        sizes = best.architecture
        return {
            **shown,
            "D": sizes.depth,
            "A": sizes.heads,
            "H": sizes.hidden,
            "I": sizes.intermediate,
        }


def shuffled(trials: Sequence[Trial]) -> List[Trial]:
    """Return the trials in a fixed random order, which mixes sizes and keeps the ETA accurate."""
    order = np.random.default_rng(0).permutation(len(trials))
    return [trials[index] for index in order]
