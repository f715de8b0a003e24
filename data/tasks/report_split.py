"""Preparation of a task's data for Agora, with a sealed report split."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from pathlib import Path
from typing import Callable, Optional, Sequence

from bort.agora.task_data import AgoraTask, make_agora_task
from bort.agora.task_points import TaskPoints
from bort.storage.files import PathLike
from bort.storage.json_fields import errors_naming
from bort.tasks.items import TaskInput
from bort.tasks.judging import TaskData
from bort.tasks.records import REPORT
from data.tasks.files import read_items, read_labelled_file


def open_agora_task(
    data: TaskData,
    max_length: int,
    *,
    share: float,
    seed: int,
    report_file: Optional[PathLike] = None,
    data_dir: Optional[PathLike] = None,
) -> AgoraTask:
    """Split a report set from the training data, or read it from a file.

    An own task with a report split keeps that one.

    Args:
        data: the task's data (see `data.tasks.sets.open_task_data`).
        max_length: maximum tokens in an input.
        share: share of the training items for the report split, above 0 and below 1.
        seed: seed of the split.
        report_file: a labelled file in the format of the task's dev file, used instead of a share
            of the training data.
        data_dir: folder of the files of an own task; None: that of the task file.

    Raises:
        InputError: the file is invalid, or contains training or dev examples.
    """
    items = None
    if report_file is not None:
        items = read_labelled_file(data.record, Path(report_file))
    elif data.record.splits_of(REPORT):
        items = read_items(data.record, REPORT, data_dir)
    without_test = dataclasses.replace(data, test=[])
    named = errors_naming(str(report_file)) if report_file is not None else nullcontext()
    with named:
        return make_agora_task(without_test, max_length, share=share, seed=seed, report_items=items)


def in_report_split(task: AgoraTask) -> Callable[[Sequence[TaskInput]], bool]:
    """Return a function from the inputs of a question to whether they are in the report split.

    It is `is_sealed` of `data.tasks.unlabelled.open_unlabelled`, so that nothing is learnt from
    texts of the split.
    """

    def is_sealed(inputs: Sequence[TaskInput]) -> bool:
        points = TaskPoints(inputs).points(one._replace(label=0) for one in inputs)
        return any(task.report.holds(point.example) for point in points)

    return is_sealed
