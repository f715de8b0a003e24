"""Fine-tuning on one task, from the task's files to the predictions of its test set."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from bort.errors import InputError
from bort.gluon.distributed import choose_context, find_communicator
from bort.gluon.finetuning.seeds import pair_form_to_resume, run_seeds
from bort.gluon.finetuning.starting_point import pair_form, starting_point
from bort.gluon.finetuning.task_classifier import TaskClassifier
from bort.gluon.network.teacher_start import open_teacher_start
from bort.ranks import Communicator
from bort.storage.outputs import check_output_folder
from bort.tasks.judging import TaskData, TaskSet
from bort.tasks.options import TaskOptions
from bort.tasks.records import REPORT, TaskRecord
from bort.tasks.squad.decoding import SpanAnswer
from bort.tasks.squad.files import write_answers
from bort.tasks.submissions import warn_of_other_sizes, write_all_test_predictions
from bort.training.finetuning_config import FinetuningConfig, FinetuningPaths
from data.tasks.report_split import in_report_split, open_agora_task
from data.tasks.sample_vocabulary import train_sample_vocabulary
from data.tasks.sets import open_task_data
from data.tasks.unlabelled import open_unlabelled


def finetune_on_task(
    record: TaskRecord,
    paths: FinetuningPaths,
    options: TaskOptions,
    config: FinetuningConfig,
    stop_requested: Callable[[], bool],
) -> Optional[Dict[str, Any]]:
    """Fine-tune a model on a task and write its predictions for the test sets.

    Args:
        record: the task that `paths` names.
        paths: model, data and folder of the run.
        options: the formulation of items as inputs.
        config: settings of the training.
        stop_requested: returns whether the run should end early.

    Returns:
        The summary of the run, with the files of predictions; None on ranks other than 0.

    Raises:
        InputError: the model or the data are missing or invalid, or the folder holds another run.
    """
    communicator = find_communicator()
    folder = Path(paths.output_dir or Path("runs") / "finetune" / record.name)
    check_output_folder(folder)
    student = open_teacher_start(paths.initialise_from, paths.teacher, config.ranking, of="teacher")
    start, vocabulary = starting_point(paths, train_sample_vocabulary, student)
    data = open_task_data(
        record,
        vocabulary,
        options,
        config.max_len,
        data_dir=paths.data_dir,
        sample=paths.sample,
        cache=paths.cache_dir,
        pairs=(paths.resume and pair_form_to_resume(folder)) or pair_form(start, vocabulary),
    )
    sealing: Dict[str, Any] = {}
    if paths.report_share:
        if record.splits_of(REPORT):
            raise InputError(
                f"report_share is {paths.report_share}, allowed is 0: {record.name} has a report "
                "split of its own, which run_agora.py takes"
            )
        carved = open_agora_task(
            data, config.max_len, share=paths.report_share, seed=paths.report_seed
        )
        data = dataclasses.replace(carved.data, test=data.test)
        sealing = {"is_sealed": in_report_split(carved)}
    if communicator.rank == 0 and not paths.sample:
        warn_of_other_sizes(data.test)
    if paths.unlabelled is not None:
        unlabelled = open_unlabelled(
            paths.unlabelled, data, config.max_len, paths.cache_dir, paths.data_dir, **sealing
        )
        data = dataclasses.replace(data, unlabelled=unlabelled)
    summary = run_seeds(
        data,
        start,
        config,
        folder,
        communicator,
        seeds=paths.seeds,
        teacher=paths.teacher,
        resume=paths.resume,
        cpu_only=not paths.gpu,
        replay=paths.replay,
        stop_requested=stop_requested,
    )
    answers = _span_answers(data, summary, config, communicator, not paths.gpu)
    if communicator.rank != 0:
        return None
    if answers:
        written = [
            write_answers(folder / "predictions" / one.split, one.items, found)
            for one, found in answers
        ]
        summary["predictions"] = [str(path) for files in written for path in files]
        return summary
    predictions: List[Any] = summary.pop("test_predictions", [])
    summary["predictions"] = write_all_test_predictions(
        folder, data.test, predictions, official=not paths.sample
    )
    return summary


def _span_answers(
    data: TaskData,
    summary: Mapping[str, Any],
    config: FinetuningConfig,
    communicator: Communicator,
    cpu_only: bool,
) -> List[Tuple[TaskSet, List[SpanAnswer]]]:
    """Return the best model's answers for the dev and test sets of a task with spans.

    There are none for another task, or if the run was stopped.
    """
    if not data.record.has_spans or summary["stopped"]:
        return []
    model = TaskClassifier.load(summary["model"], choose_context(communicator, cpu_only))
    size = config.batch_size_eval
    return [(one, model.answers(one, communicator, size)) for one in (*data.dev, *data.test)]
