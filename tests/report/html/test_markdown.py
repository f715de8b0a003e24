"""Tests of the Markdown of a report."""

from __future__ import annotations

import re

from bort.report.html.markdown import render_markdown
from bort.report.html.render import render_html
from tests.report.html.samples import HOSTILE, Page, sample


def _unescaped(markdown: str) -> str:
    return re.sub(r"\\([\W_])", r"\1", markdown)


def test_every_number_and_key_of_the_page_is_there() -> None:
    document = sample()
    text = _unescaped(render_markdown(document))
    shown = [number for number, _ in Page(render_html(document)).numbers]
    for number in shown:
        pattern = rf"(?<![\d.]){re.escape(number)}(?![\d.]\d)"
        assert len(re.findall(pattern, text)) >= shown.count(number)
    for stage in document.stages:
        assert f"| {stage.key} |" in text
    assert "![Curves](report-figure-1.svg)" in text
    assert "(report-figure-2.svg)" in text


def test_text_has_no_meaning_in_markdown() -> None:
    markdown = render_markdown(sample())
    fence = markdown.index("````\nrun --name")  # longer than the one inside
    assert "<" not in markdown[:fence].replace("\\<", "")
    assert HOSTILE in _unescaped(markdown[:fence])
    assert "1\\. no list" in markdown
    widths = {line.count("|") - line.count("\\|") for line in _rows(markdown, "Held-out")}
    assert widths == {4}


def test_the_mark_of_a_number_is_the_place_of_its_stage() -> None:
    markdown = _unescaped(render_markdown(sample()))
    assert "It is 3.11 [1, 2] times as fast." in markdown
    assert "**3.1 ×** [2] faster than the teacher" in markdown
    assert "| 11 [1] | 12 [2] |" in markdown
    assert "| x [1] | y [2] |" in markdown


def _rows(markdown: str, caption: str) -> list[str]:
    lines = markdown[markdown.index(f"**{caption}") :].splitlines()[2:]
    return lines[: lines.index("")]
