"""Text tables: columns, alignment, single lines."""

from __future__ import annotations

import pytest

from bort.process.text_table import text_line, text_table

LINES = [("", "loss", "note"), ("teacher", "1.25", "ä"), ("T", "10.5", "")]


def test_columns_are_as_wide_as_their_widest_cell_and_lines_end_on_a_cell():
    assert text_table(LINES).splitlines() == [
        "         loss  note",
        "teacher  1.25     ä",
        "T        10.5",
    ]


def test_a_sign_a_column_aligns_it_and_the_last_counts_on():
    assert text_table(LINES, "><").splitlines() == [
        "         loss  note",
        "teacher  1.25  ä",
        "      T  10.5",
    ]


def test_lines_of_a_growing_table_stand_under_each_other():
    first, second = (text_line(cells, (3, 5), ">") for cells in (("a", "b"), ("10", "20")))
    assert (first, second) == ("  a      b", " 10     20")
    assert text_line(("1234", "5"), (3, 5), ">") == "1234      5"


def test_lines_of_unequal_length_are_a_mistake():
    with pytest.raises(AssertionError):
        text_table([("a", "b"), ("c",)])
