"""Tests of the content of a report."""

from __future__ import annotations

import dataclasses

import pytest

from bort.report.html.document import Bullets, Figure, Link, Number, ReportedStage, Section, Table
from tests.report.html.samples import TEACHER, sample

_OTHER = Number("5", "unknown")


@pytest.mark.parametrize(
    "part",
    [
        ["a ", _OTHER],
        Table(["a"], [[_OTHER]]),
        Table(["a"], [["b"]], notes=[_OTHER]),
        Figure("f", "<svg/>", "", "unknown"),
        Figure("f", "<svg/>", [_OTHER], TEACHER),
        Figure("f", "<svg/>", "", TEACHER, Table(["a"], [[_OTHER]])),
        Bullets([["a", _OTHER]]),
        [Number("5", (TEACHER, "unknown"))],
    ],
)
def test_a_number_of_an_unlisted_stage_is_refused(part: object) -> None:
    with pytest.raises(ValueError, match="'unknown', which the report does not list"):
        dataclasses.replace(sample(), sections=[Section("s", [part])])  # type: ignore[list-item]


def test_lead_and_highlights_are_checked_too() -> None:
    with pytest.raises(ValueError, match="does not list"):
        dataclasses.replace(sample(), lead=[_OTHER])
    with pytest.raises(ValueError, match="does not list"):
        dataclasses.replace(sample(), stages=[])


@pytest.mark.parametrize("source", ["", (), ("",)])
def test_a_number_without_a_source_is_refused(source: object) -> None:
    with pytest.raises(ValueError, match="not the key of a stage"):
        dataclasses.replace(sample(), lead=[Number("5", source)])  # type: ignore[arg-type]


def test_keys_are_unique_and_inputs_listed() -> None:
    stages = sample().stages
    with pytest.raises(ValueError, match="two stages"):
        dataclasses.replace(sample(), stages=[*stages, stages[0]])
    with pytest.raises(ValueError, match="stage new"):
        dataclasses.replace(sample(), stages=[*stages, ReportedStage("new", "k", inputs=["x"])])


def test_a_row_has_a_cell_for_each_column() -> None:
    with pytest.raises(ValueError, match="row 1 has 1 cells, the table 2 columns"):
        Table(["a", "b"], [["x", "y"], ["z"]], "scores")


@pytest.mark.parametrize("target", ["", "/etc", "https://a.b", "a//b", "a b", 'a"b'])
def test_a_link_leads_to_a_file_beside_the_report(target: str) -> None:
    with pytest.raises(ValueError, match="allowed is a relative path"):
        Link("more", target)
    assert Link("more", "small_model/report.html").text == "more"
