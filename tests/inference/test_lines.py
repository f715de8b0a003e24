"""Lines in, lines out: ends of lines, encodings, the formats, and rows of CSV."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.errors import InputError
from bort.inference import lines
from bort.inference.lines import (
    CSV,
    JSONL,
    TSV,
    line_of,
    numbered_lines,
    numbered_questions,
    question_of,
)
from bort.inference.results import (
    Choice,
    Classification,
    Embedding,
    FilledText,
    Guess,
    Judgements,
    MultiLabelClassification,
    MultiOutputRegression,
    Regression,
)


def read(content: bytes):
    return list(numbered_lines(io.BytesIO(content), "file"))


def rows(content: str):
    return list(numbered_questions(io.BytesIO(content.encode()), "file", CSV))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_of_csv_have_the_columns_of_the_first_one(end):
    content = '\ufefftext,id\n"a, ""b""\nc",1\n\n   \nd, 2\n'.replace("\n", end)
    assert rows(content) == [
        (2, {"text": 'a, "b"\nc', "id": "1"}),
        (6, {"text": "d", "id": " 2"}),
    ]


def test_delimiters_of_csv_are_those_of_spreadsheets():
    expected = [(2, {"text": "a", "b,c": "1"})]
    for delimiter in ";\t|":
        assert rows(f'text{delimiter}"b,c"\na{delimiter}1\n') == expected
    assert rows("sep=;\ntext;b,c\na;1\n") == [(3, {"text": "a", "b,c": "1"})]
    assert rows('text, id\n"a, b", "c, d"\n') == [(2, {"text": "a, b", "id": "c, d"})]
    assert rows("text\na\n  \n") == [(2, {"text": "a"}), (3, {"text": "  "})]


def test_a_carriage_return_in_a_cell_is_a_space():
    assert rows('text,id\na\rb,1\n"c\rd",2\n') == [
        (2, {"text": "a b", "id": "1"}),
        (3, {"text": "c d", "id": "2"}),
    ]


def test_blank_lines_before_the_header():
    for delimiter in ",;\t|":
        expected = [(4, {"text": "a", "id": "1"})]
        assert rows(f"\n  \ntext{delimiter}id\na{delimiter}1\n") == expected
    assert rows("sep=;\n\ntext;b,c\na;1\n") == [(4, {"text": "a", "b,c": "1"})]
    with pytest.raises(InputError, match="file line 4: the row has 1 cells"):
        rows("\n\ntext;id\n1\n")


def test_a_header_with_line_breaks_in_quotes():
    expected = {"text": "a", "of, or\n, if any\nfor": "1", "id": "2"}
    header = 'text;"of, or\n, if any\nfor";id'
    assert rows(f"{header}\na;1;2\n") == [(4, expected)]
    assert rows(f"\n{header}\n\na;1;2\n") == [(6, expected)]
    # A quote within a cell is a character.
    assert rows('5" screen;id\na;1\nb "c;2\n')[0] == (2, {'5" screen': "a", "id": "1"})
    with pytest.raises(InputError, match="file line 2: the row that begins here.*a quote is not"):
        rows('\ntext;"id\n' + "a;1\n" * 50_000)


def test_columns_that_are_not_read_may_have_the_same_name():
    content = b"note,text,note\n1,a,2\n"
    ((line, question),) = numbered_questions(io.BytesIO(content), "file", CSV, ("text",))
    assert (line, question["text"]) == (2, "a")
    with pytest.raises(InputError, match="file: has 2 columns 'note', allowed is one"):
        list(numbered_questions(io.BytesIO(content), "file", CSV, ("text", "note")))


@pytest.mark.parametrize("content", ["", "\n", "text,id\n", "sep=;", "sep=;\n"])
def test_csv_without_a_row(content):
    assert rows(content) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1\n", "file line 2: the row has 1 cells, the first one has 2$"),
        ("a,b\n1,2\n\n1,2,3\n", "file line 4: the row has 3 cells.*must be in quotes"),
        ('a,b\n1,"2\n', "file line 2: the row that begins here is not valid: a quote is not"),
        ("a,b,a\n1,2,3\n", "file: has 2 columns 'a', allowed is one"),
    ],
)
def test_csv_that_is_no_table(content, message):
    with pytest.raises(InputError, match=message):
        rows(content)


def test_rows_are_read_one_by_one():
    read_so_far = []

    class Stream(io.BytesIO):
        def readline(self, size=-1):
            line = super().readline(size)
            read_so_far.append(line)
            return line

    found = numbered_questions(Stream(b"text\na\nb\nc\n"), "file", CSV)
    assert next(found) == (2, {"text": "a"})
    assert read_so_far == [b"text\n", b"a\n"]


def test_lines_are_numbered_and_their_ends_dropped():
    assert read(b"a\nb\r\n\n c \t\nlast") == [
        (1, "a"),
        (2, "b"),
        (3, ""),
        (4, " c \t"),
        (5, "last"),
    ]
    assert read(b"") == []
    assert read(b"\n") == [(1, "")]
    assert read(b"a\rb\r\rc") == [(1, "a"), (2, "b"), (3, ""), (4, "c")]
    assert read(b"\xef\xbb\xbfa\rb\r") == [(1, "a"), (2, "b")]
    assert read(b"a\rb\nc") == [(1, "a\rb"), (2, "c")]
    assert read(b"\xef\xbb\xbfa\n\xef\xbb\xbfb") == [(1, "a"), (2, "\ufeffb")]
    assert read("a\u2028b\x0cc\n".encode()) == [(1, "a\u2028b\x0cc")]


def test_what_is_no_text_is_named(monkeypatch):
    with pytest.raises(InputError, match="^file line 2: byte 0xff is not valid UTF-8$"):
        read(b"a\n\xff\n")
    with pytest.raises(InputError, match="^file line 1: byte 0xed is not valid UTF-8$"):
        read(b"\xed\xa0\x80\n")  # half of a surrogate pair
    monkeypatch.setattr(lines, "LONGEST_LINE_BYTES", 8)
    assert read(b"1234567\n") == [(1, "1234567")]
    with pytest.raises(InputError, match="file line 2: is longer than 8 bytes"):
        read(b"a\n" + b"x" * 100)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"))))
def test_every_text_comes_back(texts):
    content = "".join(f"{text}\n" for text in texts).encode()
    expected = list(texts)
    if expected and expected[0].startswith("\ufeff"):
        expected[0] = expected[0][1:]
    assert [text for _, text in read(content)] == expected


def test_formats_of_questions():
    assert question_of('"a"\tb', "text", "w") == '"a"\tb'
    assert question_of('"a"\tb', "tsv", "w") == ['"a"', "b"]
    assert question_of('"a\\tb"', "jsonl", "w") == "a\tb"
    assert question_of('["a", "b"]', "jsonl", "w") == ["a", "b"]
    assert question_of('{"text": "a"}', "jsonl", "w") == {"text": "a"}
    assert question_of('"\\ud800"', "jsonl", "w") == "\ud800"


@pytest.mark.parametrize("output_format", ["jsonl", "tsv"])
def test_a_terminal_gets_no_control_characters(output_format):
    label = "a\x9b2J \u202eb \x1b"
    answer = Classification(label, 0.75, {label: 0.75, "n": 0.25})
    plain, shown = (line_of(answer, output_format, on_terminal=on) for on in (False, True))
    assert "\u202e" in plain.decode()
    text = shown.decode()[:-1]
    assert text.replace("\t", "").isprintable()
    if output_format == "jsonl":
        assert json.loads(text) == json.loads(plain)


@pytest.mark.parametrize("line", ["", "{", "nonsense", "[" * 100_000])
def test_what_is_no_json_is_named(line):
    with pytest.raises(InputError, match="^file line 3: is not valid JSON"):
        question_of(line, "jsonl", "file line 3")


@pytest.mark.parametrize("line", ["5", "null", "true"])
def test_json_of_another_kind_is_named(line):
    with pytest.raises(InputError, match=f"file line 3: is '{line}', expected a string, a list"):
        question_of(line, "jsonl", "file line 3")


ANSWERS = [
    Classification("x\ty", 0.75, {"x\ty": 0.75, "n": 0.25}),
    Regression(5.0, 7.25),
    Choice(1, "1", ("a", "b\nc"), (0.25, 0.75)),
    Judgements(("1", "0"), ("a", "b"), (0.75, 0.25)),
    MultiLabelClassification(("x\ty", "n"), {"x\ty": 0.75, "n": 0.625, "m": 0.25}),
    MultiOutputRegression((0.5, -2.0), ("wet", "dry")),
    FilledText("a \ud800b", ((Guess("b", "Ġb", 7, 0.5), Guess("c", "c", 8, 0.25)),)),
    Embedding(np.array([1.5, -0.1], np.float32)),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
def test_an_answer_is_one_line_of_text(answer):
    for output_format in (JSONL, TSV):
        line = line_of(answer, output_format).decode("utf-8")
        assert line.endswith("\n")
        assert len(line.splitlines()) == 1
    assert json.loads(line_of(answer, JSONL))


def test_columns():
    found = [line_of(answer, TSV).decode() for answer in ANSWERS]
    assert found == [
        "x y\t0.750000\n",
        "5.000000\n",
        "1\tb c\t0.750000\n",
        "1,0\t0.750000,0.250000\n",
        "x y,n\t0.750000,0.625000,0.250000\n",
        "0.500000\t-2.000000\n",
        "a \ufffdb\tb:0.500000 c:0.250000\n",
        "1.5\t-0.100000001\n",
    ]


def test_an_embedding_is_written_exactly():
    vector = np.random.default_rng(0).normal(size=50).astype(np.float32)
    written = json.loads(line_of(Embedding(vector), JSONL))["embedding"]
    np.testing.assert_array_equal(np.array(written, np.float32), vector)
