"""Reader of SuperGLUE's files (arXiv:1905.00537): one JSON object per line.

Labels and answers of a test file are never read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from bort.errors import InputError
from bort.tasks.items import FieldValue, Label, TaskItem
from bort.tasks.records import TEST, Split, TaskRecord
from data.readers.indices import SeenIndices
from data.readers.json_objects import JsonObject, read_json_lines

Reader = Callable[[TaskRecord, JsonObject, bool, str], List[TaskItem]]


def read_superglue(record: TaskRecord, split: Split, path: Path) -> List[TaskItem]:
    """Read one file of a SuperGLUE task.

    Args:
        record: the task.
        split: the split that the file holds.
        path: the file.

    Raises:
        InputError: a field is missing or has a wrong type, a label is unknown, an index occurs
            twice, a line is not JSON, or the file is empty or not UTF-8; names file and line.
    """
    read = _READERS.get(record.name, _read_flat)
    lines, seen = SeenIndices(), SeenIndices()
    items: List[TaskItem] = []
    for line in read_json_lines(path):
        lines.add(line.number("idx"), line.where)
        for item in read(record, line, split.role == TEST, str(path)):
            seen.add(item.index, item.where)
            items.append(item)
    return items


def _read_flat(record: TaskRecord, line: JsonObject, is_test: bool, file: str) -> List[TaskItem]:
    fields: Dict[str, FieldValue] = {name: line.text(name) for name in record.fields}
    if line.has("pair_id"):
        fields["pair_id"] = line.number("pair_id")
    return [_item(record, line, fields, is_test, file)]


def _read_wic(record: TaskRecord, line: JsonObject, is_test: bool, file: str) -> List[TaskItem]:
    fields: Dict[str, FieldValue] = {name: line.text(name) for name in record.fields}
    fields.update({name: line.number(name) for name in ("start1", "end1", "start2", "end2")})
    return [_item(record, line, fields, is_test, file)]


def _read_wsc(record: TaskRecord, line: JsonObject, is_test: bool, file: str) -> List[TaskItem]:
    target = line.object("target")
    fields: Dict[str, FieldValue] = {"text": line.text("text")}
    for number in (1, 2):
        fields[f"span{number}_text"] = target.text(f"span{number}_text")
        fields[f"span{number}_index"] = target.number(f"span{number}_index")
    return [_item(record, line, fields, is_test, file)]


def _read_multirc(record: TaskRecord, line: JsonObject, is_test: bool, file: str) -> List[TaskItem]:
    passage = line.object("passage")
    text = passage.text("text")
    items = []
    for question in passage.objects("questions"):
        answers = question.objects("answers")
        numbers = tuple(answer.number("idx") for answer in answers)
        if len(set(numbers)) != len(numbers):
            raise InputError(f"{line.where}: an answer's idx occurs twice in {list(numbers)}")
        fields: Dict[str, FieldValue] = {
            "passage": text,
            "question": question.text("question"),
            # An answer in the official files may be blank; it is kept.
            "answers": tuple(answer.text("text", may_be_blank=True) for answer in answers),
            "answer_indices": numbers,
        }
        label: Optional[Label] = None
        if not is_test:
            label = tuple(_known(record, answer.value("label"), line.where) for answer in answers)
        index = (line.number("idx"), question.number("idx"))
        items.append(TaskItem(index, fields, label, file, line.line))
    return items


def _read_record(record: TaskRecord, line: JsonObject, is_test: bool, file: str) -> List[TaskItem]:
    passage = line.object("passage")
    text = passage.text("text")
    entities = tuple(_entity(entity, text) for entity in passage.objects("entities"))
    items = []
    for query in line.objects("qas"):
        fields: Dict[str, FieldValue] = {
            "passage": text,
            "query": query.text("query"),
            "entities": entities,
            "passage_index": line.number("idx"),
        }
        label: Optional[Label] = None
        if not is_test:
            answers = query.objects("answers")
            label = tuple(dict.fromkeys(answer.text("text") for answer in answers))
        items.append(TaskItem(query.number("idx"), fields, label, file, line.line))
    return items


def _entity(entity: JsonObject, passage: str) -> str:
    start, end = entity.number("start"), entity.number("end")
    if not 0 <= start <= end < len(passage):
        raise InputError(
            f"{entity.where}: an entity's start and end are {start} and {end}, allowed are "
            f"offsets into the passage (0 to {len(passage) - 1})"
        )
    return passage[start : end + 1]


def _read_copa(record: TaskRecord, line: JsonObject, is_test: bool, file: str) -> List[TaskItem]:
    fields: Dict[str, FieldValue] = {name: line.text(name) for name in record.fields}
    if fields["question"] not in ("cause", "effect"):
        raise InputError(
            f"{line.where}: question is {fields['question']!r}, allowed are cause and effect"
        )
    return [_item(record, line, fields, is_test, file)]


def _item(
    record: TaskRecord, line: JsonObject, fields: Dict[str, FieldValue], is_test: bool, file: str
) -> TaskItem:
    label = None if is_test else _known(record, line.value("label"), line.where)
    return TaskItem(line.number("idx"), fields, label, file, line.line)


def _known(record: TaskRecord, value: Any, where: str) -> str:
    """Return the label of a JSON value; `false` and "false" are equal, and so are 0 and "0"."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, (bool, int, str)) and text in record.labels:
        return text
    allowed = ", ".join(record.labels)
    raise InputError(f"{where}: label is {value!r}, allowed are {allowed}")


_READERS: Dict[str, Reader] = {
    "WiC": _read_wic,
    "WSC": _read_wsc,
    "COPA": _read_copa,
    "MultiRC": _read_multirc,
    "ReCoRD": _read_record,
}
