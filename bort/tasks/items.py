"""Official items of a task, and the model inputs made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, NamedTuple, Optional, Tuple, Union

from bort.errors import InputError

Index = Union[int, str, Tuple[Union[int, str], ...]]
FieldValue = Union[str, int, Tuple[str, ...], Tuple[int, ...]]
Label = Union[str, float, Tuple[str, ...]]
InputLabel = Union[None, int, float, Tuple[float, ...]]


@dataclass(frozen=True)
class TaskItem:
    """One official example, the unit that a benchmark scores.

    It is a row or line of a file; for MultiRC, ReCoRD and RACE it is one question about a passage.

    Attributes:
        index: the index in the file, or the row number if the file has none. MultiRC: (passage,
            question). RACE: (id of the passage, number of the question).
        fields: the official texts by name, and their offsets and answer numbers.
        label: a label string of the task's record, a number (STS-B), a tuple with a label for each
            answer (MultiRC), with all right texts (ReCoRD) or with the labels that a text has, in
            the order of the record (a task with several labels); None in a test split.
        file: the file of the item.
        line: the line in the file, counted from 1; 0 if the item is not a single line.
    """

    index: Index
    fields: Mapping[str, FieldValue]
    label: Optional[Label] = None
    file: str = ""
    line: int = 0

    @property
    def where(self) -> str:
        """The file and line, for error messages."""
        return f"{self.file} line {self.line}" if self.line else self.file or f"item {self.index}"

    def text(self, name: str) -> str:
        """Return a field that must be a text."""
        value = self._field(name)
        if not isinstance(value, str):
            raise InputError(f"{self.where}: {name} is {value!r}, expected a text")
        return value

    def texts(self, name: str) -> Tuple[str, ...]:
        """Return a field that must be a list of texts."""
        value = self._field(name)
        if not isinstance(value, tuple) or not all(isinstance(part, str) for part in value):
            raise InputError(f"{self.where}: {name} is {value!r}, expected a list of texts")
        return tuple(str(part) for part in value)

    def number(self, name: str) -> int:
        """Return a field that must be a whole number."""
        value = self._field(name)
        if not isinstance(value, int):
            raise InputError(f"{self.where}: {name} is {value!r}, expected a whole number")
        return value

    def _field(self, name: str) -> FieldValue:
        if name not in self.fields:
            raise InputError(f"{self.where}: has no field {name!r}, it has {sorted(self.fields)}")
        return self.fields[name]


class Piece(NamedTuple):
    """A part of a text.

    White space between two pieces is at the start of the second one, so that the tokens of the
    pieces are the tokens of the whole text.

    Attributes:
        text: the part, or `<mask>` if `is_mask`.
        keep: whether truncation must keep the piece whole.
        is_mask: whether the piece is the special token `<mask>` and not text.
    """

    text: str
    keep: bool = False
    is_mask: bool = False


class Segment(NamedTuple):
    """One of the texts A and B in `<s> A </s></s> B </s>`.

    Attributes:
        pieces: the pieces of the text.
        rank: truncation shortens segments of rank 0 first, then those of rank 1; among segments of
            equal rank the longest first.
    """

    pieces: Tuple[Piece, ...]
    rank: int = 1


class TaskInput(NamedTuple):
    """One input sequence of a model.

    Attributes:
        segments: one or two segments.
        label: class id, a number for a regression, for a task with several labels 1.0 or 0.0 for
            each label of the task; None if unknown.
        item: index of its item in the list of items.
        choice: index of the answer, candidate or option that it is about; 0 if there is only one.
    """

    segments: Tuple[Segment, ...]
    label: InputLabel
    item: int
    choice: int = 0
