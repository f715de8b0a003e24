"""Gold labels of official files, as metrics and files of predictions take them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest

from bort.errors import InputError
from bort.tasks.metrics import by_index, mean_score, score_task
from bort.tasks.predictions import read_predictions, write_predictions
from bort.tasks.records import DEV, Split, TaskRecord, get_task
from data.tasks.files import SAMPLE_FOLDER, find_split, read_items
from data.tasks.gold import gold_of_file, gold_of_split
from tests.tasks.task_samples import CLASSIFIED

LABELLED = [(task, split) for task in CLASSIFIED for split in task.splits_of(DEV)]


def perfect(record: TaskRecord, gold: Dict[Any, Any]) -> Dict[Any, Any]:
    """The gold labels as predictions: of ReCoRD's accepted answers the last."""
    several = not record.labels and not record.is_regression
    return {index: value[-1] if several else value for index, value in gold.items()}


@pytest.mark.parametrize(
    ("record", "split"), LABELLED, ids=[f"{task.name}-{split.name}" for task, split in LABELLED]
)
def test_perfect_predictions_go_through_a_file_and_score_one(
    record: TaskRecord, split: Split, tmp_path: Path
) -> None:
    gold = gold_of_split(record, split.name, SAMPLE_FOLDER)
    path = tmp_path / ("p.tsv" if record.suite == "GLUE" else "p.jsonl")
    write_predictions(path, record, perfect(record, gold))
    predictions = read_predictions(path, record)
    scores = score_task(record, predictions, gold)
    assert list(scores) == list(record.metrics)
    # a class that the small sample does not hold would count as 0 in the macro F1
    assert mean_score(scores) == pytest.approx(1.0)
    items = read_items(record, split.name, SAMPLE_FOLDER)
    labels = [item.label for item in items if item.label is not None]
    assert by_index(record, items, labels) == gold
    if record.suite != "RACE":
        assert gold_of_file(record, find_split(record, split, SAMPLE_FOLDER)) == gold
        assert record.name == "ReCoRD" or gold_of_file(record, path) == pytest.approx(gold)


def test_what_has_no_labels(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no label"):
        gold_of_split(get_task("CoLA"), "test", SAMPLE_FOLDER)
    (tmp_path / "x.tsv").write_text("index\tsentence1\tsentence2\n0\ta\tb\n", encoding="utf-8")
    with pytest.raises(InputError, match="AX has no official file with labels"):
        gold_of_file(get_task("AX"), tmp_path / "x.tsv")
    with pytest.raises(InputError, match="cannot be read"):
        gold_of_file(get_task("CoLA"), tmp_path / "none.tsv")
