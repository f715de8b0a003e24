"""Reader of the files of an own task: labelled texts in a table of the user."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

from bort.errors import InputError
from bort.tasks.own.config import OwnDataConfig
from bort.tasks.own.label_fields import SEVERAL_LABELS
from bort.tasks.own.labels import WrittenLabel
from bort.tasks.own.task import OwnTask
from data.readers.tables import TextTable, column_number, columns_text, read_table

NAMES_OF_PAIRS = (
    ("text_a", "text_b"),
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("text1", "text2"),
    ("question", "sentence"),
)
"""Names of the columns of two texts that are found without a flag, in the order of the search."""

NAMES_OF_TEXTS = ("text", "sentence")
"""Names of the column of a single text, searched after those of two."""

NAMES_OF_LABELS = ("label", "labels", "class", "target", "score")
"""Names of the column of the labels, in the order of the search."""

_SHOWN = 3
_WITHOUT_FLAGS = "; commands without this flag read a task file of scripts/describe_task.py"
_MARKS = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}


class Columns(NamedTuple):
    """The columns of a table that a task reads.

    Attributes:
        fields: names of the columns with the texts.
        label: name of the column with the labels; "" for none.
        positions: numbers of these columns, from 1, in a table without a header; () with one.
        several: whether a row has any number of labels: a list of JSON, a cell with separators, or
            a column of 0 and 1 for each label.
        separator: text between the labels in a cell; "" if there is none.
        of_labels: names of the columns of 0 and 1, which are the labels; () if there are none.
    """

    fields: Tuple[str, ...]
    label: str
    positions: Tuple[int, ...] = ()
    several: bool = False
    separator: str = ""
    of_labels: Tuple[str, ...] = ()

    @property
    def with_labels(self) -> Tuple[str, ...]:
        """The names of the columns that labels are read from."""
        return self.of_labels or (self.label,)


class OwnRow(NamedTuple):
    """A row with its texts.

    Attributes:
        number: number of the row in its file, from 0.
        line: line of the file, from 1.
        texts: the texts.
        label: the label as it is written, without white space around it; a tuple of several
            labels, () if the text has none of them; "" if the label is not known.
    """

    number: int
    line: int
    texts: Tuple[str, ...]
    label: WrittenLabel


class OwnRows(NamedTuple):
    """The rows of a file.

    Attributes:
        path: the file.
        rows: the rows that can be used.
        unlabelled: lines of the rows without a label, which are left out.
        empty: lines of the rows with an empty text, which are left out.
        sha256: SHA-256 of the file's unpacked content.
    """

    path: Path
    rows: List[OwnRow]
    unlabelled: List[int]
    empty: List[int]
    sha256: str

    @property
    def total(self) -> int:
        """The number of all rows."""
        return len(self.rows) + len(self.unlabelled) + len(self.empty)

    @property
    def left_out(self) -> List[str]:
        """The rows that are left out and why, in words."""
        reasons = (("without a label", self.unlabelled), ("with an empty text", self.empty))
        return [lines_text(why, lines) for why, lines in reasons if lines]

    def where(self, row: OwnRow) -> str:
        """Return the file and line of a row, for error messages."""
        return f"{self.path} line {row.line}"


def lines_text(why: str, lines: Sequence[int]) -> str:
    """Return rows that are left out in words, with the first lines.

    >>> lines_text("without a label", [17, 203, 204, 900])
    '4 rows without a label left out: lines 17, 203, 204, …'
    """
    shown = ", ".join(map(str, lines[:_SHOWN])) + (", …" if len(lines) > _SHOWN else "")
    rows, line = ("row", "line") if len(lines) == 1 else ("rows", "lines")
    return f"{len(lines):,} {rows} {why} left out: {line} {shown}"


def open_table(path: Path, reading: OwnDataConfig) -> Tuple[TextTable, Columns]:
    """Read a table and find the columns of its texts and labels.

    Args:
        path: the file.
        reading: names of columns or, for a file without a header, numbers from 1. Without them,
            texts are in the first of `NAMES_OF_PAIRS` or `NAMES_OF_TEXTS` that the table has,
            labels in the first of `NAMES_OF_LABELS`. Rows have several labels if it says so, or if
            a line of JSON has a list of them.

    Raises:
        InputError: a column is missing, which names those that there are; or the file is bad.
    """
    text_columns, label_column = reading.text_columns, reading.label_column
    given = [*(text_columns or ()), *(() if label_column is None else (label_column,))]
    given += reading.label_columns or ()
    table = read_table(path)
    if all(one.isdecimal() for one in given) and not set(given) <= set(table.columns):
        table, columns = _without_header(path, text_columns, label_column, reading)
        return table, _with_form(table, columns, reading)
    fields = _text_columns(table, text_columns)
    if reading.label_columns:
        named = tuple(_found(table, name) for name in reading.label_columns)
        if len(set(named)) < len(named):
            raise InputError(
                f"{path}: label_columns is {list(reading.label_columns)}, allowed are two "
                "different columns or more"
            )
        columns = Columns(fields, "", several=True, of_labels=named)
    else:
        columns = _with_form(table, Columns(fields, _label_column(table, label_column)), reading)
    both = next((name for name in columns.with_labels if name in fields), None)
    if both is not None:
        raise InputError(f"{path}: the column {both!r} has texts, allowed is another for labels")
    return table, columns


def _with_form(table: TextTable, columns: Columns, reading: OwnDataConfig) -> Columns:
    """Return columns with the form of the labels in their column: one for each row, or several."""
    if reading.label_separator is not None:
        return columns._replace(several=True, separator=reading.label_separator)
    if reading.kind == SEVERAL_LABELS and not _is_json(table.path):
        raise InputError(
            f"{table.path}: kind is {SEVERAL_LABELS!r}, and label_separator and label_columns are "
            "both missing; name the text between the labels, or the columns of 0 and 1"
        )
    if reading.kind is not None or not _is_json(table.path):
        return columns._replace(several=reading.kind == SEVERAL_LABELS)
    place = column_number(table, columns.label)
    return columns._replace(several=any(isinstance(row.cells[place], list) for row in table.rows))


def _without_header(
    path: Path,
    text_columns: Optional[Sequence[str]],
    label_column: Optional[str],
    reading: OwnDataConfig,
) -> Tuple[TextTable, Columns]:
    if reading.label_columns:
        raise InputError(
            f"{path}: label_columns is {list(reading.label_columns)}, allowed for a file without a "
            "header is none; put a first line with names above the rows"
        )
    if text_columns is None or label_column is None:
        raise InputError(
            f"{path}: text_columns and label_column are both needed as numbers for a file without "
            "a header"
        )
    fields = NAMES_OF_TEXTS[:1] if len(text_columns) == 1 else NAMES_OF_PAIRS[0]
    positions = tuple(int(one) for one in (*text_columns, label_column))
    table = read_table(path, has_header=False)
    place = positions[-1] - 1
    labels = [str(row.cells[place]).strip() for row in table.rows if place < len(row.cells)]
    if labels and labels[0].casefold() in NAMES_OF_LABELS and labels[0] not in labels[1:]:
        raise InputError(
            f"{path}: the first line is a header ({', '.join(map(str, table.rows[0].cells))}), "
            "allowed are then the names of columns, not their numbers"
        )
    return table, Columns(fields, NAMES_OF_LABELS[0], positions)


def _text_columns(table: TextTable, names: Optional[Sequence[str]]) -> Tuple[str, ...]:
    if names is not None:
        found = tuple(_found(table, name) for name in names)
        if not 1 <= len(found) <= 2 or len(set(found)) < len(found):
            raise InputError(f"text_columns is {list(names)}, allowed are one or two columns")
        return found
    for wanted in (*NAMES_OF_PAIRS, *((name,) for name in NAMES_OF_TEXTS)):
        written = [_as_written(table, one) for one in wanted]
        if all(written):
            return tuple(map(str, written))
    known = ", ".join((*NAMES_OF_TEXTS, *(" and ".join(pair) for pair in NAMES_OF_PAIRS)))
    raise InputError(
        f"{table.path}: has no column of texts with a known name ({known}), "
        f"{columns_text(table.columns)}; name one or two with --text_columns, or give their "
        f"numbers, from 1, if the file has no header{_WITHOUT_FLAGS}"
    )


def _label_column(table: TextTable, name: Optional[str]) -> str:
    if name is not None:
        return _found(table, name)
    for known in NAMES_OF_LABELS:
        written = _as_written(table, known)
        if written is not None:
            return written
    raise InputError(
        f"{table.path}: has no column of labels with a known name ({', '.join(NAMES_OF_LABELS)}), "
        f"{columns_text(table.columns)}; name it with --label_column{_WITHOUT_FLAGS}"
    )


def _found(table: TextTable, name: str) -> str:
    """Return the name of a column that the user names, as the table has it."""
    return table.columns[column_number(table, name)]


def _as_written(table: TextTable, known: str) -> Optional[str]:
    """Return a known name as a table has it, in upper or lower case; None if it has not."""
    if known in table.columns:
        return known
    return next((name for name in table.columns if name.casefold() == known), None)


def columns_of(task: OwnTask) -> Columns:
    """Return the columns that a task reads."""
    return Columns(
        task.fields,
        task.label_column,
        task.positions,
        task.several_labels,
        task.label_separator,
        task.label_columns,
    )


def read_rows(path: Path, columns: Columns, *, with_labels: bool = True) -> OwnRows:
    """Read the rows of a file.

    Args:
        path: the file.
        columns: the columns to read.
        with_labels: whether to read the labels; without them the column may be missing.

    Raises:
        InputError: the file is missing or bad, a column is missing, a value is no text, or no row
            is left; names file and line.
    """
    table = read_table(path, has_header=not columns.positions or _is_json(path))
    rows = rows_of(table, columns, with_labels=with_labels)
    if not rows.rows:
        raise InputError(f"{path}: no row of {rows.total} can be used: {'; '.join(rows.left_out)}")
    return rows


def _is_json(path: Path) -> bool:
    return any(suffix.lower() == ".jsonl" for suffix in path.suffixes)


def rows_of(table: TextTable, columns: Columns, *, with_labels: bool = True) -> OwnRows:
    """Return the rows of a table; arguments and errors are those of `read_rows`."""
    names = (*columns.fields, *(columns.with_labels if with_labels else ()))
    if not table.rows:
        raise InputError(f"{table.path}: has a header and no row")
    if table.columns:
        places = [column_number(table, name) for name in names]
    else:
        places = [number - 1 for number in columns.positions[: len(names)]]
        width = len(table.rows[0].cells)
        if max(places) >= width:
            raise InputError(f"{table.path}: has {width} columns, there is none {max(places) + 1}")
    found = OwnRows(table.path, [], [], [], table.sha256)
    texts_at, label_at = places[: len(columns.fields)], places[len(columns.fields) :]
    for number, (line, cells) in enumerate(table.rows):
        where = f"{table.path} line {line}"
        texts = tuple(
            _text(cells[place], where, name) for place, name in zip(texts_at, columns.fields)
        )
        label = _label([cells[place] for place in label_at], where, columns)
        if label_at and label == "":
            found.unlabelled.append(line)
        elif not all(map(str.strip, texts)):
            found.empty.append(line)
        else:
            found.rows.append(OwnRow(number, line, texts, label))
    return found


def _label(cells: Sequence[Any], where: str, columns: Columns) -> WrittenLabel:
    """Return the label in the cells of a row as it is written, "" if there is none."""
    if not cells:
        return ""
    if columns.of_labels:
        marks = [_mark(cell, where, name) for cell, name in zip(cells, columns.of_labels)]
        return (
            ""
            if None in marks
            else tuple(name for name, mark in zip(columns.of_labels, marks) if mark)
        )
    (cell,) = cells
    if not columns.several:
        return _text(cell, where, columns.label).strip()
    if isinstance(cell, list):
        texts = [_text(one, where, columns.label) for one in cell]
    else:
        text = _text(cell, where, columns.label)
        if not text.strip():
            return ""
        if not columns.separator:
            raise InputError(
                f"{where}: {columns.label} is {text!r:.60}, allowed is a list of labels"
            )
        texts = text.split(columns.separator)
    stripped = (text.strip() for text in texts)
    return tuple(dict.fromkeys(text for text in stripped if text))


def _mark(cell: Any, where: str, name: str) -> Optional[bool]:
    """Return whether a cell of 0 and 1 is 1; None if it is empty."""
    text = _text(cell, where, name).strip().lower()
    if text and text not in _MARKS:
        raise InputError(f"{where}: {name} is {text!r:.60}, allowed are 0 and 1")
    return _MARKS.get(text)


def _text(value: Any, where: str, name: str) -> str:
    """Return a cell as text: numbers and truth values of JSON as they are written there."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    what = "a list" if isinstance(value, list) else "an object"
    raise InputError(f"{where}: {name} is {what}, allowed is a text or a number, one for each row")
