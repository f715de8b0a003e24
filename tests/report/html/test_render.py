"""Tests of the HTML page of a report."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bort.errors import InputError
from bort.report.html.document import Document, Figure, Section
from bort.report.html.render import render_html
from bort.stages.key import SHOWN_DIGITS
from tests.report.html.samples import HOSTILE, STUDENT, TEACHER, Page, sample

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def document() -> Document:
    return sample()


@pytest.fixture(scope="module")
def html(document: Document) -> str:
    return render_html(document)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_every_tag_is_closed_and_every_name_unique(page: Page) -> None:
    assert page.errors == []
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))


def test_the_check_of_tags_finds_faults() -> None:
    assert Page("<p><b>x</p>").errors
    assert Page("<p>x").errors
    assert Page('<p id="a" id="b"></p>').errors
    assert not Page("<p>x<br></p>").errors


def test_text_never_becomes_markup(page: Page, html: str) -> None:
    assert page.all_of("script") == []
    assert HOSTILE in "".join(page.text)
    assert html.count("<script") == 0
    assert "".join(page.text).count(HOSTILE) >= 9


def test_nothing_leads_out_of_the_page(page: Page, html: str) -> None:
    assert not re.search(r"https?:|//[a-z]|@import|xmlns", html)
    for _, attributes in page.elements:
        for name in ("href", "src", "srcset", "data", "action", "poster"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
        assert not any(name.startswith("on") for name in attributes)
        for reference in re.findall(r"url\(([^)]*)\)", str(attributes)):
            assert reference.startswith("#f")


def test_every_link_leads_to_a_place_of_the_page(page: Page) -> None:
    names = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    targets = [str(link["href"])[1:] for link in page.all_of("a") + page.all_of("use")]
    targets += re.findall(r"url\(#([^)]*)\)", str(page.elements))
    assert len(targets) > 20
    assert set(targets) <= names


def test_every_number_carries_the_key_of_its_stage(page: Page, document: Document) -> None:
    shown = [text for text, _ in page.numbers]
    assert sorted(shown) == sorted(number.text for number in document.numbers())
    keys = {number.text: number.source for number in document.numbers()}
    for text, attributes in page.numbers:
        first = keys[text] if isinstance(keys[text], str) else keys[text][0]
        assert attributes["href"] == f"#stage-{first[:SHOWN_DIGITS]}"
        assert first[:SHOWN_DIGITS] in str(attributes["title"])
    text = "".join(page.text)
    assert TEACHER in text
    assert STUDENT in text


def test_marks_of_a_table_are_as_few_as_possible(html: str) -> None:
    tables = re.findall(r"<table .*?</table>", html, re.DOTALL)
    assert [table.count('class="mark"') for table in tables] == [2, 2, 4, 1]


def test_tables_and_figures_can_be_read_aloud(page: Page) -> None:
    assert all(head["scope"] in ("col", "row") for head in page.all_of("th"))
    drawings = page.all_of("svg")
    assert len(drawings) == 2
    assert all(one["role"] == "img" and one["aria-label"] for one in drawings)
    assert page.all_of("html")[0]["lang"] == "en"


def test_control_characters_are_escaped(document: Document) -> None:
    html = render_html(dataclasses.replace(document, title="a\x1b[2J \u202eb \ud800"))
    assert "<h1>a\\x1b[2J \\u202eb \\ud800</h1>" in html
    html.encode("utf-8")


def test_a_figure_that_is_no_svg_is_refused(document: Document) -> None:
    for svg in ("<svg", "<p>x</p>", ""):
        figure = Figure("bad", svg, "", TEACHER)
        broken = dataclasses.replace(document, sections=[Section("s", [figure])])
        with pytest.raises(InputError, match="a figure is not SVG"):
            render_html(broken)


def test_without_jinja2_the_message_says_what_to_install(
    document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(InputError, match="Jinja2 is not installed: pip install"):
        render_html(document)


def test_the_bytes_are_the_same_in_every_process(html: str) -> None:
    assert render_html(sample()) == html
    code = (
        "import sys; from bort.report.html.render import render_html\n"
        "from tests.report.html.samples import sample\n"
        "sys.stdout.buffer.write(render_html(sample()).encode('utf-8'))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo"},
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    assert found == html.encode("utf-8")
