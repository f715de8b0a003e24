"""Reading and writing of `points.jsonl`, the labelled points that a later run can train on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List, Sequence

from bort.agora.examples import Example, Point, PointLabel
from bort.agora.task_data import AgoraTask
from bort.errors import InputError
from bort.storage.files import atomic_write
from bort.storage.text_lines import read_lines
from bort.tasks.formulations import input_labels
from bort.tasks.records import TaskRecord


def write_points(path: Path, points: Sequence[Point]) -> None:
    """Write points atomically, one JSON object per line.

    Raises:
        WorkError: the file cannot be written.
    """
    with atomic_write(path) as stream:
        for point in points:
            record = {
                "segments": point.example.segments,
                "label": point.label,
                "probabilities": point.probabilities,
            }
            stream.write((json.dumps(record) + "\n").encode("utf-8"))


def read_points(path: Path, task: AgoraTask) -> List[Point]:
    """Read the points that an earlier run wrote to `points.jsonl`.

    Args:
        path: the file.
        task: the task that the points must belong to.

    Raises:
        InputError: names file and line.
    """
    points = []
    expected = len(task.dev[0].example.segments)
    classes = len(input_labels(task.data.record, task.data.options))
    for number, line in read_lines(path, may_be_empty=True):
        try:
            record = json.loads(line)
            segments = tuple(tuple(map(str, segment)) for segment in record["segments"])
            soft = record["probabilities"]
            probabilities = None if soft is None else tuple(map(float, soft))
            label = _checked_label(record["label"], task.data.record, classes)
            if len(segments) != expected or not all(map(all, segments)):
                raise ValueError(f"it must have {expected} segments of non-empty words")
            if probabilities is not None and not (
                len(probabilities) == classes
                and min(probabilities, default=-1.0) >= 0
                and abs(sum(probabilities) - 1) < 1e-3
            ):
                raise ValueError(f"the probabilities are not {classes} numbers that sum to 1")
            points.append(Point(Example(segments), label, probabilities, from_socrates=True))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} line {number}: is not a point: {error}") from error
    return points


def _checked_label(label: Any, record: TaskRecord, classes: int) -> PointLabel:
    if record.label_range is None:
        if type(label) is not int or not 0 <= label < classes:
            raise ValueError(f"the label is {label!r}, allowed are 0 to {classes - 1}")
        return label
    low, high = record.label_range
    if type(label) not in (int, float) or not low <= label <= high:
        raise ValueError(f"the label is {label!r}, allowed is {low} to {high}")
    return float(label)
