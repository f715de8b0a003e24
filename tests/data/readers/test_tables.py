"""The reader of CSV, TSV and JSON lines: round trips and every bad file, with file and line."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bort.errors import InputError
from data.readers.tables import TableRow, read_table

CELLS = st.text(
    st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from('",;\n"'), max_size=8
)
PACKED = gzip.compress(b"a,b\n" + bytes(range(65, 90)) * 99, mtime=0)  # the same on each worker
TABLES = st.integers(1, 3).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=6)
)


def read(tmp_path: Path, content, name: str = "x.csv", **options):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, **options)


def cells_of(table) -> List[List[str]]:
    return [list(row.cells) for row in table.rows]


@settings(max_examples=150, deadline=None)
@given(TABLES, st.sampled_from(["\n", "\r\n"]))
def test_what_csv_writes_is_read(tmp_path_factory, rows, end):
    rows = [row for row in rows if row != [""]]  # a blank line is no row
    width = len(rows[0]) if rows else 1
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator=end)
    writer.writerows([[f"c{n}" for n in range(width)], *rows])
    table = read(tmp_path_factory.mktemp("t"), stream.getvalue())
    assert table.columns == tuple(f"c{n}" for n in range(width))
    assert cells_of(table) == rows


def test_quotes_line_breaks_and_lines(tmp_path):
    text = 'text,label\n"a, ""b""\nc",1\n\n=SUM(A1),0\n5" pipe,1\n'
    assert read(tmp_path, text).rows == [
        TableRow(2, ('a, "b"\nc', "1")),
        TableRow(5, ("=SUM(A1)", "0")),
        TableRow(6, ('5" pipe', "1")),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_ends_of_lines_and_byte_order_mark(tmp_path, end):
    content = b"\xef\xbb\xbf" + end.join(["text,label", "a,1", "b,2", ""]).encode()
    table = read(tmp_path, content)
    assert table.columns == ("text", "label")
    assert cells_of(table) == [["a", "1"], ["b", "2"]]


def test_delimiters_of_csv(tmp_path):
    for delimiter in ",;\t|":
        table = read(tmp_path, delimiter.join(["text", "label"]) + f"\n'a{delimiter}1\n")
        assert cells_of(table) == [["'a", "1"]]
    table = read(tmp_path, '"a, b, c";label\nx;1\n')
    assert (table.columns, cells_of(table)) == (("a, b, c", "label"), [["x", "1"]])


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"'])
def test_a_spreadsheets_line_of_the_delimiter(tmp_path, first):
    table = read(tmp_path, f"\ufeff{first}\r\na,b;label\r\nx;1\r\n")
    assert table.columns == ("a,b", "label")
    assert table.rows == [TableRow(3, ("x", "1"))]


def test_spaces_before_quotes(tmp_path):
    table = read(tmp_path, 'label, text\ngood, "a, ""b"""\n bad, "c\nd"\nx, y\n')
    assert table.columns == ("label", "text")
    assert cells_of(table) == [["good", 'a, "b"'], ["bad", "c\nd"], ["x", "y"]]
    # A quote that opens no quoted cell is a character, and then so are the spaces.
    assert cells_of(read(tmp_path, 'a,b\nx, "y" z\n')) == [["x", ' "y" z']]
    assert cells_of(read(tmp_path, 'a,b\n"x, ", y\n')) == [["x, ", " y"]]


def test_a_line_of_spaces_is_blank_where_a_row_has_several_cells(tmp_path):
    assert cells_of(read(tmp_path, "a,b\nx,1\n   \n\t\ny,2\n")) == [["x", "1"], ["y", "2"]]
    assert cells_of(read(tmp_path, "a\nx\n  \n")) == [["x"], ["  "]]


def test_a_tsv_file_with_and_without_quotes(tmp_path):
    def rows(text):
        return cells_of(read(tmp_path, text, "x.tsv"))

    assert rows('t\ty\nhe said "no"\t1\n') == [['he said "no"', "1"]]
    assert rows('t\ty\n"never closed\t1\nanother"\t0\n') == [
        ['"never closed', "1"],
        ['another"', "0"],
    ]
    assert rows('t\ty\n"in ""quotes"""\t1\nplain\t0\n') == [['in "quotes"', "1"], ["plain", "0"]]
    assert rows('t\ty\n"a\nb"\t1\n"c\td"\t0\n') == [["a\nb", "1"], ["c\td", "0"]]


def test_json_lines_have_the_union_of_their_fields(tmp_path):
    text = '{"a": "x", "b": 1}\n\n{"b": null, "c": ["y"]}\n'
    table = read(tmp_path, text, "x.jsonl")
    assert table.columns == ("a", "b", "c")
    assert table.rows == [TableRow(1, ("x", 1, None)), TableRow(3, (None, None, ["y"]))]


def test_compressed_files_and_their_digest(tmp_path):
    plain = read(tmp_path, "text,label\na,1\n")
    packed = read(tmp_path, gzip.compress(b"text,label\na,1\n"), "x.csv.gz")
    assert (packed.rows, packed.sha256) == (plain.rows, plain.sha256)


def test_a_file_without_a_header(tmp_path):
    table = read(tmp_path, "a,1\nb,2\n", has_header=False)
    assert (table.columns, cells_of(table)) == ((), [["a", "1"], ["b", "2"]])


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "x.csv", "x.csv: is empty"),
        (b"\n\n", "x.csv", "x.csv: is empty"),
        (b"a,b\nx\n", "x.csv", "line 2: the row has 1 cells, the first one has 2$"),
        (b"a,b\nx,y,z\n", "x.csv", "has 3 cells, the first one has 2; a cell that holds the del"),
        (b'[\n{"a": 1}\n]\n', "x.jsonl", "line 1: begins a value of several lines, allowed is"),
        (b'{\n"a": 1\n}\n', "x.jsonl", "line 1: begins a value of several lines, allowed is"),
        (b"a\tb\nx\n", "x.tsv", "line 2: the row has 1 cells, the first one has 2"),
        (b'a,b\n"x,1\ny,2\n', "x.csv", "line 2: the row that begins here.*quote is not closed"),
        (b'a,b\nu,1\n"x" y,1\n', "x.csv", "line 3: the row that begins here.*must be doubled"),
        (b"a,b\nx,\0\n", "x.csv", "line 2: holds a NUL character"),
        (b"a,b\n\xff,1\n", "x.csv", "line 2: byte 0xff is not valid UTF-8"),
        ("a,b\nx,1\n".encode("utf-16"), "x.csv", "is text in UTF-16, allowed is UTF-8"),
        (b"[1]\n", "x.jsonl", r"line 1: holds \[1\], expected an object"),
        (b'{"a": 1}\n{"a": }\n', "x.jsonl", "line 2: is not valid JSON"),
        (b'{"a": 1, "a": 2}\n', "x.jsonl", "line 1: .*'a'"),
        (b"a,b\n", "x.xlsx", "has another ending than allowed: .csv, .tsv, .jsonl"),
        (b"a,b\nx,1\n", "x.csv.gz", "its name ends in .gz, but it is not compressed"),
        (PACKED[:-9], "x.csv.gz", "is truncated"),
    ],
)
def test_bad_files_name_file_and_line(tmp_path, content, name, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, content, name)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(InputError, match="none.csv: cannot be read: No such file"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "f.csv").mkdir()
    with pytest.raises(InputError, match="f.csv: cannot be read"):
        read_table(tmp_path / "f.csv")


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.jsonl"])
def test_a_cell_without_end_is_refused(tmp_path, monkeypatch, name):
    for module in ("data.readers.tables", "bort.storage.csv_text"):
        monkeypatch.setattr(f"{module}.LONGEST_LINE_BYTES", 1000)
    cell = "y" * 1001
    lines = {"x.csv": f"a,b\n{cell},1\n", "x.tsv": f"a\tb\n{cell}\t1\n"}
    content = lines.get(name, "{}\n" + json.dumps({"a": cell}))
    with pytest.raises(InputError, match=r"line 2: .*is longer than 1000"):
        read(tmp_path, content, name)
    assert csv.field_size_limit() > 1000


def test_a_large_file_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("data.readers.tables.LARGEST_TEXT_BYTES", 1000)
    with pytest.raises(InputError, match="its content is larger than 1000 bytes"):
        read(tmp_path, gzip.compress(b"a,b\n" + b"x,1\n" * 9999), "x.csv.gz")
