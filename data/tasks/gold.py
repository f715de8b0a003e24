"""Gold labels by index, from a split of the official data or from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional

from bort.errors import InputError
from bort.storage.files import PathLike
from bort.storage.text_lines import read_lines
from bort.tasks.items import TaskItem
from bort.tasks.metrics import by_index
from bort.tasks.own.task import OwnTask
from bort.tasks.predictions import TSV_HEADER, read_predictions
from bort.tasks.records import DEV, GLUE, RACE, TEST, TaskRecord
from data.readers.glue import read_glue
from data.readers.squad import read_squad
from data.readers.superglue import read_superglue
from data.tasks.files import read_items, read_labelled_file


def gold_of_split(
    record: TaskRecord, split: str, data_dir: Optional[PathLike] = None
) -> Dict[Any, Any]:
    """Return the gold labels of a split of the official data.

    Args:
        record: the task.
        split: the name of a split with labels, e.g. "dev", "dev_matched".
        data_dir: see `data.tasks.files.find_split`.

    Returns:
        Index → label, as `bort.tasks.metrics.score_task` expects it.

    Raises:
        InputError: the split has no labels; also see `data.tasks.files.read_items`.
    """
    return _gold(record, read_items(record, split, data_dir))


def gold_of_file(record: TaskRecord, path: PathLike) -> Dict[Any, Any]:
    """Return the gold labels of an official file, or of a file in the format of predictions.

    Args:
        record: the task.
        path: the file.

    Returns:
        Index → label, as `bort.tasks.metrics.score_task` expects it.

    Raises:
        InputError: the file is missing or invalid; names file and line.
    """
    file = Path(path)
    if file.suffix == ".tsv" and read_lines(file)[0].text == TSV_HEADER:
        return dict(read_predictions(file, record))
    if isinstance(record, OwnTask):
        return _gold(record, read_labelled_file(record, file))
    if record.has_spans:
        return _gold(record, read_squad(record, record.splits_of(DEV)[0], file))
    if record.suite == RACE:
        return dict(read_predictions(file, record))
    if record.suite == GLUE and file.suffix == ".tsv":
        labelled = [split for split in record.splits if split.role != TEST]
        if not labelled:
            raise InputError(f"{file}: {record.name} has no official file with labels")
        return _gold(record, read_glue(record, labelled[-1], file))
    if not record.labels and not record.is_regression:
        return _gold(record, read_superglue(record, record.split("dev"), file))
    return dict(read_predictions(file, record))


def _gold(record: TaskRecord, items: List[TaskItem]) -> Dict[Any, Any]:
    labels = []
    for item in items:
        if item.label is None:
            raise InputError(f"{item.where}: has no label")
        labels.append(item.label)
    return by_index(record, items, labels)
