"""Tests of the report of a search under a limit."""

from __future__ import annotations

import dataclasses
from typing import Optional

import pytest

from bort.report.html.document import Bullets, Figure, Table, plain_text
from bort.report.html.limited import front_figures, limited_document, ranking_table
from bort.report.html.render import render_html
from bort.search.limited import LimitedResult
from tests.report.html.samples import Page
from tests.search.test_limited_table import ROWS, result


def _table(found: LimitedResult) -> Table:
    return ranking_table(found.as_dict(), "search")


def test_the_document_names_the_pick_and_has_every_number() -> None:
    found = result(ROWS, ROWS[1])
    document = limited_document(found)
    title = plain_text(document.title)
    assert title.startswith(f"{ROWS[1].architecture}: ")
    speed_up = found.speed_up(ROWS[1])
    assert speed_up is not None
    assert f"{speed_up:.1f} times as fast" in title
    table = _table(found)
    assert [row[1] for row in table.rows[:-1]] == [str(row.architecture) for row in found.ranking]
    assert [table.rows[place][1] for place in table.emphasised] == [str(ROWS[1].architecture)]
    assert [row[-1] for row in table.rows].count("pick") == 1
    assert table.rows[-1][-1] == "compared"
    page = Page(render_html(document))
    assert page.errors == []
    assert len(page.numbers) > 3 * len(ROWS)
    assert [part for part in document.sections[2].parts if isinstance(part, Bullets)]


def test_without_a_pick_the_headline_says_so() -> None:
    document = limited_document(result(ROWS, None))
    assert plain_text(document.title).startswith("No candidate keeps the limit, at most ")
    assert Page(render_html(document)).errors == []


@pytest.mark.parametrize("left_out", ["predicted_seconds", "error", None])
def test_columns_and_figures_without_numbers_are_left_out(left_out: Optional[str]) -> None:
    changes = {} if left_out is None else {left_out: None}
    rows = [dataclasses.replace(row, **changes) for row in ROWS]
    found = dataclasses.replace(result(rows, rows[0]), reference=None, prior=None)
    figures = front_figures(found.as_dict(), "search")
    assert len(figures) == (1 if left_out == "predicted_seconds" else 2)
    assert all(isinstance(one, Figure) for one in figures)
    columns = list(_table(found).columns)
    assert ("predicted ms" in columns) == (left_out != "predicted_seconds")
    assert ("error" in columns) == (left_out != "error")


def test_a_reference_far_away_is_told_instead_of_drawn() -> None:
    found = result(ROWS, ROWS[1])
    assert found.reference is not None
    largest = max(row.parameters for row in ROWS)
    for factor, is_drawn in ((1, True), (3, False)):
        reference = dataclasses.replace(found.reference, parameters=factor * largest, error=0.5)
        values = dataclasses.replace(found, reference=reference).as_dict()
        figure = front_figures(values, "search")[-1]
        assert isinstance(figure, Figure)
        assert ("reference" in figure.svg) == is_drawn
        assert ("Not drawn: the reference at" in plain_text(figure.caption)) != is_drawn


def test_a_long_ranking_is_cut() -> None:
    table = ranking_table(result(ROWS, ROWS[0]).as_dict(), "search", rows=1)
    assert len(table.rows) == 2
    assert plain_text(table.notes) == f"{len(ROWS) - 1} further candidates are not shown."
