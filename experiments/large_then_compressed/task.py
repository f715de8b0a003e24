"""The task of the experiment: training examples, those that choose, and those that are reported."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import List, Tuple

from bort.tasks.judging import TaskData, TaskSet
from bort.tasks.options import TaskOptions
from bort.tasks.records import DEV, TRAIN, get_task
from bort.text.pair_form import PairForm
from bort.text.vocabulary import Vocabulary
from data.generated_tasks.scarce import ScarceSizes, open_scarce_task, write_scarce_tasks
from data.tasks.files import find_split
from data.tasks.report_split import open_agora_task
from data.tasks.sets import open_task_data
from experiments.large_then_compressed.plan import LargeConfig

_FILES = "files"
_GOLD = "gold-0"


def prepare_task(config: LargeConfig, folder: Path) -> None:
    """Write a generated task, or copy the files of a GLUE task, into a folder.

    Raises:
        InputError: a file is missing, or the grammar has too few examples.
    """
    target = folder / _FILES
    if config.is_generated:
        sizes = ScarceSizes(
            config.train_size, config.dev_size, config.report_size, config.train_size, seeds=1
        )
        if not target.exists():
            write_scarce_tasks(target, config.task, sizes, config.seed)
        return
    assert config.data_dir is not None, "checked in the settings"
    record, source = get_task(config.task), Path(config.data_dir)
    for split in (*record.splits_of(TRAIN), *record.splits_of(DEV)):
        path = find_split(record, split, source)
        copy = target / record.folder / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def open_experiment_task(
    config: LargeConfig, folder: Path, vocabulary: Vocabulary, pairs: PairForm
) -> Tuple[TaskData, List[TaskSet]]:
    """Open the task that `prepare_task` wrote.

    A generated task has three files. Of a GLUE task, whose test labels are not public, a share of
    the training examples, drawn by the seed, chooses the best epoch, and the dev sets are reported.

    Args:
        config: the experiment.
        folder: folder of the task stage.
        vocabulary: vocabulary of the models.
        pairs: form of inputs of two texts.

    Returns:
        The data of a fine-tuning, whose dev set chooses the best epoch, and the sets that choose
        nothing. No example is in two of the three.
    """
    length = config.max_seq_length
    if config.is_generated:
        task = open_scarce_task(folder / _FILES, config.task, _GOLD, vocabulary, length)
        task.report.fix_winner("the best epoch by the dev set")
        return task.data, [task.open_report()]
    data = open_task_data(
        get_task(config.task),
        vocabulary,
        TaskOptions(),
        length,
        data_dir=folder / _FILES,
        pairs=pairs,
    )
    carved = open_agora_task(data, length, share=config.choice_share, seed=config.seed)
    carved.report.fix_winner("none: these examples choose")
    chooses = dataclasses.replace(carved.open_report(), split=data.dev[0].split)
    return dataclasses.replace(carved.data, dev=[chooses]), list(data.dev)
