"""Inputs of a task without labels, from a file of a user: `.txt`, `.tsv`, `.jsonl` or `.csv`.

Texts stand one a line (`.txt`, for tasks of one text). A `.tsv` file has a column for each field of
the task, in their order and without quoting; if the first line has the names of all fields, it is a
header, and further columns are ignored, so official files can be given as they are. A `.jsonl` file
has an object with the task's fields a line, or a text or a list of texts; further fields are
ignored. A `.csv` file has the columns of an own task; labels are not read. Names of fields may be
in upper or lower case. Texts of an own task's report split are left out.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Callable, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from bort.errors import InputError
from bort.inference.lines import JSONL, TEXT_FORMAT, TSV, numbered_lines, question_of
from bort.inference.questions import Question, TaskQuestions
from bort.storage.files import PathLike
from bort.tasks.items import TaskInput, TaskItem
from bort.tasks.judging import TaskData, TaskSet
from bort.tasks.own.task import OwnTask
from bort.tasks.own.task_file import DATA_SUFFIXES, is_data_file
from bort.tasks.records import REPORT, TaskRecord
from bort.text.comparison import normalised_text
from data.readers.own_task import columns_of, read_rows
from data.tasks.cache import tokenise_cached
from data.tasks.files import read_items

log = logging.getLogger(__name__)

UNLABELLED = "unlabelled"
_FORMATS = {".txt": TEXT_FORMAT, ".tsv": TSV, ".jsonl": JSONL}
_SHOWN = 3


def open_unlabelled(
    path: str,
    data: TaskData,
    max_length: int,
    cache: Optional[str] = None,
    data_dir: Optional[PathLike] = None,
    is_sealed: Callable[[Sequence[TaskInput]], bool] = lambda inputs: False,
) -> TaskSet:
    """Read and tokenise the inputs of a file.

    A line that cannot be used is left out. Their number and the first ones are logged.

    Args:
        path: the file.
        data: the task, its options, vocabulary and form of pairs.
        max_length: maximum tokens in an input.
        cache: folder of cached tokenised sets; None: no cache.
        data_dir: folder of an own task's files, whose report split is left out; None: that of the
            task file.
        is_sealed: whether the inputs of a line are in a report split from elsewhere, which are left
            out too.

    Raises:
        InputError: the file cannot be read, has another ending, or no usable line; or the task's
            inputs have fields that its format cannot hold.
    """
    if data.record.has_spans:
        raise InputError(
            f"unlabelled is {path!r}, which is not allowed for {data.record.name}: its inputs are "
            "windows of passages"
        )
    unusable: List[str] = []
    items: List[TaskItem] = []
    inputs: List[TaskInput] = []
    sealed = _texts_of_report(data.record, data_dir)
    try:
        questions = TaskQuestions(data.record, data.options)
        for number, question in _lines(path, data.record, questions.columns, unusable):
            try:
                asked = questions.read(question, path, number)
                if not any(one.strip() for one in _texts(asked.inputs)):
                    raise InputError(f"{path} line {number}: is empty")
                is_known = bool(sealed) and _key(data.record, asked.item) in sealed
                if is_known or is_sealed(asked.inputs):
                    raise InputError(f"{path} line {number}: is in the report split")
            except InputError as error:
                unusable.append(str(error))
                continue
            inputs += [one._replace(label=None, item=len(items)) for one in asked.inputs]
            items.append(asked.item)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    for reason in unusable[:_SHOWN]:
        log.warning("%s (left out)", reason)
    if not items:
        raise InputError(f"{path}: has no usable line ({len(unusable)} are left out)")
    log.info("%s: %d usable lines, %d are left out", path, len(items), len(unusable))
    name = f"{data.record.name} {UNLABELLED}"
    folder = None if cache is None else Path(cache)
    features = tokenise_cached(inputs, data.vocabulary, max_length, folder, data.pairs, name)
    return TaskSet(data.record, UNLABELLED, items, features)


def _texts_of_report(record: TaskRecord, data_dir: Optional[PathLike]) -> Set[str]:
    """Return the keys of the texts of an own task's report split; empty for other tasks."""
    if not isinstance(record, OwnTask) or not record.splits_of(REPORT):
        return set()
    return {_key(record, item) for item in read_items(record, REPORT, data_dir)}


def _key(record: TaskRecord, item: TaskItem) -> str:
    return "\n".join(normalised_text(item.text(field)) for field in record.fields)


def _lines(
    path: str, record: TaskRecord, columns: Tuple[str, ...], unusable: List[str]
) -> Iterator[Tuple[int, Question]]:
    """Yield the number and the question of every line or row; others go to `unusable`."""
    is_table = path.lower().endswith((".csv", ".gz")) and is_data_file(path)
    if not (is_table and isinstance(record, OwnTask)):
        yield from _questions(path, columns, unusable, isinstance(record, OwnTask))
        return
    rows = read_rows(Path(path), columns_of(record), with_labels=False)
    unusable.extend(f"{path} line {line}: is empty" for line in rows.empty)
    for row in rows.rows:
        yield row.line, dict(zip(record.fields, row.texts))


def _questions(
    path: str, columns: Tuple[str, ...], unusable: List[str], is_own: bool
) -> Iterator[Tuple[int, Question]]:
    """Yield the number and the question of every line; reasons of other lines go to `unusable`."""
    kind = _FORMATS.get(Path(path).suffix.lower())
    if kind is None:
        allowed = dict.fromkeys((*_FORMATS, *(DATA_SUFFIXES if is_own else ())))
        raise InputError(f"{path}: has another ending than allowed: {', '.join(allowed)}")
    if kind == TSV and not columns:
        raise InputError(f"{path}: the task's inputs have other fields than texts; allowed: .jsonl")
    if kind == TEXT_FORMAT and len(columns) != 1:
        further = ", .csv" if is_own else ""
        raise InputError(
            f"{path}: the task's inputs have several fields; allowed: .tsv, .jsonl{further}"
        )
    header: List[str] = []
    with open(path, "rb") as stream:
        lines = numbered_lines(stream, path, lambda error: unusable.append(str(error)))
        for number, line in lines:
            if kind == TSV and number == 1:
                names = _fields_of(line.split("\t"), columns)
                if set(columns) <= set(names):
                    header = names
                    continue
            try:
                question = question_of(line, kind, f"{path} line {number}")
            except InputError as error:
                unusable.append(str(error))
                continue
            if header:
                question = dict(zip(header, question))
            elif isinstance(question, Mapping):
                question = dict(zip(_fields_of(list(question), columns), question.values()))
            yield number, question


def _fields_of(names: Sequence[str], fields: Sequence[str]) -> List[str]:
    """Return names in a file, those of a task's fields in other letters as the task has them."""
    missing = {field.casefold(): field for field in fields if field not in names}
    return [missing.pop(name.strip().casefold(), name) for name in names]


def _texts(inputs: Sequence[TaskInput]) -> Iterator[str]:
    for one in inputs:
        for segment in one.segments:
            yield from (piece.text for piece in segment.pieces)
