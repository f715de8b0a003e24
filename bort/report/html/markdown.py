"""Renders a report as Markdown, with the same text and numbers as the HTML page."""

from __future__ import annotations

import json
import re
from typing import List, Optional, Sequence

from bort.process.printable import printable
from bort.report.html.document import (
    Bullets,
    Cell,
    Code,
    Document,
    Figure,
    Inline,
    Link,
    Origin,
    Paragraph,
    Part,
    Table,
    plain_text,
)
from bort.report.html.marks import mark_text, paragraph_marks, table_marks
from bort.report.html.seconds import spoken_seconds

_SPECIAL = re.compile(r"[\\`*_\[\]<>#|&~$]")
_LIST_AT_START = re.compile(r"(\s*)(?:([-+=])|(\d+)([.)]))(\s)")


def figure_file(number: int) -> str:
    """Return the name of the file of a figure beside the Markdown, numbered from 1."""
    return f"report-figure-{number}.svg"


def render_markdown(document: Document) -> str:
    """Return the report as Markdown; figures are the files that `figure_file` names."""
    return _Renderer(document).render()


class _Renderer:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._figures = 0

    def render(self) -> str:
        document = self._document
        blocks = [f"# {_line(plain_text(document.title))}", self._text(document.lead)]
        if document.highlights:
            blocks.append(
                "\n".join(
                    f"- **{_line(one.number.text)}**{self._mark(one.number.source)} "
                    f"{self._text(one.label)}"
                    for one in document.highlights
                )
            )
        for section in document.sections:
            blocks.append(f"## {_line(section.title)}")
            for part in section.parts:
                blocks += self._part(part)
        blocks += ["## Stages", *self._stages(), f"Made by {_line(document.made_by)}."]
        return "\n\n".join(block for block in blocks if block) + "\n"

    def _part(self, part: Part) -> List[str]:
        if isinstance(part, Table):
            return self._table(part)
        if isinstance(part, Figure):
            self._figures += 1
            shown = f"![{_line(part.title)}]({figure_file(self._figures)})"
            title = f"**{_line(part.title)}**{self._mark(part.source)}"
            data = [] if part.data is None else self._table(part.data)
            return [shown, title, self._text(part.caption), *data]
        if isinstance(part, Code):
            text = printable(part.text, keep="\n\t").rstrip("\n")
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
            return [f"{fence}\n{text}\n{fence}"]
        if isinstance(part, Bullets):
            return ["\n".join(f"- {self._text(item)}" for item in part.items)]
        return [self._text(part)]

    def _table(self, table: Table) -> List[str]:
        marks = table_marks(table)
        heads = [
            _line(name) + self._mark(source) for name, source in zip(table.columns, marks.columns)
        ]
        if marks.caption is not None and not table.caption:
            heads[0] += self._mark(marks.caption)
        signs = ["--:" if table.is_numeric(n) else ":--" for n in range(len(heads))]
        rows = [heads, signs]
        for number, row in enumerate(table.rows):
            cells = [self._cell(cell, marks.in_cells) for cell in row]
            cells[0] += self._mark(marks.rows[number])
            if number in table.emphasised:
                cells = [f"**{cell}**" if cell else cell for cell in cells]
            rows.append(cells)
        lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        caption = f"**{_line(table.caption)}**{self._mark(marks.caption)}" if table.caption else ""
        return [caption, lines, self._text(table.notes)]

    def _cell(self, cell: Cell, marked: bool) -> str:
        if isinstance(cell, str):
            return _line(cell)
        return _line(cell.text) + (self._mark(cell.source) if marked else "")

    def _text(self, paragraph: Paragraph) -> str:
        shown = "".join(
            _inline(piece) + self._mark(source) for piece, source in paragraph_marks(paragraph)
        )
        if _LIST_AT_START.match(shown):
            shown = _LIST_AT_START.sub(r"\1\3\\\2\4\5", shown, count=1)
        return shown

    def _mark(self, source: Optional[Origin]) -> str:
        return "" if source is None else f" \\{mark_text(self._document, source)[:-1]}\\]"

    def _stages(self) -> Sequence[str]:
        lines = ["| | stage | key | seconds | settings |", "| --: | :-- | :-- | --: | :-- |"]
        for place, stage in enumerate(self._document.stages, start=1):
            seconds = "" if stage.seconds is None else spoken_seconds(stage.seconds)
            settings = json.dumps(dict(stage.settings), sort_keys=True, ensure_ascii=False)
            shown = "" if not stage.settings else _line(settings)
            lines.append(
                f"| {place} | {_line(stage.name)} | {_line(stage.key)} | {seconds} | {shown} |"
            )
        return ["\n".join(lines)]


def _inline(piece: Inline) -> str:
    text = _line(piece if isinstance(piece, str) else piece.text)
    return f"[{text}]({piece.target})" if isinstance(piece, Link) else text


def _line(text: str) -> str:
    """Return text on one line in which no character has a meaning in Markdown."""
    return _SPECIAL.sub(r"\\\g<0>", printable(text.replace("\n", " ")))
