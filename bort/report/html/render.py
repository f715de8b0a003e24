"""Renders a report as one HTML file that needs nothing else."""

from __future__ import annotations

import functools
import itertools
import json
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple, Union

from bort.errors import InputError
from bort.process.printable import printable
from bort.report.html.document import (
    Bullets,
    Cell,
    Code,
    Document,
    Figure,
    Origin,
    Part,
    Table,
    inlines_of,
    keys_of,
    plain_text,
)
from bort.report.html.drawing import inline_svg
from bort.report.html.marks import mark_text, paragraph_marks, short_keys, source_title, table_marks
from bort.report.html.palette import style_rules
from bort.report.html.seconds import spoken_seconds

_LONGEST_LINE = 18
_FOLDER = Path(__file__).resolve().parent


def render_html(document: Document) -> str:
    """Return the report as an HTML page with the same bytes every time.

    The page has no script and no link to anything outside it. It follows the reader's light or
    dark screen, and is as wide as the screen.

    Raises:
        InputError: Jinja2 is not installed, or a figure is not SVG.
    """
    jinja2 = _library()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(_FOLDER)),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
    )
    view = _View(document)
    from markupsafe import Markup  # Jinja2 needs it

    return str(
        environment.get_template("page.html").render(
            document=document,
            view=view,
            drawing=lambda figure, number: Markup(
                inline_svg(figure.svg, f"f{number}", figure.title)
            ),
            style=Markup(style_rules() + (_FOLDER / "page.css").read_text(encoding="utf-8")),
        )
    )


class _Row(List[Figure]):
    """Figures that follow each other and are shown side by side."""


class _View:
    """The questions that the template asks about a document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._short = short_keys(document)
        self._places = document.places()
        self.next_table = functools.partial(next, itertools.count(1))
        self.next_figure = functools.partial(next, itertools.count(1))
        self.has_keys = any(short != key for key, short in self._short.items())

    marks = staticmethod(table_marks)
    pieces = staticmethod(paragraph_marks)
    inlines = staticmethod(inlines_of)
    plain = staticmethod(plain_text)
    joined = staticmethod(tuple)
    seconds = staticmethod(spoken_seconds)

    def kind(self, part: Union[Part, _Row]) -> str:
        """Return which block of the template shows a part."""
        for name, kind in (("table", Table), ("figure", Figure), ("code", Code), ("list", Bullets)):
            if isinstance(part, kind):
                return name
        if isinstance(part, _Row):
            return "figures"
        return "paragraph"

    def groups(self, parts: Sequence[Part]) -> Iterator[Union[Part, _Row]]:
        """Iterate over the parts of a section, with figures that follow each other in one list."""
        row = _Row()
        for part in parts:
            if isinstance(part, Figure):
                row.append(part)
                continue
            if row:
                yield row
                row = _Row()
            yield part
        if row:
            yield row

    def width(self, table: Table, column: int, cell: Cell) -> str:
        """Return the class of a cell: a number, a short text on one line, or a long one."""
        if table.is_numeric(column):
            return "right"
        text = cell if isinstance(cell, str) else cell.text
        return "short" if len(text) <= _LONGEST_LINE else "long"

    def mark(self, source: Origin) -> str:
        """Return the mark of a source."""
        return mark_text(self._document, source)

    def title(self, source: Origin) -> str:
        """Return the names and keys of a source."""
        return source_title(self._document, source)

    def anchor(self, source: Origin) -> str:
        """Return the name of the place in the page where the first stage of a source stands."""
        key = keys_of(source)[0]
        short = self._short[key]
        plain = "".join(one if one.isalnum() and one.isascii() else "-" for one in short)
        return f"stage-{plain}" if plain == short else f"stage-{plain}-{self._places[key]}"

    def short(self, key: str) -> str:
        """Return the short form of a key."""
        return self._short[key]

    def settings(self, settings: Dict[str, Any]) -> List[Tuple[str, str]]:
        """Return names and values of settings as text, in the order of the names."""
        return [
            (name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
            for name, value in sorted(settings.items())
        ]


def _shown(value: Any) -> Any:
    """Return a value of the template with control characters escaped; markup stays as it is."""
    return value if hasattr(value, "__html__") else printable(str(value), keep="\n")


def _library() -> Any:
    try:
        import jinja2
    except ImportError as error:
        raise InputError('Jinja2 is not installed: pip install "bort[report]"') from error
    return jinja2
