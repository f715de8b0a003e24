"""Readers that turn a user's questions into the texts of model inputs, one reader per kind."""

from __future__ import annotations

import re
from typing import Any, List, Mapping, NamedTuple, Protocol, Sequence, Tuple, Union

from bort.errors import InputError
from bort.network.embedding import lower_cased
from bort.tasks import records
from bort.tasks.formulations import make_inputs
from bort.tasks.items import FieldValue, Piece, Segment, TaskInput, TaskItem
from bort.tasks.options import TaskOptions
from bort.tasks.records import TaskRecord

Question = Union[str, Sequence[str], Mapping[str, Any]]
"""A text, a tuple or list of texts, or named fields."""

TEXT, SECOND_TEXT = "text", "text_pair"
MASK_PATTERN = re.compile(r"<mask>|\[MASK\]")
_ALL_TEXTS = (records.SINGLE, records.PAIR, records.CHOICES, records.SPAN_OF_PASSAGE)
_FURTHER_FIELDS = {
    records.WORD: ("start1", "end1", "start2", "end2"),
    records.SPANS: ("span1_index", "span2_index"),
}


class Asked(NamedTuple):
    """A parsed question.

    Attributes:
        item: the fields of the question and where it comes from.
        inputs: the sequences that the model gets; a choice may have several, or none. A question
            about a passage has none here, since its windows depend on the length of the input.
    """

    item: TaskItem
    inputs: List[TaskInput]


class Questions(Protocol):
    """A reader of one kind of question.

    Attributes:
        columns: names of a question's texts, in the order of a tuple or a TSV line; () if a
            question must name its fields.
        names: names of all fields that are read of a question that names them.
    """

    columns: Tuple[str, ...]
    names: Tuple[str, ...]

    def read(self, question: Question, file: str, number: int) -> Asked:
        """Parse one question.

        Args:
            question: the question as the user gives it.
            file: the file it comes from; "" for none.
            number: its line in the file, from 1, or its index among the questions, from 0.

        Raises:
            InputError: it has the wrong type, or a field is missing or has the wrong type; the
                message names the line or index, and the field.
        """


class TaskQuestions:
    """Reads questions of a task: items with the task's fields."""

    def __init__(self, record: TaskRecord, options: TaskOptions) -> None:
        self._record = record
        self._options = options
        self.names = (*record.fields, *_FURTHER_FIELDS.get(record.formulation, ()))
        self.columns = record.fields if record.formulation in _ALL_TEXTS else ()

    def read(self, question: Question, file: str, number: int) -> Asked:
        """See `Questions`."""
        item = _read(question, self.columns, self.names, file, number)
        if self._record.formulation == records.OPTIONS:
            expected, found = len(self._record.labels), len(item.texts("options"))
            if found != expected:
                raise InputError(f"{item.where}: options has {found} texts, expected {expected}")
        if self._record.has_spans:
            return Asked(item, [])
        inputs = make_inputs(self._record, [item], self._options)
        if not inputs and self._record.formulation == records.ENTITIES:
            raise InputError(f"{item.where}: entities is empty, expected one text or more")
        return Asked(item, inputs)


class TextQuestions:
    """Reads a text or a pair of texts.

    Args:
        prompt: text that is put before the first text.
        lower_case: whether texts are lower-cased.
    """

    columns: Tuple[str, ...] = (TEXT,)
    names: Tuple[str, ...] = (TEXT, SECOND_TEXT)

    def __init__(self, prompt: str = "", lower_case: bool = False) -> None:
        self._prompt = prompt
        self._lower_case = lower_case

    def read(self, question: Question, file: str, number: int) -> Asked:
        """See `Questions`."""
        if isinstance(question, Mapping):
            is_pair = SECOND_TEXT in question
        else:
            is_pair = isinstance(question, (tuple, list)) and len(question) == 2
        columns = (TEXT, SECOND_TEXT) if is_pair else self.columns
        item = _read(question, columns, columns, file, number)
        texts = [item.text(name) for name in columns]
        texts[0] = self._prompt + texts[0]
        if self._lower_case:
            texts = list(map(lower_cased, texts))
        segments = tuple(Segment((Piece(text),)) for text in texts)
        return Asked(item, [TaskInput(segments, None, 0)])


class MaskedQuestions:
    """Reads a text with `<mask>` or `[MASK]` in place of one or several tokens.

    A mask stands for a token together with the space before it, so the reader drops white space
    before a mask. If a text is too long, the part near a mask is kept.
    """

    columns: Tuple[str, ...] = (TEXT,)
    names: Tuple[str, ...] = (TEXT,)

    def read(self, question: Question, file: str, number: int) -> Asked:
        """See `Questions`."""
        item = _read(question, self.columns, self.columns, file, number)
        *before, last = MASK_PATTERN.split(item.text(TEXT))
        if not before:
            raise InputError(f"{item.where}: has no <mask> (or [MASK]) to fill")
        pieces: List[Piece] = []
        for text in before:
            if text.rstrip():
                pieces.append(Piece(text.rstrip()))
            pieces.append(Piece("<mask>", keep=True, is_mask=True))
        if last:
            pieces.append(Piece(last))
        return Asked(item, [TaskInput((Segment(tuple(pieces)),), None, 0)])


def _read(
    question: Question, columns: Tuple[str, ...], names: Tuple[str, ...], file: str, number: int
) -> TaskItem:
    """Return an item with the fields `names` of a question; other fields are dropped."""
    place = f"{file} line {number}" if file else f"item {number}"
    line = number if file else 0
    if isinstance(question, Mapping):
        given = dict(question)
        if isinstance(given.get("target"), Mapping):  # WSC's official files keep the spans here
            given.update(given.pop("target"))
        for name in names:
            if name not in given:
                raise InputError(
                    f"{place}: the field {name!r} is missing, expected: {', '.join(names)}"
                )
        fields = {name: _value(given[name], f"{place}: {name}") for name in names}
        return TaskItem(number, fields, file=file, line=line)
    if not columns:
        raise InputError(
            f"{place}: is {_kind(question)}, expected: an object with the fields {', '.join(names)}"
        )
    texts = [question] if isinstance(question, str) else question
    if not isinstance(texts, (tuple, list)) or len(texts) != len(columns):
        expected = "a text" if len(columns) == 1 else f"{len(columns)} texts ({', '.join(columns)})"
        raise InputError(f"{place}: is {_kind(question)}, expected: {expected}")
    for name, text in zip(columns, texts):
        if not isinstance(text, str):
            raise InputError(f"{place}: {name} is {_kind(text)}, expected: a text")
    return TaskItem(number, dict(zip(columns, texts)), file=file, line=line)


def _value(value: Any, place: str) -> FieldValue:
    """Return a field's value, a list as a tuple; the item checks its type."""
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value):
        return tuple(value)
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise InputError(f"{place} is {_kind(value)}, expected: a text, texts or a whole number")


def _kind(value: Any) -> str:
    """Describe the type of a value for an error message."""
    if isinstance(value, str):
        return "a text"
    if isinstance(value, (list, tuple)):
        kind = "text" if all(isinstance(part, str) for part in value) else "value"
        return f"a list of {len(value)} {kind}{'' if len(value) == 1 else 's'}"
    if isinstance(value, Mapping):
        return "an object with fields"
    return repr(value)[:40]
