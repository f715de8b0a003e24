"""The task of a small model: its training, dev and unlabelled inputs, and a sealed report split."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Dict, Optional

import numpy as np

from bort.agora.task_data import AgoraTask
from bort.formats.network_folder import read_folder_description, vocabulary_of
from bort.network.description import ModelDescription
from bort.tasks.judging import TaskData
from bort.tasks.options import TaskOptions
from bort.tasks.own.task import OwnTask, definition_of
from bort.tasks.records import DEV, TEST, TRAIN, TaskRecord
from bort.text.vocabularies import load_vocabulary
from data.tasks.files import find_split
from data.tasks.report_split import in_report_split, open_agora_task
from data.tasks.sets import open_task_set
from data.tasks.unlabelled import open_unlabelled
from experiments.small_model.config import SmallModelConfig

_CARVE_SEED = 0
"""Seed of the report split of a task that has none: the same for all seeds of a comparison."""

_LENGTHS = 90


@dataclasses.dataclass(frozen=True)
class SmallTask:
    """A task that is open.

    Attributes:
        whole: the task with its report split, which is sealed until a winner is fixed.
        data: training, dev and unlabelled inputs; none of them is in the report split.
        length: longest input, in tokens.
        usual_length: tokens that 90 % of the training inputs do not exceed.
    """

    whole: AgoraTask
    data: TaskData
    length: int
    usual_length: int

    @property
    def training_inputs(self) -> int:
        """Number of the training inputs, of which a row may have several."""
        return len(self.data.train.features)

    @property
    def inputs(self) -> int:
        """Number of the training and unlabelled inputs, which are those of a student's epoch."""
        unlabelled = self.data.unlabelled
        return self.training_inputs + (0 if unlabelled is None else len(unlabelled.features))

    def described(self) -> Dict[str, Any]:
        """Return name, kind, labels, metrics and sizes of the splits, JSON-ready."""
        record = self.data.record
        train, report = len(self.data.train.items), len(self.whole.report_items)
        dev = sum(len(one.items) for one in self.data.dev)
        unlabelled = 0 if self.data.unlabelled is None else len(self.data.unlabelled.items)
        return {
            "name": record.name,
            "kind": record.formulation,
            "fields": list(record.fields),
            "rows": train + dev + report,
            "train": train,
            "dev": dev,
            "report": report,
            "unlabelled": unlabelled,
            "metrics": list(record.metrics),
            "labels": list(record.labels),
            "several_labels": record.several_labels,
        }


def open_small_task(record: TaskRecord, config: SmallModelConfig) -> SmallTask:
    """Open a task in the form that the teacher's inputs have.

    A task without a report split of its own and without a report file gives a share of its training
    examples to one.

    Args:
        record: the task.
        config: teacher, folder of the data, report file, unlabelled texts, longest input, and the
            share.

    Raises:
        InputError: a file is missing or bad, or the task has spans.
    """
    description = read_folder_description(config.teacher)
    vocabulary = load_vocabulary(vocabulary_of(config.teacher))
    pairs = description.pair_form(vocabulary)
    options = options_of_model(description, config.teacher)
    length = longest_input(config, description)

    def opened(split: str) -> Any:
        return open_task_set(
            record,
            split,
            vocabulary,
            options,
            length,
            training=split == TRAIN,
            data_dir=config.data_dir,
            pairs=pairs,
        )

    (train,) = (opened(split.name) for split in record.splits_of(TRAIN))
    dev = [opened(split.name) for split in record.splits_of(DEV)]
    whole = open_agora_task(
        TaskData(record, options, train, dev, [], vocabulary, pairs=pairs),
        length,
        share=config.report_share,
        seed=_CARVE_SEED,
        report_file=config.report_file,
        data_dir=config.data_dir,
    )
    data = whole.data
    if config.unlabelled is not None:
        sealed = in_report_split(whole)
        further = open_unlabelled(
            config.unlabelled, data, length, data_dir=config.data_dir, is_sealed=sealed
        )
        data = dataclasses.replace(data, unlabelled=further)
    usual = int(np.percentile(data.train.features.lengths, _LENGTHS, method="lower"))
    return SmallTask(whole, data, length, usual)


def options_of_model(description: ModelDescription, source: str) -> TaskOptions:
    """Return the options that a model was fine-tuned with; the defaults for another model."""
    task = description.task
    if task is None or task.options is None:
        return TaskOptions()
    return TaskOptions.from_dict(task.options, source)


def longest_input(config: SmallModelConfig, description: ModelDescription) -> int:
    """Return the tokens of the longest input: `max_len`, or what the teacher takes at most."""
    return min(config.max_len, description.architecture.maximum_length)


def task_files(record: TaskRecord, config: SmallModelConfig) -> Dict[str, Path]:
    """Return the files of a task by a label, for the keys of stages.

    Raises:
        InputError: a file is missing.
    """
    found = {
        split.name: find_split(record, split, config.data_dir)
        for split in record.splits
        if split.role != TEST
    }
    for name in ("report_file", "unlabelled"):
        given = getattr(config, name)
        if given is not None:
            found[name] = Path(given)
    return found


def task_identity(record: TaskRecord) -> Dict[str, Any]:
    """Return what a result depends on beside the files: the name, or the definition of an own one.

    The SHA-256 of its files are left out, since they are in the keys of stages already.
    """
    definition: Optional[Dict[str, Any]] = definition_of(record)
    if isinstance(record, OwnTask):
        definition = definition_of(dataclasses.replace(record, sha256=()))
    return {"name": record.name, "definition": definition}
