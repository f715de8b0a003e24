"""Reader of tables of a user: CSV and TSV, with and without quotes, and JSON lines.

The suffix of the file's name says which it is. A file may be compressed with gzip, bz2 or xz.
"""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from bort.errors import InputError
from bort.storage.csv_text import (
    cell_too_long,
    check_width,
    csv_rows,
    likely_delimiter,
    said_delimiter,
)
from bort.storage.json_text import parse_json
from bort.storage.text_lines import LARGEST_TEXT_BYTES, LONGEST_LINE_BYTES, checked_text
from bort.tasks.own.task_file import DATA_SUFFIXES
from data.corpus.text_files import read_unpacked
from data.readers.json_objects import JsonObject

_CSV, _TSV, _JSONL = DATA_SUFFIXES
_HEADER = 1 << 16  # characters among which the header ends


class TableRow(NamedTuple):
    """One row of a table.

    Attributes:
        line: the line in the file where it begins, from 1.
        cells: the values of the columns: texts, or values of JSON, None where a line lacks a field.
    """

    line: int
    cells: Tuple[Any, ...]


class TextTable(NamedTuple):
    """A table.

    Attributes:
        path: the file.
        columns: the names of the columns; () if the first line is a row like the others.
        rows: the rows.
        sha256: SHA-256 of the unpacked content.
    """

    path: Path
    columns: Tuple[str, ...]
    rows: List[TableRow]
    sha256: str


def read_table(path: Path, *, has_header: bool = True) -> TextTable:
    """Read a table.

    A CSV file has commas, or semicolons, tabs or vertical bars if the first line has more of them
    outside of quotes, or if it says so (`sep=;`). Quotes and line breaks inside of them follow
    RFC 4180; spaces before a quoted cell are left out. A TSV file has quotes if every cell that
    begins with one is a quoted cell; otherwise quotes are characters like others. Blank lines are
    left out.

    Args:
        path: the file.
        has_header: whether the first line of a CSV or TSV file has the names of the columns.

    Raises:
        InputError: the file is missing, has another suffix, is empty, too large, damaged or not
            UTF-8, holds a NUL character, a quote is not closed, or a row has a wrong number of
            cells; names file and line.
    """
    kind = _kind(path)
    content = read_unpacked(path, LARGEST_TEXT_BYTES)
    text = checked_text(content, path)
    digest = hashlib.sha256(content).hexdigest()
    if kind == _JSONL:
        columns, rows = _json_rows(text, path)
        return TextTable(path, columns, rows, digest)
    rows = _rows_of(text.replace("\r\n", "\n").replace("\r", " "), kind, path)
    if not rows:
        raise InputError(f"{path}: has no row")
    for row in rows:
        check_width(row.line, len(row.cells), len(rows[0].cells), str(path))
    if not has_header:
        return TextTable(path, (), rows, digest)
    names = tuple(str(cell).strip() for cell in rows[0].cells)
    return TextTable(path, names, rows[1:], digest)


def _kind(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in (".gz", ".bz2", ".xz"):
        suffixes.pop()
    kind = suffixes[-1] if suffixes else ""
    if kind not in DATA_SUFFIXES:
        raise InputError(
            f"{path}: has another ending than allowed: {', '.join(DATA_SUFFIXES)}, each also with "
            ".gz"
        )
    return kind


def _rows_of(text: str, kind: str, path: Path) -> List[TableRow]:
    if kind == _CSV:
        return _csv_rows(text, path)
    plain = [
        TableRow(number, tuple(line.split("\t")))
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]
    if any(len(row.cells) != len(plain[0].cells) for row in plain):
        try:
            quoted = _quoted(text, "\t", path)
        except InputError:
            return plain
        is_even = all(len(row.cells) == len(quoted[0].cells) for row in quoted)
        return quoted if is_even else plain
    for row in plain:
        if len(max(row.cells, key=len)) > LONGEST_LINE_BYTES:
            raise cell_too_long(str(path), row.line)
    opened = [cell for row in plain for cell in row.cells if cell.startswith('"')]
    if all(_is_quoted(cell) for cell in opened):
        return [TableRow(row.line, tuple(map(_unquoted, row.cells))) for row in plain]
    return plain


def _csv_rows(text: str, path: Path) -> List[TableRow]:
    said = said_delimiter(text)
    if said:
        text = text[text.index("\n") :]  # the numbers of the lines stay
    delimiter = said or likely_delimiter(text.lstrip("\n")[:_HEADER])
    # A quote there neither closes a cell nor is doubled, so RFC 4180 does not have it.
    mark = re.escape(delimiter)
    spaced = re.search(f'(?m)(?:^|{mark}) +"(?=[^"{mark}\\n])', text)
    rows: List[TableRow] = []
    if spaced:
        try:
            rows = _quoted(text, delimiter, path, skip_spaces=True)
        except InputError:
            pass  # such a quote is a character like others
    rows = rows or _quoted(text, delimiter, path)
    width = len(rows[0].cells) if rows else 0
    return [row for row in rows if len(row.cells) > 1 or width == 1 or row.cells[0].strip()]


def _quoted(text: str, delimiter: str, path: Path, skip_spaces: bool = False) -> List[TableRow]:
    lines = io.StringIO(text, newline="\n")
    found = csv_rows(lines, delimiter, str(path), skip_spaces=skip_spaces)
    return [TableRow(row.line, row.cells) for row in found]


def _is_quoted(cell: str) -> bool:
    return len(cell) > 1 and cell.endswith('"') and '"' not in cell[1:-1].replace('""', "")


def _unquoted(cell: str) -> str:
    return cell[1:-1].replace('""', '"') if cell.startswith('"') else cell


def _json_rows(text: str, path: Path) -> Tuple[Tuple[str, ...], List[TableRow]]:
    columns: Dict[str, None] = {}
    found: List[Tuple[int, Dict[str, Any]]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path} line {number}"
        if len(line) > LONGEST_LINE_BYTES:
            raise InputError(f"{where}: is longer than {LONGEST_LINE_BYTES} characters")
        if line.strip() in ("[", "{"):
            raise InputError(
                f"{where}: begins a value of several lines, allowed is an object a line"
            )
        value = parse_json(line, where)
        JsonObject(value, where)  # refuses other values
        found.append((number, value))
        columns.update(dict.fromkeys(value))
    names = tuple(columns)
    return names, [TableRow(number, tuple(map(value.get, names))) for number, value in found]


def column_number(table: TextTable, name: str) -> int:
    """Return the index of a column: of that name, else of its name in upper or lower case.

    White space around the name is left out, as around the names in the first line of a CSV file.

    Raises:
        InputError: there is no such column, or two; names those that there are.
    """
    places = [number for number, column in enumerate(table.columns) if column == name]
    if not places:
        wanted = name.strip().casefold()
        folded = [column.strip().casefold() for column in table.columns]
        places = [number for number, column in enumerate(folded) if column == wanted]
    if len(places) != 1:
        what = "has no column" if not places else f"has {len(places)} columns"
        raise InputError(f"{table.path}: {what} {name!r}, {columns_text(table.columns)}")
    return places[0]


def columns_text(columns: Sequence[str], limit: Optional[int] = 200) -> str:
    """Return the names of columns for an error message."""
    return f"it has {', '.join(columns) or 'none'}"[:limit]
