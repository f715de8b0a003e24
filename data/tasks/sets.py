"""A task's data for training or prediction: files read, inputs made, tokenised."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Optional, Union

from bort.errors import InputError
from bort.tasks.formulations import make_inputs
from bort.tasks.judging import TaskData, TaskSet
from bort.tasks.options import TaskOptions
from bort.tasks.records import DEV, TEST, TRAIN, Split, TaskRecord, get_task
from bort.text.vocabulary import Vocabulary
from data.tasks.cache import tokenise_cached
from data.tasks.files import SAMPLE_FOLDER, PathLike, find_split, read_items

log = logging.getLogger(__name__)


def open_task_set(
    record: TaskRecord,
    split: str,
    vocabulary: Vocabulary,
    options: TaskOptions,
    max_length: int,
    *,
    training: bool = False,
    data_dir: Optional[PathLike] = None,
    sample: bool = False,
    cache: Optional[Union[str, Path]] = None,
) -> TaskSet:
    """Read, formulate and tokenise one split.

    Args:
        record: the task.
        split: name of one of its splits.
        vocabulary: tokenises.
        options: how items become inputs.
        max_length: longest input in tokens.
        training: leave out what training does not see.
        data_dir: see `data.tasks.files.find_split`.
        sample: the small example that belongs to the project.
        cache: folder that keeps tokenised sets.

    Raises:
        InputError: a file is missing or bad; names it and the line.
    """
    items = read_items(record, split, data_dir, sample)
    inputs = make_inputs(record, items, options, training)
    folder = None if cache is None else Path(cache)
    return TaskSet(record, split, items, tokenise_cached(inputs, vocabulary, max_length, folder))


def open_task_data(
    record: TaskRecord,
    vocabulary: Vocabulary,
    options: TaskOptions,
    max_length: int,
    *,
    data_dir: Optional[PathLike] = None,
    sample: bool = False,
    cache: Optional[Union[str, Path]] = None,
) -> TaskData:
    """All that fine-tuning for a task needs.

    A diagnostic task is trained on that of its model (AX on MNLI, AX-b and AX-g on SuperGLUE's
    RTE). A test set that is not there is left out, with a line that says so.

    Raises:
        InputError: training or dev data are missing, or a file is bad; names it.
    """
    model_task = get_task(record.model_task)

    def open_split(task: TaskRecord, split: Split) -> TaskSet:
        return open_task_set(
            task,
            split.name,
            vocabulary,
            options,
            max_length,
            training=split.role == TRAIN,
            data_dir=data_dir,
            sample=sample,
            cache=cache,
        )

    test = []
    for split in record.splits_of(TEST):
        try:
            find_split(record, split, SAMPLE_FOLDER if sample else data_dir)
        except InputError as error:
            if not record.trains:
                raise
            log.info("no predictions for %s: %s", split.name, error)
            continue
        test.append(open_split(record, split))
    (train,) = (open_split(model_task, split) for split in model_task.splits_of(TRAIN))
    dev = [open_split(model_task, split) for split in model_task.splits_of(DEV)]
    return TaskData(model_task, options, train, dev, test, vocabulary)
