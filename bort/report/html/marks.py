"""Where the marks of the stages stand: each number has one, a table as few as possible."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from bort.report.html.document import (
    Cell,
    Document,
    Inline,
    Number,
    Origin,
    Paragraph,
    Table,
    inlines_of,
    keys_of,
)
from bort.stages.key import KEY, SHOWN_DIGITS


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

    caption: Optional[Origin]
    rows: Sequence[Optional[Origin]]
    columns: Sequence[Optional[Origin]]
    in_cells: bool


def table_marks(table: Table) -> TableMarks:
    """Return where the marks of a table stand."""
    rows = [_sources(row) for row in table.rows]
    columns = [_sources(column) for column in zip(*table.rows)] or [[] for _ in table.columns]
    whole = _unique([source for row in rows for source in row])
    no_rows: List[Optional[Origin]] = [None] * len(rows)
    no_columns: List[Optional[Origin]] = [None] * len(columns)
    if len(whole) <= 1:
        return TableMarks(whole[0] if whole else None, no_rows, no_columns, False)
    if all(len(row) <= 1 for row in rows):
        return TableMarks(None, [row[0] if row else None for row in rows], no_columns, False)
    if all(len(column) <= 1 for column in columns):
        shared = [column[0] if column else None for column in columns]
        return TableMarks(None, no_rows, shared, False)
    return TableMarks(None, no_rows, no_columns, True)


def paragraph_marks(paragraph: Paragraph) -> List[Tuple[Inline, Optional[Origin]]]:
    """Return the pieces of a paragraph, each with the source whose mark stands behind it.

    If several numbers share one source, the mark stands at the end. Else, of numbers with one
    source that follow each other, the last one has it.
    """
    pieces = inlines_of(paragraph)
    marked: List[Tuple[Inline, Optional[Origin]]] = []
    following: Optional[Tuple[str, ...]] = None
    numbers = [piece for piece in pieces if isinstance(piece, Number)]
    if len(numbers) > 1 and len(_sources(numbers)) == 1:
        return [*((piece, None) for piece in pieces), ("", numbers[0].source)]
    for piece in reversed(pieces):
        source = None
        if isinstance(piece, Number):
            keys = keys_of(piece.source)
            source = piece.source if keys != following else None
            following = keys
        marked.append((piece, source))
    return marked[::-1]


def mark_text(document: Document, source: Origin) -> str:
    """Return the mark of a source: the places of its stages in the list, such as "[2, 5–8]"."""
    places = document.places()
    runs: List[List[int]] = []
    for place in sorted({places[key] for key in keys_of(source)}):
        if runs and place == runs[-1][-1] + 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    shown = [f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return f"[{', '.join(shown)}]"


def short_keys(document: Document) -> Dict[str, str]:
    """Return a short form of each key: the first characters of a digest, those that
    messages show, or more.
    """
    keys = [stage.key for stage in document.stages]
    length = SHOWN_DIGITS
    while len({key[:length] for key in keys}) < len(keys):
        length += 1
    return {key: key[:length] if KEY.fullmatch(key) else key for key in keys}


def source_title(document: Document, source: Origin) -> str:
    """Return the names and short keys of the stages of a source, as text."""
    names = {stage.key: stage.name for stage in document.stages}
    short = short_keys(document)
    return ", ".join(
        names[key] if names[key] == key else f"{names[key]} {short[key]}" for key in keys_of(source)
    )


def _sources(cells: Sequence[Cell]) -> List[Origin]:
    return _unique([cell.source for cell in cells if isinstance(cell, Number)])


def _unique(sources: Sequence[Origin]) -> List[Origin]:
    found: List[Origin] = []
    for source in sources:
        if keys_of(source) not in [keys_of(other) for other in found]:
            found.append(source)
    return found
