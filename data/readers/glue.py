"""Reader of GLUE's files (arXiv:1804.07461): tab-separated values without quoting.

Columns are found by the names in the header, so that a file of another task is refused; CoLA's
train and dev files have no header. Labels of a test file are never read.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from bort.errors import InputError
from bort.storage.text_lines import Line, read_lines
from bort.tasks.items import Label, TaskItem
from bort.tasks.records import TEST, Split, TaskRecord
from data.readers.indices import LONGEST_INDEX, SeenIndices

LABEL_COLUMNS = {
    "CoLA": "label", "SST-2": "label", "MRPC": "Quality", "STS-B": "score", "QQP": "is_duplicate",
    "MNLI": "gold_label", "QNLI": "label", "RTE": "label", "WNLI": "label",
}  # fmt: skip
_INDEX_COLUMNS = {"QQP": "id"}
_COLA_COLUMNS = ("source", "label", "original judgement", "sentence")
# Some questions in the official QQP files contain a line feed, which splits their rows in two. The
# reader counts such rows of train and dev and leaves them out. QQP's ids may also occur twice.
_BROKEN_ROWS_ALLOWED = {"QQP": 0.01}

_logger = logging.getLogger(__name__)


def read_glue(record: TaskRecord, split: Split, path: Path) -> List[TaskItem]:
    """Read one file of a GLUE task.

    Args:
        record: the task.
        split: the split that the file holds.
        path: the file.

    Raises:
        InputError: a column is missing, a row has a wrong number of fields, a label is unknown, an
            index occurs twice, or the file is empty or not UTF-8; names file and line.
    """
    is_test = split.role == TEST
    lines = read_lines(path)
    if record.name == "CoLA" and not is_test:
        columns: Sequence[str] = _COLA_COLUMNS
    else:
        columns, lines = lines[0].text.split("\t"), lines[1:]
    if not lines:
        raise InputError(f"{path}: holds nothing but a header")
    table = _Columns(record, is_test, [name.strip() for name in columns], path)
    allowed = 0 if is_test else int(_BROKEN_ROWS_ALLOWED.get(record.name, 0) * len(lines))
    items: List[TaskItem] = []
    broken: List[str] = []
    seen = SeenIndices()
    for row, line in enumerate(lines):
        fields = line.text.split("\t")
        if len(fields) != len(columns):
            broken.append(
                f"{path} line {line.number}: the row has {len(fields)} fields, "
                f"expected {len(columns)}"
            )
            if len(broken) > allowed:
                raise InputError(broken[0])
            continue
        item = table.item(row, line, fields)
        if is_test or record.name not in _BROKEN_ROWS_ALLOWED:
            seen.add(item.index, item.where)
        items.append(item)
    if broken:
        _logger.warning("left out %d broken rows; the first: %s", len(broken), broken[0])
    return items


class _Columns:
    """The positions of a task's fields in a row."""

    def __init__(self, record: TaskRecord, is_test: bool, columns: List[str], path: Path) -> None:
        self._record = record
        self._path = path
        place: Dict[str, int] = {}
        for number, name in enumerate(columns):
            if place.setdefault(name, number) != number:
                raise InputError(f"{path} line 1: the column {name!r} occurs twice")
        index = _INDEX_COLUMNS.get(record.name, "index")
        needed = (
            [*record.fields, index] if is_test else [*record.fields, LABEL_COLUMNS[record.name]]
        )
        for name in needed:
            if name not in place:
                raise InputError(
                    f"{path} line 1: has no column {name!r}, it has {', '.join(columns)[:200]}"
                )
        self._texts = [(name, place[name]) for name in record.fields]
        self._index = place.get(index)
        self._label = None if is_test else place[LABEL_COLUMNS[record.name]]

    def item(self, row: int, line: Line, fields: List[str]) -> TaskItem:
        """Return the item of one row."""
        where = f"{self._path} line {line.number}"
        texts = {name: fields[place] for name, place in self._texts}
        index = row if self._index is None else _index(fields[self._index], where)
        label = None if self._label is None else self._read_label(fields[self._label], where)
        return TaskItem(index, texts, label, str(self._path), line.number)

    def _read_label(self, text: str, where: str) -> Label:
        if self._record.label_range is not None:
            return _score(text, self._record.label_range, where)
        if text not in self._record.labels:
            allowed = ", ".join(self._record.labels)
            raise InputError(f"{where}: label is {text!r}, allowed are {allowed}")
        return text


def _index(text: str, where: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_INDEX):
        raise InputError(f"{where}: index is {text[:60]!r}, expected a whole number")
    return int(text)


def _score(text: str, label_range: Tuple[float, float], where: str) -> float:
    value: Optional[float]
    try:
        value = float(text)
    except ValueError:
        value = None
    if value is None or math.isnan(value) or not label_range[0] <= value <= label_range[1]:
        low, high = label_range
        raise InputError(
            f"{where}: label is {text!r}, allowed is a number from {low:g} to {high:g}"
        )
    return value
