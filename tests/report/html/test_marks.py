"""Tests of the places of the marks, and of the wording of sources."""

from __future__ import annotations

import dataclasses
from typing import List

import pytest

from bort.report.html.document import Number, ReportedStage, Table, numbered
from bort.report.html.marks import (
    mark_text,
    paragraph_marks,
    short_keys,
    source_title,
    table_marks,
)
from tests.report.html.samples import STUDENT, TEACHER, sample


def _marked(*pieces: object) -> List[object]:
    return [source for _, source in paragraph_marks(pieces)]  # type: ignore[arg-type]


def test_numbers_of_one_source_have_one_mark() -> None:
    one, two = Number("1", "a"), Number("2", "b")
    assert _marked("x", one, "y") == [None, "a", None]
    assert _marked("x", one, "y", one, "z") == [None, None, None, None, None, "a"]
    assert _marked(one, " ", one, " ", two, " ", one) == [None, None, "a", None, "b", None, "a"]
    assert _marked("x") == [None]
    together = Number("3", ("a", "b"))
    assert _marked(one, together) == ["a", ("a", "b")]


def test_a_table_has_its_marks_at_caption_rows_columns_or_cells() -> None:
    a, b = Number("1", "a"), Number("2", "b")
    assert table_marks(Table(["", ""], [["x", a], ["y", a]])).caption == "a"
    assert table_marks(Table(["", ""], [["x", a], ["y", b], ["z", ""]])).rows == ["a", "b", None]
    found = table_marks(Table(["", "", ""], [["x", a, b], ["y", a, b]]))
    assert (found.columns, found.rows) == ([None, "a", "b"], [None, None])
    assert table_marks(Table(["", "", ""], [["x", a, b], ["y", b, a]])).in_cells
    assert table_marks(Table(["", ""], [])) == (None, [], [None, None], False)


def test_a_mark_joins_places_that_follow_each_other() -> None:
    stages = [ReportedStage(f"s{n}", f"k{n}") for n in range(1, 10)]
    document = dataclasses.replace(
        sample(), title="", lead="", sections=[], highlights=[], stages=stages
    )
    assert mark_text(document, "k3") == "[3]"
    assert mark_text(document, ("k9", "k1", "k2", "k4", "k5", "k6")) == "[1, 2, 4–6, 9]"


def test_short_keys_are_as_long_as_needed() -> None:
    keys = [TEACHER, TEACHER[:20] + "0" * 44, "a name of any length"]
    stages = [ReportedStage(f"s{n}", key) for n, key in enumerate(keys)]
    document = dataclasses.replace(
        sample(), title="", lead="", sections=[], highlights=[], stages=stages
    )
    assert list(short_keys(document).values()) == [keys[0][:21], keys[1][:21], keys[2]]
    assert short_keys(sample())[STUDENT] == STUDENT[:12]
    assert source_title(sample(), "agora") == "agora"
    assert source_title(sample(), (TEACHER, "agora")) == f"teacher {TEACHER[:12]}, agora"


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("at most 0.54 ms (speed-up 3): <D=1, A=2>, 0.19 M", ["0.54", "3", "0.19"]),
        ("-0.98 [-1.00, -0.82], 5,000,000 of 2e-05", ["-0.98", "-1.00", "-0.82", "5,000,000"]
         + ["2e-05"]),
        ("the 3-layer model of version 1.2.3, mnist2", []),
        ("80 % after 41 ± 5 s.", ["80 %", "41", "5"]),
    ],
)  # fmt: skip
def test_the_numbers_of_a_text_get_its_source(text: str, numbers: List[str]) -> None:
    pieces = numbered(text, "k")
    assert [one.text for one in pieces if isinstance(one, Number)] == numbers
    assert "".join(one if isinstance(one, str) else one.text for one in pieces) == text
