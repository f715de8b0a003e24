"""Settings of an evaluation, the split that a model is scored on, and scores of predictions."""

from __future__ import annotations

import dataclasses
from typing import Mapping, Optional, Protocol

from bort.errors import InputError
from bort.settings.config import Config, setting
from bort.storage.json_fields import errors_naming
from bort.tasks.judging import TaskSet
from bort.tasks.metrics import score_task
from bort.tasks.options import TaskOptions
from bort.tasks.predictions import read_predictions
from bort.tasks.records import TEST, TaskRecord
from bort.text.pair_form import PairForm
from bort.text.vocabulary import Vocabulary
from data.tasks.files import choose_folder
from data.tasks.gold import gold_of_file, gold_of_split
from data.tasks.sets import open_task_set


@dataclasses.dataclass(frozen=True)
class EvaluateConfig(Config):
    """Settings of an evaluation: what to score, and the gold labels."""

    task_name: Optional[str] = setting(
        None, "task, e.g. CoLA, MNLI, SuperGLUE-RTE, RACE-H; none: the model's task"
    )
    model: Optional[str] = setting(None, "folder of a fine-tuned model")
    predictions: Optional[str] = setting(
        None, "file of predictions, .tsv or .jsonl, as in a submission"
    )
    gold: Optional[str] = setting(
        None, "official file with labels, or gold labels in the format of predictions"
    )
    data_dir: Optional[str] = setting(
        None, "folder of official data, if --gold is not given; none: GluonNLP's cache"
    )
    split: str = setting("dev", "split of the official data, e.g. dev, train, dev_mismatched")
    sample: bool = setting(False, "use the small sample of the task that is part of this project")
    batch_size: int = setting(32, "inputs per batch", minimum=1, maximum=1 << 16)

    def check(self) -> None:
        if (self.model is None) == (self.predictions is None):
            raise InputError("exactly one of --model and --predictions is required")
        if self.predictions is not None and self.task_name is None:
            raise InputError("task_name is missing, a file of predictions does not name its task")
        if self.model is not None and self.gold is not None:
            raise InputError("gold is allowed with --predictions only; with --model use --data_dir")
        if self.gold is not None and self.data_dir is not None:
            raise InputError("gold and data_dir are both given, allowed is one of them")


def evaluate_predictions(config: EvaluateConfig, record: TaskRecord) -> Mapping[str, float]:
    """Return the metrics of a file of predictions.

    Args:
        config: names the file and the gold labels.
        record: the task.

    Returns:
        Name of a metric → its value, as a fraction.
    """
    predictions = read_predictions(config.predictions or "", record)
    if config.gold is not None:
        gold = gold_of_file(record, config.gold)
    else:
        _check_labelled(config.split, record)
        gold = gold_of_split(record, config.split, choose_folder(config.data_dir, config.sample))
    with errors_naming(config.predictions or ""):
        return score_task(record, predictions, gold)


class ModelInputs(Protocol):
    """The form of a model's inputs, as a loaded classifier has it."""

    vocabulary: Vocabulary
    options: TaskOptions
    max_length: int
    pairs: PairForm


def open_labelled_set(
    model: ModelInputs,
    record: TaskRecord,
    split: str,
    *,
    data_dir: Optional[str] = None,
    sample: bool = False,
) -> TaskSet:
    """Open a split that a model is scored on.

    Args:
        model: the form of the inputs.
        record: the task.
        split: name of a split with labels.
        data_dir: folder of the official data; None for GluonNLP's cache.
        sample: use the small sample of the task that is part of this project.

    Raises:
        InputError: the split is a test split, or a file is missing or invalid.
    """
    _check_labelled(split, record)
    return open_task_set(
        record,
        split,
        model.vocabulary,
        model.options,
        model.max_length,
        data_dir=data_dir,
        sample=sample,
        pairs=model.pairs,
    )


def _check_labelled(split: str, record: TaskRecord) -> None:
    if record.split(split).role == TEST:
        raise InputError(f"split is {split!r}, allowed is one that has labels")
