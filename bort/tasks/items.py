"""What stands between a task's files and a model: official items, and the inputs made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, NamedTuple, Optional, Tuple, Union

from bort.errors import InputError

Index = Union[int, str, Tuple[Union[int, str], ...]]
FieldValue = Union[str, int, Tuple[str, ...], Tuple[int, ...]]
Label = Union[str, float, Tuple[str, ...]]


@dataclass(frozen=True)
class TaskItem:
    """One official example: what a benchmark scores as one.

    A row or line, but for MultiRC and ReCoRD one question of a passage, for RACE one question.

    Attributes:
        index: as the file has it, the row number where it has none. MultiRC: (passage, question);
            RACE: (id of the passage, number of the question).
        fields: the official texts by name, and what belongs to them (offsets, numbers of answers).
        label: a label string of the task's record, a number (STS-B), a tuple with a label for every
            answer (MultiRC) or of all right texts (ReCoRD); None in a test split.
        file: where it came from.
        line: the line there, counted from 1; 0 where the item is not one line.
    """

    index: Index
    fields: Mapping[str, FieldValue]
    label: Optional[Label] = None
    file: str = ""
    line: int = 0

    @property
    def where(self) -> str:
        """File and line, to name in an error."""
        return f"{self.file} line {self.line}" if self.line else self.file or f"item {self.index}"

    def text(self, name: str) -> str:
        """Return a field that is one text."""
        value = self._field(name)
        if not isinstance(value, str):
            raise InputError(f"{self.where}: {name} is {value!r}, expected a text")
        return value

    def texts(self, name: str) -> Tuple[str, ...]:
        """Return a field that is several texts."""
        value = self._field(name)
        if not isinstance(value, tuple) or not all(isinstance(part, str) for part in value):
            raise InputError(f"{self.where}: {name} is {value!r}, expected a list of texts")
        return tuple(str(part) for part in value)

    def number(self, name: str) -> int:
        """Return a field that is a whole number."""
        value = self._field(name)
        if not isinstance(value, int):
            raise InputError(f"{self.where}: {name} is {value!r}, expected a whole number")
        return value

    def _field(self, name: str) -> FieldValue:
        if name not in self.fields:
            raise InputError(f"{self.where}: has no field {name!r}, it has {sorted(self.fields)}")
        return self.fields[name]


class Piece(NamedTuple):
    """A stretch of a text.

    White space between two pieces stands at the front of the second, so that tokens of the pieces
    are the tokens of the whole.

    Attributes:
        text: the stretch, or the vocabulary's `<mask>` if `is_mask`.
        keep: whether truncation must leave it whole.
        is_mask: the piece is the special token, not text.
    """

    text: str
    keep: bool = False
    is_mask: bool = False


class Segment(NamedTuple):
    """One of the texts `A`, `B` in `<s> A </s></s> B </s>`.

    Attributes:
        pieces: the stretches that make it up.
        rank: truncation shortens the segments of rank 0 as far as it can, then those of rank 1;
            among equals the longest.
    """

    pieces: Tuple[Piece, ...]
    rank: int = 1


class TaskInput(NamedTuple):
    """One sequence that a model answers.

    Attributes:
        segments: one or two.
        label: class id, a number for a regression, None when unknown.
        item: position in the list of items that this input belongs to.
        choice: which answer, candidate or option of the item it asks about; 0 if there is one.
    """

    segments: Tuple[Segment, ...]
    label: Union[None, int, float]
    item: int
    choice: int = 0
