"""Fine-tuning of many sub-networks of one super-network on tasks, with several seeds."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from bort.architecture import Architecture
from bort.errors import BortError, InputError, WorkError
from bort.gluon.engine import set_openmp_threads
from bort.gluon.finetuning.finetune import check_inputs_fit
from bort.gluon.finetuning.run import run_finetuning
from bort.gluon.finetuning.starting_point import StartingPoint
from bort.gluon.super_network.evaluation import SUMMARY_FILE
from bort.network.array_network import ArrayNetwork
from bort.ranks import ALONE, Communicator, SingleProcess, on_rank_0
from bort.storage.files import write_json
from bort.storage.json_fields import errors_naming
from bort.storage.locks import hold_run_folder
from bort.storage.run_claim import claim_folder
from bort.storage.run_folder import METRICS_FILE, MODEL_FOLDER, RUN_FILE
from bort.super_network.extraction import extracted_network, write_extracted
from bort.super_network.finetuned_scores import (
    FinetunedPart,
    FinetunedRow,
    FinetunedScore,
    FinetunedStore,
    by_part,
    finetuned_table,
)
from bort.super_network.folder import SuperNetwork
from bort.super_network.parts import part_name
from bort.super_network.scores import EVALUATION_FILE, PART_SCORES
from bort.super_network.shared_scoring import share_scoring
from bort.tasks.judging import TaskData
from bort.tasks.own.task import OwnTask
from bort.tasks.training_inputs import training_examples
from bort.training.finetuning_config import FinetuningConfig

log = logging.getLogger(__name__)

RUNS_FOLDER = "runs"
"""Folder of the fine-tuning runs in that of an evaluation: `runs/<sub-network>/<task>/seed-<n>`."""

_START_FOLDER = "start"
_KEPT = (RUN_FILE, METRICS_FILE, MODEL_FOLDER)


@dataclass(frozen=True)
class PartTask:
    """A task with the settings of fine-tuning on it.

    Attributes:
        data: data sets of the task; its test sets are not used.
        config: settings; their seed is not used, and a batch has at most all training inputs.
    """

    data: TaskData
    config: FinetuningConfig

    @property
    def name(self) -> str:
        """The name of the task."""
        return self.data.record.name


class PartFinetuner:
    """Fine-tunes sub-networks of a super-network, each from the super-network's own weights.

    A run is an ordinary fine-tuning in a folder of its own, so a killed one continues from its
    newest checkpoint.

    Args:
        source: a super-network of masked tokens.
        tasks: the tasks, each once.
        folder: folder of the runs.
        communicator: the ranks of this command; a run is made by one of them.
        cpu_only: run on the CPU even if there is a GPU.
        stop_requested: called before every step; True stops after that step.

    Attributes:
        tasks: the tasks by name.
        own_tasks: names of the tasks that are not in the table.
        identity: JSON-ready values that identify super-network, data and settings.

    Raises:
        InputError: the super-network is one of a task, or an input is longer than it takes.
    """

    def __init__(
        self,
        source: SuperNetwork,
        tasks: Sequence[PartTask],
        folder: Path,
        communicator: Communicator = ALONE,
        *,
        cpu_only: bool = True,
        stop_requested: Callable[[], bool] = lambda: False,
    ) -> None:
        check_masked_token_model(source)
        self.tasks = {task.name: _fitted(task, source.whole) for task in tasks}
        self.own_tasks = tuple(
            name for name, task in self.tasks.items() if isinstance(task.data.record, OwnTask)
        )
        self._source, self._folder = source, folder
        self._rank = SingleProcess()
        self._rank.local_rank = communicator.local_rank
        self._cpu_only, self._stop_requested = cpu_only, stop_requested
        self._whole: List[ArrayNetwork] = []
        self.identity: Mapping[str, Any] = {
            "super_network": source.fingerprint,
            "tasks": {name: _identity(task) for name, task in self.tasks.items()},
        }

    def score(self, row: FinetunedRow) -> Optional[FinetunedScore]:
        """Fine-tune a sub-network on a task with a seed, and return its dev scores.

        Returns:
            The scores; None if the run was asked to stop. Its folder stays until `tidy`.

        Raises:
            InputError: the sub-network does not fit, or a file is damaged.
            WorkError: the loss or a metric is not finite, or the disk is full.
        """
        task, place = self.tasks[row.task], self._place(row)
        start = place / _START_FOLDER
        if not start.exists():
            if not self._whole:  # a finished evaluation reads no weights
                self._whole.append(self._source.read_network())
            network = extracted_network(self._source, self._whole[0], row.architecture, metrics={})
            write_extracted(network, self._source.read_vocabulary(), start)
            del network
        try:
            found = run_finetuning(
                task.data,
                StartingPoint(str(start), ""),
                task.config.replace(seed=row.seed),
                place,
                self._rank,
                resume=(place / RUN_FILE).exists(),
                cpu_only=self._cpu_only,
                is_shown=False,
                stop_requested=self._stop_requested,
            )
        except BortError as error:
            raise type(error)(f"{row.name}: {error}") from error
        gc.collect()  # Gluon's blocks refer to each other: this frees the network
        if found["stopped"]:
            return None
        best, last = found["best"], found["last"]
        if best is None:
            raise WorkError(f"{row.name}: the task has no dev set, so there is no score")
        return FinetunedScore(row, best["metrics"], last["metrics"], best["epoch"], found["steps"])

    def tidy(self, row: FinetunedRow, keep_model: bool = False) -> None:
        """Remove the folder of a finished run, or all of it but its records and its model.

        A run that was tidied before stays as it is.
        """
        place = self._place(row)
        if not (place / _START_FOLDER).exists():
            return
        for path in list(place.iterdir()):
            if path.name == _START_FOLDER or (keep_model and path.name in _KEPT):
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
        shutil.rmtree(place / _START_FOLDER, ignore_errors=True)  # last, as the mark of the rest
        for folder in (place, *list(place.parents)[:3]):
            with contextlib.suppress(OSError):  # the folder holds something else
                folder.rmdir()

    def _place(self, row: FinetunedRow) -> Path:
        runs = self._folder / RUNS_FOLDER
        return runs / part_name(row.architecture) / row.task / f"seed-{row.seed}"


def check_masked_token_model(source: SuperNetwork) -> None:
    """Check that sub-networks of a super-network can be fine-tuned on any task.

    Raises:
        InputError: it is a super-network of a task.
    """
    task = source.description.task
    if source.description.head is not None:
        of = "a task" if task is None else task.name
        raise InputError(
            f"{source.folder}: is a super-network of {of}, whose sub-networks are scored without "
            "training; allowed with tasks is one of masked tokens"
        )


def finetune_parts(
    finetuner: PartFinetuner,
    parts: Sequence[Architecture],
    seeds: Sequence[int],
    folder: Path,
    communicator: Communicator,
    *,
    length: int,
    threads: int = 1,
    resume: bool = False,
    keep_models: bool = False,
    stop_requested: Callable[[], bool] = lambda: False,
) -> Optional[List[FinetunedPart]]:
    """Fine-tune sub-networks on all tasks with all seeds, each once, on one of the ranks.

    The scores are lines of `scores-rank<n>.jsonl` in the folder. A killed or stopped evaluation
    continues with `resume`, which may also add sub-networks and seeds.

    Args:
        finetuner: makes the runs, in the same folder.
        parts: sub-networks, which fit into the whole network.
        seeds: seeds of each sub-network on each task.
        folder: folder of the evaluation.
        communicator: the ranks that share the rows.
        length: tokens of the sequence whose multiply-adds are reported.
        threads: threads per process.
        resume: continue the evaluation in the folder.
        keep_models: keep the fine-tuned models.
        stop_requested: called before each row; True stops.

    Returns:
        The sub-networks with their scores, the best first; None if the evaluation was stopped.

    Raises:
        InputError: the folder holds another evaluation, or a file is damaged.
        WorkError: the loss is not finite, or the disk is full.
    """
    chief = communicator.rank == 0
    # Ranks take every n-th row, so neighbours in this list cost about the same.
    rows = [
        FinetunedRow(part, task, seed)
        for task in finetuner.tasks
        for seed in dict.fromkeys(seeds)
        for part in dict.fromkeys(parts)
    ]
    with hold_run_folder(folder, communicator):
        on_rank_0(communicator, lambda: _claim(finetuner.identity, folder, resume))
        store = FinetunedStore(folder, communicator.rank, finetuner.own_tasks)
        kept = store.load()
        if chief:
            for row in kept:  # a kill may come between a score and the removal of its run
                finetuner.tidy(row, keep_models)
        set_openmp_threads(threads)

        def show(row: FinetunedRow) -> None:
            finetuner.tidy(row, keep_models)
            if chief:
                log.info("%s: %.4f", row.name, store.load()[row].score)

        found = share_scoring(
            rows,
            finetuner.score,
            store,
            "fine-tuning sub-networks",
            "run",
            communicator=communicator,
            stop_requested=stop_requested,
            on_result=show,
        )
        if found is None:
            return None
        ordered = by_part(list(found.values()), length)
        if chief:
            write_json(folder / SUMMARY_FILE, {"scores": [one.as_dict() for one in ordered]})
            log.info("\n%s\n", finetuned_table(ordered))
        return ordered


def _fitted(task: PartTask, whole: Architecture) -> PartTask:
    """Return a task without test sets whose inputs and batches fit."""
    data = dataclasses.replace(task.data, test=())
    with errors_naming(task.name):
        check_inputs_fit(whole, [one.features.lengths for one in data.sets])
    rows = task.config.batch_size or data.record.batch_size
    # One incomplete batch is the whole set.
    rows = min(rows, max(1, len(training_examples(data)) // task.config.accumulate))
    return PartTask(data, task.config.replace(batch_size=rows))


def _identity(task: PartTask) -> Dict[str, Any]:
    settings = task.config.results_settings()
    del settings["seed"]  # a part of each row
    return {
        "settings": settings,
        "options": task.data.options.as_dict(),
        "train": task.data.train.features.fingerprint,
        "dev": {dev.split: dev.features.fingerprint for dev in task.data.dev},
    }


def _claim(identity: Mapping[str, Any], folder: Path, resume: bool) -> None:
    defaults = {"settings": FinetuningConfig.defaults()}
    claim_folder(
        folder,
        EVALUATION_FILE,
        identity,
        "fine-tuning of sub-networks",
        resume,
        defaults={"tasks": dict.fromkeys(identity["tasks"], defaults)},
        results=(f"{PART_SCORES}-rank*.jsonl", f"{RUNS_FOLDER}/*/*/*/{RUN_FILE}"),
    )
