"""The reader of labelled texts: columns, rows that are left out, and every bad value."""

from __future__ import annotations

import json

import pytest

from bort.errors import InputError
from bort.tasks.own.config import OwnDataConfig
from data.readers.own_task import Columns, OwnRow, lines_text, open_table, read_rows, rows_of


def opened(tmp_path, text, texts=None, label=None, name="x.csv", **reading):
    path = tmp_path / name
    path.write_text(text)
    return open_table(path, OwnDataConfig(text_columns=texts, label_column=label, **reading))


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("id,text,label", Columns(("text",), "label")),
        ("sentence,class", Columns(("sentence",), "class")),
        ("label,sentence2,sentence1,text", Columns(("sentence1", "sentence2"), "label")),
        ("premise,hypothesis,score", Columns(("premise", "hypothesis"), "score")),
        ("text,label,score", Columns(("text",), "label")),
        ("Label,TEXT", Columns(("TEXT",), "Label")),
        ("Sentence1,SENTENCE2,Text,Class", Columns(("Sentence1", "SENTENCE2"), "Class")),
        ("LABEL,label,Text,text", Columns(("text",), "label")),
    ],
)
def test_columns_with_known_names_are_found(tmp_path, header, columns):
    row = ",".join("a" for _ in header.split(","))
    assert opened(tmp_path, f"{header}\n{row}\n")[1] == columns


def test_columns_are_named_by_flags(tmp_path):
    text = "text,label,y,1\na,b,c,d\n"
    assert opened(tmp_path, text, ["y", "text"], "1")[1] == Columns(("y", "text"), "1")
    table, columns = opened(tmp_path, "1,good\n0,bad\n", ["2"], "1")
    assert columns == Columns(("text",), "label", (2, 1))
    assert [row.texts for row in rows_of(table, columns).rows] == [("good",), ("bad",)]
    assert read_rows(tmp_path / "x.csv", columns).rows[0] == OwnRow(0, 1, ("good",), "1")


def test_a_named_column_may_differ_in_case_and_white_space(tmp_path):
    table, columns = opened(tmp_path, "Message,label \ngood,1\n", ["message"], "label ")
    assert columns == Columns(("Message",), "label")
    assert labels_of(rows_of(table, columns)) == ["1"]
    _, columns = opened(tmp_path, "text,A,b\ng,1,0\n", label_columns=("a", " b"))
    assert columns.of_labels == ("A", "b")
    with pytest.raises(InputError, match=r"label_columns is \['a', 'A '\], allowed are two differ"):
        opened(tmp_path, "text,A,b\ng,1,0\n", label_columns=("a", "A "))
    (tmp_path / "dev.csv").write_text("LABEL,message\n0,bad\n")
    assert read_rows(tmp_path / "dev.csv", Columns(("Message",), "label")).rows[0].label == "0"
    with pytest.raises(InputError, match="has 2 columns 'X', it has x, x, label"):
        opened(tmp_path, "x,x,label\na,b,1\n", ["X"])
    assert opened(tmp_path, "x,X,label\na,b,1\n", ["X"])[1].fields == ("X",)


@pytest.mark.parametrize(
    ("text", "texts", "label", "message"),
    [
        (
            "a,label\n",
            None,
            None,
            r"no column of texts.*\(text, sent.*has a, label; .*a task file of",
        ),
        (
            "text,b\n",
            None,
            None,
            r"no column of labels.*text, b; name it with --label_col.*task file",
        ),
        ("text,label\n", ["x"], None, "x.csv: has no column 'x', it has text, label"),
        ("text,label\n", None, "x", "x.csv: has no column 'x', it has text, label"),
        ("text,label,label\n", None, "label", "has 2 columns 'label'"),
        ("text,label\n", ["label"], None, "the column 'label' has texts, allowed is another"),
        ("a,b,c,label\n", ["a", "b", "c"], None, "allowed are one or two columns"),
        ("a,b\n", ["1"], None, "text_columns and label_column are both needed as numbers"),
    ],
)
def test_columns_that_are_missing(tmp_path, text, texts, label, message):
    with pytest.raises(InputError, match=message):
        opened(tmp_path, text, texts, label)


def test_a_position_beyond_the_row(tmp_path):
    table, columns = opened(tmp_path, "a,b\n", ["1"], "3")
    with pytest.raises(InputError, match="has 2 columns, there is none 3"):
        rows_of(table, columns)


def test_a_header_is_no_row_of_a_file_without_a_header(tmp_path):
    with pytest.raises(InputError, match=r"the first line is a header \(Text, Label\), allowed"):
        opened(tmp_path, "Text,Label\na,good\nb,bad\n", ["1"], "2")
    table, _ = opened(tmp_path, "a,class\nb,class\nc,order\n", ["1"], "2")
    assert len(table.rows) == 3


def test_a_header_alone(tmp_path):
    with pytest.raises(InputError, match="x.csv: has a header and no row"):
        rows_of(*opened(tmp_path, "text,label\n"))


def test_rows_without_label_or_text_are_left_out_and_stated(tmp_path):
    text = 'text,label\na,1\nb,\n,1\n"c\nd", 2 \ne,  \n'
    rows = rows_of(*opened(tmp_path, text))
    assert rows.rows == [OwnRow(0, 2, ("a",), "1"), OwnRow(3, 5, ("c\nd",), "2")]
    assert (rows.unlabelled, rows.empty, rows.total) == ([3, 7], [4], 5)
    assert rows.left_out == [
        "2 rows without a label left out: lines 3, 7",
        "1 row with an empty text left out: line 4",
    ]
    assert rows.where(rows.rows[1]).endswith("x.csv line 5")


def test_no_row_is_left(tmp_path):
    (tmp_path / "x.csv").write_text("text,label\na,\n")
    with pytest.raises(InputError, match="no row of 1 can be used: 1 row without a label left out"):
        read_rows(tmp_path / "x.csv", Columns(("text",), "label"))


def test_values_of_json(tmp_path):
    lines = [
        {"text": "a", "label": True},
        {"text": 5, "label": 0},
        {"text": "b", "label": 0.5},
        {"text": "c", "label": None},
        {"text": "d"},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    rows = rows_of(*opened(tmp_path, text, name="x.jsonl"))
    assert [(row.texts[0], row.label) for row in rows.rows] == [
        ("a", "true"), ("5", "0"), ("b", "0.5"),
    ]  # fmt: skip
    assert rows.unlabelled == [4, 5]
    for label in (["x", "y"], {"x": 1}):
        bad = json.dumps({"text": "a", "label": label})
        with pytest.raises(InputError, match=r"line 1: label is (a list|an object), allowed is"):
            rows_of(*opened(tmp_path, bad, name="x.jsonl", kind="classes"))


def test_without_labels_the_column_may_be_missing(tmp_path):
    (tmp_path / "x.csv").write_text("text\na\n")
    rows = read_rows(tmp_path / "x.csv", Columns(("text",), "label"), with_labels=False)
    assert rows.rows == [OwnRow(0, 2, ("a",), "")]


def test_many_lines_are_not_all_named():
    assert lines_text("x", list(range(1, 1001))) == "1,000 rows x left out: lines 1, 2, 3, …"


def labels_of(rows):
    return [row.label for row in rows.rows]


def test_lists_of_json_are_several_labels(tmp_path):
    lines = [
        {"text": "a", "label": ["y", "x ", "y"]},
        {"text": "b", "label": []},
        {"text": "c", "label": None},
        {"text": "d", "label": [1, True]},
        {"text": "e"},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    table, columns = opened(tmp_path, text, name="x.jsonl")
    assert columns == Columns(("text",), "label", several=True)
    rows = rows_of(table, columns)
    assert labels_of(rows) == [("y", "x"), (), ("1", "true")]
    assert rows.unlabelled == [3, 5]
    mixed = text + json.dumps({"text": "f", "label": "x"})
    with pytest.raises(InputError, match="line 6: label is 'x', allowed is a list of labels"):
        rows_of(*opened(tmp_path, mixed, name="x.jsonl"))
    rows = rows_of(*opened(tmp_path, mixed + "\n", name="x.jsonl", label_separator=";"))
    assert labels_of(rows)[-1] == ("x",)
    nested = json.dumps({"text": "f", "label": [["x"]]})
    with pytest.raises(InputError, match="line 1: label is a list, allowed is a text or a number"):
        rows_of(*opened(tmp_path, nested, name="x.jsonl"))


def test_a_cell_with_separators_has_several_labels(tmp_path):
    text = "text,label\na,x; y ;x\nb,;\nc,\nd,z\n"
    table, columns = opened(tmp_path, text, label_separator=";")
    assert columns == Columns(("text",), "label", several=True, separator=";")
    rows = rows_of(table, columns)
    assert labels_of(rows) == [("x", "y"), (), ("z",)]
    assert rows.unlabelled == [4]
    table, columns = opened(tmp_path, "a\t2,7\n", ["1"], "2", "x.tsv", label_separator=",")
    assert columns == Columns(("text",), "label", (1, 2), several=True, separator=",")
    assert labels_of(rows_of(table, columns)) == [("2", "7")]
    assert labels_of(read_rows(tmp_path / "x.tsv", columns)) == [("2", "7")]


def test_a_column_of_0_and_1_for_each_label(tmp_path):
    text = "text,x,y,other\na,1,0,q\nb,0,0,q\nc,TRUE,1.0,q\nd,,1,q\n"
    table, columns = opened(tmp_path, text, label_columns=("y", "x"))
    assert columns == Columns(("text",), "", several=True, of_labels=("y", "x"))
    rows = rows_of(table, columns)
    assert labels_of(rows) == [("x",), (), ("y", "x")]
    assert rows.unlabelled == [5]
    for line, mark in ((2, "2"), (3, "x")):
        bad = "text,x,y\na,1,0\n" * (line - 1) + f"a,1,{mark}\n"
        bad = "text,x,y\n" + "a,1,0\n" * (line - 2) + f"a,1,{mark}\n"
        with pytest.raises(InputError, match=f"line {line}: y is '{mark}', allowed are 0 and 1"):
            rows_of(*opened(tmp_path, bad, label_columns=("x", "y")))


@pytest.mark.parametrize(
    ("text", "reading", "message"),
    [
        ("text,x\n", {"label_columns": ("x", "y")}, "x.csv: has no column 'y', it has text, x"),
        ("text,x\n", {"label_columns": ("x", "text")}, "the column 'text' has texts, allowed is"),
        ("text,label\n", {"kind": "labels"}, "label_separator and label_columns are both missing"),
        ("a,1,0\n", {"texts": ["1"], "label_columns": ("2", "3")}, "allowed for a file without a"),
    ],
)
def test_several_labels_whose_form_is_unknown(tmp_path, text, reading, message):
    with pytest.raises(InputError, match=message):
        opened(tmp_path, text, **reading)
