"""What an evaluation is asked, and the score of a file of predictions."""

from __future__ import annotations

import dataclasses
from typing import Mapping, Optional

from bort.errors import InputError
from bort.settings.config import Config, setting
from bort.tasks.metrics import score_task
from bort.tasks.predictions import read_predictions
from bort.tasks.records import TEST, TaskRecord
from data.tasks.files import SAMPLE_FOLDER
from data.tasks.gold import gold_of_file, gold_of_split


@dataclasses.dataclass(frozen=True)
class EvaluateConfig(Config):
    """What to score, and against what."""

    task_name: Optional[str] = setting(
        None, "the task, e.g. CoLA, MNLI, SuperGLUE-RTE, RACE-H; default: the model's"
    )
    model: Optional[str] = setting(None, "folder of a fine-tuned model")
    predictions: Optional[str] = setting(
        None, "file of predictions, .tsv or .jsonl, as in a submission"
    )
    gold: Optional[str] = setting(
        None, "official file with labels, or gold labels in the form of predictions"
    )
    data_dir: Optional[str] = setting(
        None, "folder of official data, when --gold is not given (none: GluonNLP's cache)"
    )
    split: str = setting("dev", "split of the official data, e.g. dev, train, dev_mismatched")
    sample: bool = setting(False, "use the small example of the task that comes along")
    batch_size: int = setting(32, "inputs at a time", minimum=1)

    def check(self) -> None:
        if (self.model is None) == (self.predictions is None):
            raise InputError("allowed is one of --model and --predictions, and one is needed")
        if self.predictions is not None and self.task_name is None:
            raise InputError("task_name is missing, predictions do not say it")
        if self.model is not None and self.gold is not None:
            raise InputError("gold is for predictions; a model reads --data_dir")
        if self.gold is not None and self.data_dir is not None:
            raise InputError("gold and data_dir are both given, allowed is one of them")


def evaluate_predictions(config: EvaluateConfig, record: TaskRecord) -> Mapping[str, float]:
    """The metrics of a file of predictions."""
    predictions = read_predictions(config.predictions or "", record)
    if config.gold is not None:
        return score_task(record, predictions, gold_of_file(record, config.gold))
    check_split(config, record)
    gold = gold_of_split(record, config.split, SAMPLE_FOLDER if config.sample else config.data_dir)
    return score_task(record, predictions, gold)


def check_split(config: EvaluateConfig, record: TaskRecord) -> None:
    """Raise `InputError` for a split without labels."""
    if record.split(config.split).role == TEST:
        raise InputError(f"split is {config.split!r}, allowed is one that has labels")
