"""Settings of an evaluation, the split that a model is scored on, and scores of predictions."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, Dict, Mapping, NamedTuple, Optional, Protocol, Sequence

from bort.errors import InputError
from bort.process.threads import check_thread_count
from bort.settings.config import Config, setting
from bort.storage.json_fields import errors_naming
from bort.tasks.features import tokenise
from bort.tasks.formulations import make_inputs
from bort.tasks.judging import TaskSet
from bort.tasks.metrics import score_task
from bort.tasks.options import TaskOptions
from bort.tasks.own.task import OwnTask
from bort.tasks.predictions import read_predictions
from bort.tasks.records import DEV, TEST, TaskRecord
from bort.tasks.squad.decoding import SpanAnswer
from bort.tasks.squad.files import read_answers, read_null_odds
from bort.tasks.squad.scores import score_squad
from bort.text.pair_form import PairForm
from bort.text.vocabulary import Vocabulary
from data.tasks.files import choose_folder, read_labelled_file
from data.tasks.gold import gold_of_file, gold_of_split
from data.tasks.sets import open_task_set


@dataclasses.dataclass(frozen=True)
class EvaluateConfig(Config):
    """Settings of an evaluation: what to score, and the gold labels."""

    task_name: Optional[str] = setting(
        None,
        "task, e.g. CoLA, MNLI, SuperGLUE-RTE, RACE-H, or a task file; none: the model's task",
    )
    model: Optional[str] = setting(
        None,
        "folder of a fine-tuned model: trained here, exported to ONNX or OpenVINO, or from "
        "Hugging Face",
    )
    predictions: Optional[str] = setting(
        None, "file of predictions, .tsv or .jsonl, as in a submission; of SQuAD predictions.json"
    )
    null_odds: Optional[str] = setting(
        None, "null_odds.json with --predictions of SQuAD2.0, for the best thresholds"
    )
    gold: Optional[str] = setting(
        None, "official file with labels, or gold labels in the format of predictions"
    )
    data_dir: Optional[str] = setting(
        None,
        "folder of official data, if --gold is not given; none: GluonNLP's cache. For an own task: "
        "folder of its files, or another file, whose rows with a label and a text are all scored",
    )
    split: str = setting(
        "dev",
        "split of the official data, e.g. dev, train, dev_mismatched; of an own task also report",
    )
    sample: bool = setting(False, "use the small sample of the task that is part of this project")
    batch_size: int = setting(32, "inputs per batch", minimum=1, maximum=1 << 16)
    engine: Optional[str] = setting(
        None,
        "engine that runs --model; auto: the fastest that is installed and reads it; default: "
        "mxnet, which gives the scores of the training, and for an exported folder auto",
        choices=("auto", "mxnet", "onnxruntime", "openvino"),
    )
    precision: str = setting(
        "fp32",
        "fp32; fast: bf16 or int8 where that is faster; bf16 or int8: that or an error. Scores "
        "may differ a little from those in fp32",
        choices=("fp32", "fast", "bf16", "int8"),
    )
    threads: Optional[int] = setting(None, "threads of the engine; default: all cores", minimum=1)

    def check(self) -> None:
        if (self.model is None) == (self.predictions is None):
            raise InputError("exactly one of --model and --predictions is required")
        if self.predictions is not None and self.task_name is None:
            raise InputError("task_name is missing, a file of predictions does not name its task")
        if self.model is not None and self.gold is not None:
            raise InputError("gold is allowed with --predictions only; with --model use --data_dir")
        if self.null_odds is not None and self.predictions is None:
            raise InputError("null_odds is allowed with --predictions only; a model has its own")
        if self.gold is not None and self.data_dir is not None:
            raise InputError("gold and data_dir are both given, allowed is one of them")
        if self.threads is not None:
            check_thread_count("threads", self.threads)


class Evaluation(NamedTuple):
    """The scores of a model or of predictions.

    Attributes:
        metrics: name of a metric → its value, as a fraction.
        official: the report of SQuAD's official script, in per cent; None for other tasks.
    """

    metrics: Mapping[str, float]
    official: Optional[Mapping[str, float]] = None


def evaluate_predictions(config: EvaluateConfig, record: TaskRecord) -> Evaluation:
    """Return the scores of a file of predictions.

    Args:
        config: names the file and the gold labels.
        record: the task.

    Raises:
        InputError: a file is missing or invalid, or the predictions do not fit the gold labels.
    """
    source = config.predictions or ""
    if config.null_odds is not None and not record.answers_optional:
        raise InputError(
            f"null_odds is {config.null_odds!r}, which is not allowed for {record.name}: each of "
            "its questions has an answer"
        )
    predictions: Dict[Any, Any] = {}
    predictions.update(
        read_answers(source) if record.has_spans else read_predictions(source, record)
    )
    if config.gold is not None:
        gold = gold_of_file(record, config.gold)
    else:
        _check_labelled(config.split, record)
        gold = gold_of_split(
            record, config.split, choose_folder(record, config.data_dir, config.sample)
        )
    with errors_naming(source):
        if not record.has_spans:
            return Evaluation(score_task(record, predictions, gold))
        odds = None if config.null_odds is None else read_null_odds(config.null_odds)
        return evaluate_spans(record, predictions, gold, odds)


def evaluate_spans(
    record: TaskRecord,
    predictions: Mapping[str, str],
    gold: Mapping[str, Sequence[str]],
    null_odds: Optional[Mapping[str, float]],
) -> Evaluation:
    """Return the scores of answers to SQuAD's questions.

    Args:
        record: SQuAD 1.1 or 2.0.
        predictions: answer of each question by id.
        gold: the accepted answers of each question.
        null_odds: score of no answer of each question; None if unknown. They have no effect but on
            the best thresholds of the report.

    Raises:
        InputError: a question of SQuAD 2.0 has no prediction or no null odds.
    """
    official = score_squad(record, predictions, gold, null_odds, threshold=math.inf)
    answered = {index: predictions.get(index, "") for index in gold}
    return Evaluation(score_task(record, answered, gold), official)


def evaluate_answers(task_set: TaskSet, answers: Sequence[SpanAnswer]) -> Evaluation:
    """Return the scores of a model's answers to the questions of a labelled set of SQuAD."""
    gold: Dict[Any, Any] = {item.index: item.label for item in task_set.items}
    texts = {index: one.text for index, one in zip(gold, answers)}
    odds = {i: one.null_odds for i, one in zip(gold, answers) if one.null_odds is not None}
    return evaluate_spans(task_set.record, texts, gold, odds or None)


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
        data_dir: folder of the official data; None for GluonNLP's cache. For an own task it may
            be a labelled file, whose rows with a label and a text are all scored.
        sample: use the small sample of the task that is part of this project.

    Raises:
        InputError: the split is a test split, or a file is missing or invalid.
    """
    _check_labelled(split, record)
    if isinstance(record, OwnTask) and data_dir is not None and Path(data_dir).is_file():
        if split != DEV:
            raise InputError(f"split is {split!r}, allowed if data_dir is a file is {DEV!r}")
        items = read_labelled_file(record, Path(data_dir))
        inputs = make_inputs(record, items, model.options)
        features = tokenise(inputs, model.vocabulary, model.max_length, model.pairs)
        return TaskSet(record, Path(data_dir).name, items, features)
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
