"""Tests of the files of a report."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from bort.report.html.files import write_report
from bort.report.html.markdown import render_markdown
from bort.report.html.render import render_html
from tests.report.html.samples import sample


def test_page_markdown_and_figures_are_written(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    write_report(sample(), folder)
    found = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert sorted(found) == [
        "report-figure-1.svg",
        "report-figure-2.svg",
        "report.html",
        "report.md",
    ]
    assert found["report.html"] == render_html(sample())
    assert found["report.md"] == render_markdown(sample())


def test_figures_of_an_earlier_report_are_removed(tmp_path: Path) -> None:
    document = sample()
    write_report(document, tmp_path)
    (tmp_path / "report-figure-x.svg").write_text("mine")
    write_report(dataclasses.replace(document, sections=document.sections[:1]), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "report-figure-x.svg",
        "report.html",
        "report.md",
    ]
