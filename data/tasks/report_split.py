"""A task's files made ready for Agora."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Optional

from bort.agora.task_data import AgoraTask, make_agora_task
from bort.tasks.judging import TaskData
from data.tasks.files import PathLike, read_labelled_file


def open_agora_task(
    data: TaskData,
    max_length: int,
    *,
    share: float,
    seed: int,
    report_file: Optional[PathLike] = None,
) -> AgoraTask:
    """Carve the report split from the training data, or read it from a file.

    Args:
        data: the task's data (`data.tasks.sets.open_task_data`).
        max_length: longest input in tokens.
        share: of the training items that is carved.
        seed: of the carving.
        report_file: labelled, in the form of the task's dev file; nothing is carved then.

    Raises:
        InputError: a bad file, or one that holds training or dev examples.
    """
    items = None
    if report_file is not None:
        items = read_labelled_file(data.record, Path(report_file))
    without_test = dataclasses.replace(data, test=[])
    return make_agora_task(without_test, max_length, share=share, seed=seed, report_items=items)
