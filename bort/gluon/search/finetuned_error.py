"""The error of a candidate after fine-tuning it on tasks, from the super-network's weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Callable, List, Mapping, Optional, Sequence

from bort.architecture import Architecture
from bort.gluon.engine import set_openmp_threads
from bort.gluon.super_network.finetuning import PartFinetuner, PartTask
from bort.ranks import Communicator
from bort.search.surrogates import Hyperparameters, Trial
from bort.super_network.finetuned_scores import FinetunedRow, FinetunedStore
from bort.super_network.folder import SuperNetwork


class FinetunedErrors:
    """Errors of fine-tuned sub-networks; implements `ErrorSource`.

    The error is 1 minus the mean over the tasks of the mean official dev metric. A score is stored
    as soon as its run has ended, in `scores-rank<n>.jsonl` of the search's folder.

    Args:
        source: a super-network of masked tokens.
        tasks: the tasks with the settings of their fine-tuning.
        seeds: seeds of the runs.
        threads: threads of this process.
        cpu_only: run on the CPU even if there is a GPU.

    Raises:
        InputError: the super-network is one of a task, or an input is longer than it takes.
    """

    hyperparameters: Sequence[Hyperparameters] = (Hyperparameters(),)

    def __init__(
        self,
        source: SuperNetwork,
        tasks: Sequence[PartTask],
        seeds: Sequence[int],
        *,
        threads: int = 1,
        cpu_only: bool = True,
    ) -> None:
        self._source, self._tasks = source, tasks
        self._threads, self._cpu_only = threads, cpu_only
        self.seeds = seeds
        self.whole: Optional[Architecture] = None
        self.reference: Optional[Architecture] = source.whole
        self.identity: Mapping[str, Any] = PartFinetuner(source, tasks, Path()).identity
        names = ", ".join(task.name for task in tasks)
        self.name = f"1 - mean dev metric after fine-tuning on {names}"

    @property
    def length(self) -> Optional[int]:
        """The longest input that the tasks allow, in tokens."""
        return max(task.config.max_len for task in self._tasks)

    def prepare(
        self,
        folder: Path,
        communicator: Communicator,
        stop_requested: Callable[[], bool],
    ) -> Optional[Callable[[], FinetunedError]]:
        """Return a function that makes the model of the error; see `ErrorSource`."""
        finetuner = PartFinetuner(
            self._source,
            self._tasks,
            folder,
            communicator,
            cpu_only=self._cpu_only,
            stop_requested=stop_requested,
        )
        store = FinetunedStore(folder, communicator.rank, finetuner.own_tasks)

        def ready() -> FinetunedError:
            set_openmp_threads(self._threads)  # timing may have changed the number
            return FinetunedError(finetuner, store)

        return ready

    def noise(self, error: float) -> Optional[float]:
        """Return the standard error of the mean of the tasks' shares; see `ErrorSource`."""
        if not 0 <= error <= 1:
            return None
        counts = [sum(len(dev.items) for dev in task.data.dev) for task in self._tasks]
        variances = [error * (1 - error) / max(1, count) for count in counts]
        return math.sqrt(sum(variances)) / len(counts)


class FinetunedError:
    """Fine-tunes a candidate on every task; implements `bort.search.surrogates.ErrorModel`.

    Args:
        finetuner: makes the runs.
        store: scores of the runs that have ended.
    """

    def __init__(self, finetuner: PartFinetuner, store: FinetunedStore) -> None:
        self._finetuner, self._store = finetuner, store

    def error(self, trial: Trial) -> Optional[float]:
        """Return the error of a candidate with one seed; None when a stop was requested."""
        kept = self._store.load()
        scores: List[float] = []
        for task in self._finetuner.tasks:
            row = FinetunedRow(trial.architecture, task, trial.seed)
            if row not in kept:
                found = self._finetuner.score(row)
                if found is None:
                    return None
                self._store.append(row, found)
                kept[row] = found
            self._finetuner.tidy(row)
            scores.append(kept[row].score)
        return 1.0 - math.fsum(scores) / len(scores)
