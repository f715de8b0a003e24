"""Agora on one task, from the task's files to the predictions of its test set."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

from bort.agora.config import AgoraConfig, AgoraPaths
from bort.agora.hyperparameters import HyperparameterSets
from bort.agora.points_file import read_points
from bort.agora.task_data import check_agora_learns
from bort.agora.timaeus_config import TimaeusConfig
from bort.errors import InputError
from bort.gluon.agora.models import options_of
from bort.gluon.agora.plan import AGORA_SETTINGS_FILE, AgoraPlan
from bort.gluon.agora.run import run_agora_in_folder
from bort.gluon.agora.sample import make_sample_models
from bort.gluon.distributed import find_communicator
from bort.gluon.finetuning.starting_point import (
    SAMPLE_ARCHITECTURE,
    StartingPoint,
    pair_form,
    starting_point,
)
from bort.gluon.network.teacher_start import open_teacher_start
from bort.ranks import Communicator
from bort.storage.locks import hold_run_folder
from bort.storage.outputs import check_output_folder
from bort.tasks.options import TaskOptions
from bort.tasks.records import TaskRecord
from bort.tasks.submissions import warn_of_other_sizes, write_all_test_predictions
from bort.text.pair_form import pair_form_of_run
from bort.training.finetuning_config import FinetuningPaths
from data.tasks.report_split import open_agora_task
from data.tasks.sample_vocabulary import train_sample_vocabulary
from data.tasks.sets import open_task_data

_SAMPLE = "sample"  # folder of the models of --sample in the folder of the run


def run_agora_on_task(
    record: TaskRecord,
    paths: AgoraPaths,
    config: AgoraConfig,
    sets: HyperparameterSets,
    timaeus: TimaeusConfig,
    stop_requested: Callable[[], bool],
) -> Optional[Dict[str, Any]]:
    """Run Agora on a task and write the best model's predictions for the test sets.

    Args:
        record: the task that `paths` names.
        paths: models, data and folder of the run.
        config: settings of the loop.
        sets: hyperparameter sets, Θ.
        timaeus: settings that all trainings share.
        stop_requested: returns whether the run should end early.

    Returns:
        The summary of the run, with the files of predictions; None on ranks other than 0.

    Raises:
        InputError: a model or the data are missing or invalid, Socrates is too weak, or the folder
            holds another run.
    """
    check_agora_learns(record)
    communicator = find_communicator()
    check_output_folder(_folder_of(record, paths))
    folder = _folder_of(record, paths)
    # The folder is held before the sample models are made in it.
    with hold_run_folder(folder, communicator), _only_for_accepted_runs(
        folder / _SAMPLE, communicator
    ):
        plan = plan_agora(record, paths, config, sets, timaeus, communicator)
        if communicator.rank == 0 and not paths.sample:
            warn_of_other_sizes(plan.test)
        summary = run_agora_in_folder(
            plan,
            communicator,
            resume=paths.resume,
            cpu_only=paths.cpu_only,
            stop_requested=stop_requested,
            show_progress=True,
            is_held=True,
        )
    if communicator.rank != 0:
        return None
    predictions: List[Any] = summary.pop("test_predictions", [])
    if not summary["stopped"]:
        summary["predictions"] = write_all_test_predictions(
            plan.folder, plan.test, predictions, official=not paths.sample
        )
    return summary


def _folder_of(record: TaskRecord, paths: AgoraPaths) -> Path:
    return Path(paths.output_dir or Path("runs") / "agora" / record.name)


@contextlib.contextmanager
def _only_for_accepted_runs(folder: Path, communicator: Communicator) -> Iterator[None]:
    """Remove the sample models that were made for a run which is then refused."""
    before = set(folder.glob("*"))
    try:
        yield
    except InputError:
        if communicator.rank == 0:
            for path in set(folder.glob("*")) - before:
                shutil.rmtree(path, ignore_errors=True)
            with contextlib.suppress(OSError):  # a folder with content stays
                folder.rmdir()
        raise


def plan_agora(
    record: TaskRecord,
    paths: AgoraPaths,
    config: AgoraConfig,
    sets: HyperparameterSets,
    timaeus: TimaeusConfig,
    communicator: Communicator,
) -> AgoraPlan:
    """Open the data and models of a run of Agora; with `paths.sample` small models are made.

    Arguments and errors are those of `run_agora_on_task`.
    """
    folder = _folder_of(record, paths)
    named = FinetuningPaths(
        record.model_task,  # MNLI for AX
        paths.timaeus,
        paths.architecture,
        paths.vocab,
        sample=paths.sample,
    )
    sliced = open_teacher_start(
        paths.initialise_from, paths.socrates, timaeus.ranking, of="socrates", word="socrates"
    )
    start, vocabulary = starting_point(named, train_sample_vocabulary, sliced)
    start = dataclasses.replace(start, stored_in=folder)
    options = TaskOptions() if paths.socrates is None else options_of(Path(paths.socrates))
    data = open_task_data(
        record,
        vocabulary,
        options,
        timaeus.max_len,
        data_dir=paths.data_dir,
        sample=paths.sample,
        pairs=(paths.resume and pair_form_of_run(folder / AGORA_SETTINGS_FILE))
        or pair_form(start, vocabulary),
    )
    task = open_agora_task(
        data,
        timaeus.max_len,
        share=paths.report_share,
        seed=config.seed,
        report_file=paths.report_file,
        data_dir=paths.data_dir,
    )
    points = () if paths.points is None else tuple(read_points(Path(paths.points), task))
    socrates = Path(paths.socrates or "")
    needs_timaeus = not paths.timaeus and sliced is None
    if paths.sample and (needs_timaeus or not paths.socrates):
        made = make_sample_models(
            folder / _SAMPLE, task.data, SAMPLE_ARCHITECTURE, timaeus.max_len, communicator
        )
        if needs_timaeus:
            start = StartingPoint(str(made[0]), SAMPLE_ARCHITECTURE)
        socrates = Path(paths.socrates or made[1])
    return AgoraPlan(
        config,
        timaeus,
        sets,
        task,
        start,
        socrates,
        paths.proposer,
        folder,
        points,
        tuple(data.test),
    )
