"""Tokenised task data for training and prediction."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Optional, Union

from bort.errors import InputError
from bort.storage.files import PathLike
from bort.tasks.formulations import make_inputs
from bort.tasks.judging import TaskData, TaskSet
from bort.tasks.options import TaskOptions
from bort.tasks.records import DEV, TEST, TRAIN, Split, TaskRecord, get_task
from bort.tasks.squad.windows import make_span_features
from bort.text.pair_form import ROBERTA_PAIRS, PairForm
from bort.text.vocabulary import Vocabulary
from data.tasks.cache import tokenise_cached
from data.tasks.files import choose_folder, find_split, read_items

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
    pairs: PairForm = ROBERTA_PAIRS,
) -> TaskSet:
    """Read, formulate and tokenise one split.

    Args:
        record: the task.
        split: name of one of its splits.
        vocabulary: the vocabulary that tokenises the inputs.
        options: the formulation of items as inputs.
        max_length: maximum tokens in an input.
        training: leave out inputs that are not used for training.
        data_dir: see `data.tasks.files.find_split`.
        sample: read the small sample that is part of this project.
        cache: the folder of cached tokenised sets; None: no cache. Windows of passages (SQuAD) are
            made again each time.
        pairs: form of inputs of two texts.

    Raises:
        InputError: a file is missing or invalid; names file and line.
    """
    items = read_items(record, split, data_dir, sample)
    if record.has_spans:
        windows = make_span_features(items, vocabulary, pairs, options.spans, max_length, training)
        return TaskSet(record, split, items, windows)
    inputs = make_inputs(record, items, options, training)
    folder = None if cache is None else Path(cache)
    name = f"{record.name} {split}"
    features = tokenise_cached(inputs, vocabulary, max_length, folder, pairs, name)
    return TaskSet(record, split, items, features)


def open_task_data(
    record: TaskRecord,
    vocabulary: Vocabulary,
    options: TaskOptions,
    max_length: int,
    *,
    data_dir: Optional[PathLike] = None,
    sample: bool = False,
    cache: Optional[Union[str, Path]] = None,
    pairs: PairForm = ROBERTA_PAIRS,
) -> TaskData:
    """Open the training, dev and test data for fine-tuning on a task.

    A diagnostic task uses the training data of another task (AX of MNLI, AX-b and AX-g of
    SuperGLUE's RTE). A missing test set is left out, and this is logged.

    Args:
        record: the task.
        vocabulary, options, max_length, data_dir, sample, cache, pairs: see `open_task_set`.

    Raises:
        InputError: training or dev data are missing, or a file is invalid; names the file.
    """
    model_task = record if record.trains else get_task(record.model_task)

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
            pairs=pairs,
        )

    folder = choose_folder(record, data_dir, sample)
    for split in (*model_task.splits_of(TRAIN), *model_task.splits_of(DEV)):
        find_split(model_task, split, folder)  # before a missing test set is logged
    test = []
    for split in record.splits_of(TEST):
        try:
            find_split(record, split, folder)
        except InputError as error:
            if not record.trains:
                raise
            log.info("no predictions for %s: %s", split.name, error)
            continue
        test.append(open_split(record, split))
    (train,) = (open_split(model_task, split) for split in model_task.splits_of(TRAIN))
    dev = [open_split(model_task, split) for split in model_task.splits_of(DEV)]
    return TaskData(model_task, options, train, dev, test, vocabulary, pairs=pairs)
