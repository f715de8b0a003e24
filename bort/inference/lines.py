"""Readers of questions and writers of answers: plain text, TSV and JSON lines, and rows of CSV."""

from __future__ import annotations

import io
import itertools
import json
from typing import Any, BinaryIO, Callable, Collection, Dict, Iterator, List, Optional, Tuple

from bort.errors import InputError
from bort.inference.questions import Question
from bort.inference.results import Prediction
from bort.process.printable import printable
from bort.storage.csv_text import (
    CsvRow,
    check_width,
    csv_rows,
    ends_in_quotes,
    likely_delimiter,
    said_delimiter,
)
from bort.storage.json_text import parse_json
from bort.storage.text_lines import LONGEST_LINE_BYTES, not_utf8

TEXT_FORMAT, TSV, JSONL, CSV = "text", "tsv", "jsonl", "csv"
INPUT_FORMATS = (TEXT_FORMAT, TSV, JSONL, CSV)
OUTPUT_FORMATS = (JSONL, TSV)
OnInvalid = Callable[[InputError], None]
"""A function that is called with the error of an invalid line."""

_BYTE_ORDER_MARK = "\ufeff"
_LONGEST_HEADER = 1 << 16  # characters


def numbered_lines(
    stream: BinaryIO, source: str, on_invalid: Optional[OnInvalid] = None
) -> Iterator[Tuple[int, str]]:
    """Yield the number (from 1) and the text of every line, without its end (`\\n` or `\\r\\n`).

    If there is no `\\n` at all, `\\r` ends lines.

    Args:
        stream: the lines.
        source: name of the stream for error messages.
        on_invalid: called with the error of a line that is not UTF-8, which is left out; None
            raises the error.

    Raises:
        InputError: a line is not UTF-8 or too long; the message names the line.
    """
    for number, line in enumerate(_lines_of(stream), start=1):
        if len(line) > LONGEST_LINE_BYTES:
            raise InputError(f"{source} line {number}: is longer than {LONGEST_LINE_BYTES} bytes")
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            refusal = InputError(f"{source} line {number}: {not_utf8(error)}")
            if on_invalid is None:
                raise refusal from error
            on_invalid(refusal)
            continue
        if number == 1 and text.startswith(_BYTE_ORDER_MARK):
            text = text[1:]
        yield number, text.rstrip("\n").rstrip("\r") if text.endswith("\n") else text


def _lines_of(stream: BinaryIO) -> Iterator[bytes]:
    """Yield lines with their ends; those that are too long are cut one byte after the limit."""
    first = stream.readline(LONGEST_LINE_BYTES + 1)
    if b"\n" not in first and len(first) <= LONGEST_LINE_BYTES:  # all that there is
        yield from io.BytesIO(first.replace(b"\r", b"\n"))
        return
    yield first
    yield from iter(lambda: stream.readline(LONGEST_LINE_BYTES + 1), b"")


def numbered_questions(
    stream: BinaryIO, source: str, input_format: str, used: Optional[Collection[str]] = None
) -> Iterator[Tuple[int, Question]]:
    """Yield the number of every line, from 1, and its question; of CSV, of every row but the first.

    Args:
        stream: the lines.
        source: name of the stream for error messages.
        input_format: one of `INPUT_FORMATS`. `csv`: the first row names the columns, and a question
            has all of them as fields. Commas, semicolons, tabs or vertical bars separate them.
        used: names of the fields that are read, of which CSV may have one column each; None: all.

    Raises:
        InputError: a line is not UTF-8 or too long, or not of the format; names the line.
    """
    if input_format == CSV:
        yield from _rows_of_csv(stream, source, used)
        return
    for number, line in numbered_lines(stream, source):
        yield number, question_of(line, input_format, f"{source} line {number}")


def _rows_of_csv(
    stream: BinaryIO, source: str, used: Optional[Collection[str]]
) -> Iterator[Tuple[int, Question]]:
    texts = (line.replace("\r", " ") for _, line in numbered_lines(stream, source))
    lines = (f"{line}\n" for line in texts)
    first = next(lines, "")
    said = said_delimiter(first)
    begun = _lines_to_header(lines if said else itertools.chain([first], lines))
    header = "".join(begun).lstrip("\n")
    delimiter = said or likely_delimiter(header)
    spaced = header.count(delimiter) == header.count(f"{delimiter} ") > 0
    before = ["\n"] if said else []  # the numbers of the lines stay
    found = itertools.chain(before, begun, lines)
    rows = csv_rows(found, delimiter, source, skip_spaces=spaced)
    names = [name.strip() for name in next(rows, CsvRow(1, ())).cells]
    for name in names if used is None else used:
        if name and names.count(name) > 1:
            raise InputError(f"{source}: has {names.count(name)} columns {name!r}, allowed is one")
    for row in rows:
        if len(row.cells) == 1 < len(names) and not row.cells[0].strip():
            continue
        check_width(row.line, len(row.cells), len(names), source)
        yield row.line, dict(zip(names, row.cells))


def _lines_to_header(lines: Iterator[str]) -> List[str]:
    """Take blank lines, which are made empty, and the lines of the header, with breaks in quotes.

    Those that come after the first one of a header are taken up to a length within which it ends.
    """
    taken: List[str] = []
    for line in lines:
        if line.strip():
            taken.append(line)
            break
        taken.append("\n")
    if not taken or not ends_in_quotes(taken[-1]):
        return taken
    length = 0
    for line in lines:
        taken.append(line)
        length += len(line)
        if line.count('"') % 2 or length > _LONGEST_HEADER:
            break
    return taken


def question_of(line: str, input_format: str, where: str) -> Question:
    """Parse a line into a question.

    Args:
        line: the line without its end.
        input_format: `text`: the whole line is the text. `tsv`: columns are texts, without
            quoting. `jsonl`: a JSON string, a list of texts, or an object of fields.
        where: file and line for error messages.

    Raises:
        InputError: the line is not JSON, or JSON of another type.
    """
    if input_format == TEXT_FORMAT:
        return line
    if input_format == TSV:
        return line.split("\t")
    value = parse_json(line, where, may_repeat=True, may_have_surrogates=True)
    if not isinstance(value, (str, list, dict)):
        raise InputError(f"{where}: is {line[:40]!r}, expected a string, a list or an object")
    return value


def _as_json(answer: Prediction) -> str:
    return json.dumps(answer.as_dict(), ensure_ascii=False, allow_nan=False)


def _as_columns(answer: Prediction) -> str:
    """Return tab-separated columns; white space that would end a column or line becomes a space."""
    return "\t".join(" ".join(_split(column)) for column in answer.columns())


def _split(column: str) -> Any:
    return column.replace("\t", "\n").splitlines() or [""]


WRITERS: Dict[str, Callable[[Prediction], str]] = {JSONL: _as_json, TSV: _as_columns}


def line_of(answer: Prediction, output_format: str, *, on_terminal: bool = False) -> bytes:
    """Return an answer as a line of UTF-8 with its end; lone surrogates become U+FFFD.

    Args:
        answer: the answer.
        output_format: `jsonl` or `tsv`.
        on_terminal: escape the control characters that come from the texts. JSON keeps its value.
    """
    line = WRITERS[output_format](answer)
    if on_terminal:
        line = _escaped_json(line) if output_format == JSONL else printable(line, keep="\t")
    clean = line.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return f"{clean}\n".encode()


def _escaped_json(line: str) -> str:
    """Return the same JSON with escapes for characters that a terminal may not print."""
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)
