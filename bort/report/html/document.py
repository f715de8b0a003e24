"""The content of a report: text, numbers, tables and figures, and the stages they come from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import bort

_NUMBER = re.compile(
    r"<[^<>]*>|(?<![\w.,-])(?P<number>[-+−]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?(?: ?%)?)"
    r"(?![\w-]|[.,]\d)"
)

_TARGET = re.compile(r"[\w.-]+(?:/[\w.-]+)*", re.ASCII)

Origin = Union[str, Tuple[str, ...]]
"""The key of the stage that a number comes from, or the keys of several."""


@dataclass(frozen=True)
class Number:
    """A number as it is shown.

    Attributes:
        text: the number with its unit, such as "53.9 %".
        source: key, or keys, of the stages that it comes from.
    """

    text: str
    source: Origin


@dataclass(frozen=True)
class Link:
    """A link to a file that lies beside the report.

    Attributes:
        text: the words that are shown.
        target: path of the file, relative to the folder of the report, with "/" between names.
    """

    text: str
    target: str

    def __post_init__(self) -> None:
        if not _TARGET.fullmatch(self.target):
            raise ValueError(
                f"link {self.text!r}: the target is {self.target!r}, allowed is a relative path of "
                'letters, digits, "_", "-" and "."'
            )


Inline = Union[str, Number, Link]
Paragraph = Union[str, Sequence[Inline]]
"""Text, or pieces of text, numbers and links that are joined without a space."""
Cell = Union[str, Number]


@dataclass(frozen=True)
class Table:
    """A table. Columns of numbers are aligned to the right.

    Attributes:
        columns: headings.
        rows: cells of each row; the first one names the row.
        caption: what the table shows.
        notes: text below the table.
        emphasised: places of the rows that stand out, from 0.
        folded: show the table on demand only; its caption is shown always.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    notes: Paragraph = ""
    emphasised: Sequence[int] = ()
    folded: bool = False

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"table {self.caption!r}: row {number} has {len(row)} cells, "
                    f"the table {len(self.columns)} columns"
                )

    def is_numeric(self, column: int) -> bool:
        """Return whether all cells of a column that are not empty are numbers."""
        cells = [row[column] for row in self.rows if row[column] not in ("", "–")]
        return bool(cells) and all(isinstance(cell, Number) for cell in cells)


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes:
        title: its name, one line.
        svg: the drawing as SVG, for example of `bort.report.html.drawing.svg_of`.
        caption: what it shows and how to read it.
        source: key, or keys, of the stages that it comes from.
        data: the numbers that are drawn; shown on demand.
    """

    title: str
    svg: str
    caption: Paragraph
    source: Origin
    data: Optional[Table] = None


@dataclass(frozen=True)
class Code:
    """A block of code or commands."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of short paragraphs."""

    items: Sequence[Paragraph]


Part = Union[str, Sequence[Inline], Table, Figure, Code, Bullets]


@dataclass(frozen=True)
class Section:
    """A titled part of a report; figures that follow each other may be shown side by side."""

    title: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Highlight:
    """A number that is shown in large type below the lead, and the words that explain it."""

    number: Number
    label: Paragraph


@dataclass(frozen=True)
class ReportedStage:
    """A stage whose results the report uses.

    Attributes:
        name: name of the stage.
        key: its key; for a result that no store holds, any text that no other stage has.
        seconds: wall seconds of the stage; None if they are not known.
        settings: the settings in its key.
        inputs: keys of the stages that it uses, if they are in the report.
    """

    name: str
    key: str
    seconds: Optional[float] = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Sequence[str] = ()


@dataclass(frozen=True)
class Document:
    """A whole report.

    Attributes:
        title: the headline.
        lead: one paragraph with the answer.
        sections: the parts, in order.
        stages: every stage that a number or figure comes from, in order.
        highlights: a few numbers in large type.
        made_by: program and version.

    Raises:
        ValueError: two stages have the same key, or a number or figure comes from none of them.
    """

    title: Paragraph
    lead: Paragraph
    sections: Sequence[Section]
    stages: Sequence[ReportedStage]
    highlights: Sequence[Highlight] = ()
    made_by: str = f"bort {bort.__version__}"

    def __post_init__(self) -> None:
        known = [stage.key for stage in self.stages]
        for place, key in enumerate(known):
            if key in known[:place]:
                raise ValueError(f"two stages of the report have the key {key!r}")
        for shown, source in self._sources():
            for key in keys_of(source):
                if key not in known:
                    raise ValueError(
                        f"{shown!r} comes from the stage {key!r}, which the report does not list"
                    )
        for stage in self.stages:
            for key in stage.inputs:
                if key not in known:
                    raise ValueError(f"stage {stage.name}: the report does not list {key!r}")

    def numbers(self) -> Iterator[Number]:
        """Iterate over all numbers, in the order of the report."""
        yield from _numbers_in(self.title)
        yield from _numbers_in(self.lead)
        for highlight in self.highlights:
            yield highlight.number
            yield from _numbers_in(highlight.label)
        for section in self.sections:
            for part in section.parts:
                yield from _numbers_of(part)

    def figures(self) -> Iterator[Figure]:
        """Iterate over all figures, in the order of the report."""
        for section in self.sections:
            yield from (part for part in section.parts if isinstance(part, Figure))

    def places(self) -> Dict[str, int]:
        """Return the place of each stage in the list at the end, from 1, by its key."""
        return {stage.key: place for place, stage in enumerate(self.stages, start=1)}

    def _sources(self) -> Iterator[Tuple[str, Origin]]:
        yield from ((number.text, number.source) for number in self.numbers())
        yield from ((figure.title, figure.source) for figure in self.figures())


def keys_of(source: Origin) -> Tuple[str, ...]:
    """Return the keys of a source.

    Raises:
        ValueError: there is none.
    """
    keys = (source,) if isinstance(source, str) else tuple(source)
    if not keys or not all(keys):
        raise ValueError(f"{source!r} is not the key of a stage")
    return keys


def inlines_of(paragraph: Paragraph) -> List[Inline]:
    """Return the pieces of a paragraph."""
    return [paragraph] if isinstance(paragraph, str) else list(paragraph)


def plain_text(paragraph: Paragraph) -> str:
    """Return a paragraph as text without sources and targets.

    >>> plain_text(["It is ", Number("3.1", "search"), " times as fast"])
    'It is 3.1 times as fast'
    """
    return "".join(
        piece if isinstance(piece, str) else piece.text for piece in inlines_of(paragraph)
    )


def numbered(text: str, source: Origin) -> List[Inline]:
    """Return a text in which every number comes from one source.

    Digits of a word, such as "3-layer", and sizes between angle brackets stay text.

    >>> [one.text for one in numbered("the 6-layer model <1, 2>: 41 ± 5 s, 80 %, -0.5", "k")
    ...  if isinstance(one, Number)]
    ['41', '5', '80 %', '-0.5']
    """
    pieces: List[Inline] = []
    after = 0
    for found in _NUMBER.finditer(text):
        if found["number"]:
            pieces += [text[after : found.start()], Number(found["number"], source)]
            after = found.end()
    return [piece for piece in [*pieces, text[after:]] if piece != ""]


def _numbers_in(paragraph: Paragraph) -> Iterator[Number]:
    yield from (piece for piece in inlines_of(paragraph) if isinstance(piece, Number))


def _numbers_of(part: Part) -> Iterator[Number]:
    if isinstance(part, Table):
        for row in part.rows:
            yield from (cell for cell in row if isinstance(cell, Number))
        yield from _numbers_in(part.notes)
    elif isinstance(part, Figure):
        yield from _numbers_in(part.caption)
        if part.data is not None:
            yield from _numbers_of(part.data)
    elif isinstance(part, Bullets):
        for item in part.items:
            yield from _numbers_in(item)
    elif not isinstance(part, Code):
        yield from _numbers_in(part)
