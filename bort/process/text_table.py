"""Text tables for the terminal."""

from __future__ import annotations

from typing import Sequence

from bort.process.printable import printable


def text_table(lines: Sequence[Sequence[str]], alignment: str = "<>") -> str:
    """Return a table whose columns are as wide as their widest cell, two spaces apart.

    Args:
        lines: cells of every line, headings first; the same number in each.
        alignment: as in `text_line`.

    >>> print(text_table([("", "loss"), ("teacher", "1.25"), ("student", "10.50")]))
              loss
    teacher   1.25
    student  10.50
    """
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join(text_line(cells, widths, alignment) for cells in lines)


def text_line(cells: Sequence[str], widths: Sequence[int], alignment: str = "<>") -> str:
    """Return one line of a table with given widths, for a table that grows while it is shown.

    Args:
        cells: one per column; control characters are escaped.
        widths: characters per column; a longer cell shifts the rest of its line.
        alignment: one character per column, `<` or `>`; the last one holds for all further columns.

    >>> text_line(("2", "0.75"), (4, 8), ">")
    '   2      0.75'
    """
    assert len(cells) == len(widths)
    cells = [printable(cell) for cell in cells]
    signs = alignment.ljust(len(cells), alignment[-1])
    columns = zip(cells, signs, widths)
    return "  ".join(f"{cell:{sign}{width}}" for cell, sign, width in columns).rstrip()
