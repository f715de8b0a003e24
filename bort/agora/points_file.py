"""Reading and writing of `points.jsonl`, the labelled points that a later run can train on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import List, Sequence, Tuple

from bort.agora.allowed_labels import AllowedLabels
from bort.agora.examples import Example, Point
from bort.agora.task_data import AgoraTask
from bort.errors import InputError
from bort.storage.files import atomic_write
from bort.storage.json_fields import JsonFields, shown
from bort.storage.json_text import parse_json
from bort.storage.text_lines import read_lines


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
    allowed = AllowedLabels.of(task.data.record, task.data.options)
    for number, line in read_lines(path, may_be_empty=True):
        where = f"{path} line {number}: is not a point"
        fields = JsonFields.of(parse_json(line, where), where)
        label = allowed.checked(fields.value("label"), f"{where}: label")
        probabilities = allowed.probabilities(fields)
        example = Example(_segments(fields, expected))
        points.append(Point(example, label, probabilities, from_socrates=True))
    return points


def _segments(fields: JsonFields, expected: int) -> Tuple[Tuple[str, ...], ...]:
    segments = fields.items("segments")
    for segment in segments:
        if not isinstance(segment, list) or not all(isinstance(t, str) and t for t in segment):
            raise InputError(
                f"{fields.source}: segments holds {shown(segment)}, allowed is a list of words "
                "that are not empty"
            )
    if len(segments) != expected:
        raise InputError(f"{fields.source}: has {len(segments)} segments, allowed are {expected}")
    return tuple(map(tuple, segments))
