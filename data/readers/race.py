"""Reader of RACE (arXiv:1704.04683): a folder of files with one JSON object each.

A file holds an article and its questions. Answers of a test folder are never read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, Optional, Tuple, Union

from bort.errors import InputError
from bort.tasks.items import FieldValue, Label, TaskItem
from bort.tasks.records import TEST, Split, TaskRecord
from data.readers.indices import SeenIndices
from data.readers.json_objects import JsonObject, read_json_object

OPTION_COUNT = 4


def read_race(record: TaskRecord, split: Split, folder: Path) -> List[TaskItem]:
    """Read the files of one folder in the order of the numbers in their names.

    Args:
        record: RACE-H or RACE-M.
        split: the split that the folder holds.
        folder: the folder of the `.txt` files.

    Raises:
        InputError: the folder holds no file, or a file is not JSON or lacks a field; names the
            file.
    """
    paths = sorted(folder.glob("*.txt"), key=lambda path: _natural(path.name))
    if not paths:
        raise InputError(f"{folder}: holds no .txt file")
    seen = SeenIndices()
    items: List[TaskItem] = []
    for path in paths:
        passage = read_json_object(path)
        seen.add(passage.text("id"), passage.where)
        items.extend(_questions(record, passage, path, split.role == TEST))
    return items


def _questions(
    record: TaskRecord, passage: JsonObject, path: Path, is_test: bool
) -> List[TaskItem]:
    article, name = passage.text("article"), passage.text("id")
    questions = passage.texts("questions")
    options = passage.items("options")
    answers: Optional[List[str]] = None if is_test else passage.texts("answers")
    for field, values in (("options", options), ("answers", answers)):
        if values is not None and len(values) != len(questions):
            raise InputError(
                f"{path}: {field} has {len(values)} entries for {len(questions)} questions"
            )
    items = []
    for number, question in enumerate(questions):
        several = options[number]
        is_list = isinstance(several, list) and all(isinstance(part, str) for part in several)
        if not is_list or len(several) != OPTION_COUNT:
            raise InputError(
                f"{path}: options[{number}] is {several!r}, expected {OPTION_COUNT} texts"
            )
        label: Optional[Label] = None
        if answers is not None:
            label = answers[number]
            if label not in record.labels:
                allowed = ", ".join(record.labels)
                raise InputError(f"{path}: answers[{number}] is {label!r}, allowed are {allowed}")
        fields: Dict[str, FieldValue] = {
            "article": article,
            "question": question,
            "options": tuple(several),
        }
        items.append(TaskItem((name, number), fields, label, str(path)))
    return items


def _natural(name: str) -> Tuple[Tuple[Union[int, str], ...], str]:
    """Return a sort key that puts `2.txt` before `10.txt`."""
    numbers = tuple(int(part) for part in re.findall(r"[0-9]+", name))
    return numbers, name
