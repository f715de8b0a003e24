"""Rows of CSV text: round trips, delimiters, and what is refused, with the line."""

from __future__ import annotations

import csv
import io
from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.errors import InputError
from bort.storage import csv_text
from bort.storage.csv_text import (
    DELIMITERS,
    CsvRow,
    check_width,
    csv_rows,
    likely_delimiter,
    said_delimiter,
)

CELLS = st.text(st.sampled_from('ab",;|\t \n'), max_size=6)


@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=6),
    st.sampled_from(DELIMITERS),
    st.booleans(),
)
def test_what_csv_writes_is_read(rows: List[List[str]], delimiter: str, skip_spaces: bool) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows(rows)
    lines = io.StringIO(stream.getvalue(), newline="\n")
    found = csv_rows(lines, delimiter, "f", skip_spaces=skip_spaces)
    assert [list(row.cells) for row in found] == rows


def test_rows_have_the_line_where_they_begin() -> None:
    lines = ["\n", '"a\n', 'b",1\n', "\n", "c,2"]
    assert list(csv_rows(lines, ",", "f")) == [CsvRow(2, ("a\nb", "1")), CsvRow(5, ("c", "2"))]
    assert list(csv_rows(['a, "b, c"\n'], ",", "f", skip_spaces=True))[0].cells == ("a", "b, c")


@pytest.mark.parametrize(
    ("line", "delimiter"),
    [("sep=;\n", ";"), ('"sep=|"\n', "|"), ("SEP=,\n", ","), ("sep=\t\n", "\t"),
     ("sep=x\n", ""), ("sep=;", ""), ("sep\n", "")],
)  # fmt: skip
def test_a_line_may_say_the_delimiter(line: str, delimiter: str) -> None:
    assert said_delimiter(line) == delimiter


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [("a,b", ","), ("a;b\nc,d,e", ";"), ('"a,b,c";d', ";"), ("a,b;c", ","), ("a", ","),
     ("a|b|c,d", "|"), ('"a\nb,c";d', ";")],
)  # fmt: skip
def test_the_delimiter_is_the_one_outside_of_quotes(header: str, delimiter: str) -> None:
    assert likely_delimiter(header) == delimiter


def test_bad_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="f line 2: .* not valid: a quote is not closed"):
        list(csv_rows(["a,b\n", '"c,d\n'], ",", "f"))
    with pytest.raises(InputError, match="f line 1: .* a quote within quotes must be doubled"):
        list(csv_rows(['"a" b,c\n'], ",", "f"))
    monkeypatch.setattr(csv_text, "LONGEST_LINE_BYTES", 3)
    before = csv.field_size_limit()
    with pytest.raises(InputError, match="f line 1: a cell is longer than 3 characters"):
        list(csv_rows(["abcd\n"], ",", "f"))
    assert csv.field_size_limit() == before
    check_width(1, 2, 2, "f")
    with pytest.raises(InputError, match="f line 7: the row has 1 cells, the first one has 2$"):
        check_width(7, 1, 2, "f")
