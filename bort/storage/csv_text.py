"""Rows of CSV text: the delimiter that a file has, and cells with quotes by RFC 4180."""

from __future__ import annotations

import csv
import re
from typing import Iterable, Iterator, NamedTuple, Tuple

from bort.errors import InputError
from bort.storage.text_lines import LONGEST_LINE_BYTES

DELIMITERS = (",", ";", "\t", "|")
_SAID = re.compile(r"""(?i)["']?sep=([,;\t|])["']?\n""")
_QUOTED = re.compile('"[^"]*"')
_OPENED = re.compile(r'(?:^|[,;\t|]) *"')


class CsvRow(NamedTuple):
    """One row.

    Attributes:
        line: the line where it begins, from 1.
        cells: the values of the columns.
    """

    line: int
    cells: Tuple[str, ...]


def said_delimiter(text: str) -> str:
    """Return the delimiter that a first line tells spreadsheets, "" if it is no such line.

    >>> said_delimiter("sep=;\\n"), said_delimiter("text,label\\n")
    (';', '')
    """
    found = _SAID.match(text)
    return found.group(1) if found else ""


def likely_delimiter(header: str) -> str:
    """Return the delimiter that a header has most often outside of quotes; a comma in doubt.

    >>> likely_delimiter('"text, or none";label')
    ';'
    """
    first = _QUOTED.sub("", header).split("\n", 1)[0]
    return max(DELIMITERS, key=lambda one: (first.count(one), one == ","))


def ends_in_quotes(header: str) -> bool:
    """Return whether the first line of a header ends within a quoted cell.

    >>> ends_in_quotes('text;"of a'), ends_in_quotes('5" screen;label')
    (True, False)
    """
    return _OPENED.search(_QUOTED.sub("", header)) is not None


def csv_rows(
    lines: Iterable[str], delimiter: str, source: str, *, skip_spaces: bool = False
) -> Iterator[CsvRow]:
    """Yield the rows of lines with quotes; blank lines are left out.

    Args:
        lines: the lines with their ends.
        delimiter: the character between cells.
        source: name of the file in error messages.
        skip_spaces: whether spaces at the beginning of a cell, before its quotes too, are left out.

    Raises:
        InputError: a quote is not closed or stands in a wrong place, or a cell is too long; names
            the line.
    """
    before = csv.field_size_limit(LONGEST_LINE_BYTES)
    start = 1
    try:
        reader = csv.reader(
            iter(lines), delimiter=delimiter, strict=True, skipinitialspace=skip_spaces
        )
        try:
            for cells in reader:
                if cells:
                    yield CsvRow(start, tuple(cells))
                start = reader.line_num + 1
        except csv.Error as error:
            if "field limit" in str(error):
                raise cell_too_long(source, start) from error
            raise InputError(
                f"{source} line {start}: the row that begins here is not valid: {_reason(error)}"
            ) from error
    finally:
        csv.field_size_limit(before)


def check_width(row: int, cells: int, width: int, source: str) -> None:
    """Raise `InputError` unless a row has as many cells as the first one.

    Args:
        row: line of the row.
        cells: number of its cells.
        width: number of cells of the first row.
        source: name of the file in error messages.
    """
    if cells != width:
        raise InputError(
            f"{source} line {row}: the row has {cells} cells, the first one has {width}"
            + ("; a cell that holds the delimiter must be in quotes" if cells > width else "")
        )


def cell_too_long(source: str, line: int) -> InputError:
    """Return the error of a cell that is too long."""
    return InputError(
        f"{source} line {line}: a cell is longer than {LONGEST_LINE_BYTES} characters"
    )


def _reason(error: csv.Error) -> str:
    if "unexpected end" in str(error):
        return "a quote is not closed"
    return f"{error}, a quote within quotes must be doubled"
