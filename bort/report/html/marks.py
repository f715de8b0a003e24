"""Where the marks of the stages stand: each number has one, a table as few as possible."""

from __future__ import annotations

import re
from typing import Dict, List, NamedTuple, Optional, Sequence

from bort.report.html.document import Cell, Document, Number, Source, Table, keys_of

_SHORT = 10
_DIGEST = re.compile(r"[0-9a-f]{32,}")


class TableMarks(NamedTuple):
    """The marks of a table.

    If all numbers share a source, the caption has the mark; else the rows or the columns have it,
    if the numbers in each share one; else every cell has its own.

    Attributes:
        caption: source of the whole table.
        rows: source of each row; None for a row without numbers.
        columns: source of each column; None for a column without numbers.
        in_cells: whether every number has its own mark.
    """

    caption: Optional[Source]
    rows: Sequence[Optional[Source]]
    columns: Sequence[Optional[Source]]
    in_cells: bool


def table_marks(table: Table) -> TableMarks:
    """Return where the marks of a table stand."""
    rows = [_sources(row) for row in table.rows]
    columns = [_sources(column) for column in zip(*table.rows)] or [[] for _ in table.columns]
    whole = _unique([source for row in rows for source in row])
    no_rows: List[Optional[Source]] = [None] * len(rows)
    no_columns: List[Optional[Source]] = [None] * len(columns)
    if len(whole) <= 1:
        return TableMarks(whole[0] if whole else None, no_rows, no_columns, False)
    if all(len(row) <= 1 for row in rows):
        return TableMarks(None, [row[0] if row else None for row in rows], no_columns, False)
    if all(len(column) <= 1 for column in columns):
        shared = [column[0] if column else None for column in columns]
        return TableMarks(None, no_rows, shared, False)
    return TableMarks(None, no_rows, no_columns, True)


def mark_text(document: Document, source: Source) -> str:
    """Return the mark of a source: the places of its stages in the list, such as "[2, 5]"."""
    places = document.places()
    return f"[{', '.join(str(places[key]) for key in keys_of(source))}]"


def short_keys(document: Document) -> Dict[str, str]:
    """Return a short form of each key: the first characters of a digest, at least ten."""
    keys = [stage.key for stage in document.stages]
    length = _SHORT
    while len({key[:length] for key in keys}) < len(keys):
        length += 1
    return {key: key[:length] if _DIGEST.fullmatch(key) else key for key in keys}


def source_title(document: Document, source: Source) -> str:
    """Return the names and short keys of the stages of a source, as text."""
    names = {stage.key: stage.name for stage in document.stages}
    short = short_keys(document)
    return ", ".join(
        names[key] if names[key] == key else f"{names[key]} {short[key]}" for key in keys_of(source)
    )


def _sources(cells: Sequence[Cell]) -> List[Source]:
    return _unique([cell.source for cell in cells if isinstance(cell, Number)])


def _unique(sources: Sequence[Source]) -> List[Source]:
    found: List[Source] = []
    for source in sources:
        if keys_of(source) not in [keys_of(other) for other in found]:
            found.append(source)
    return found
