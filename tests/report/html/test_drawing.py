"""Tests of drawings as SVG."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from bort.report.html.drawing import clean_svg, inline_svg
from bort.report.html.palette import LIGHT
from tests.report.html.samples import HOSTILE, chart

_ATTACK = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
 onload="x()"><script>x()</script><style>@import "http://a"</style><defs><path id="p" d="M 0 0"/>
<path id="q" d="M 1 1"/></defs><foreignObject><p>x</p></foreignObject>
<a href="http://a"><text>t</text></a>
<use xlink:href="#p" style="fill: #1A6DB0"/><use href="http://a/#p"/><image href="file:///x"/>
<rect style="fill: url(http://a)" onclick="x()"/>
<g clip-path="url(#p)"><text>a <tspan>b</tspan> c</text></g>
</svg>"""


def test_a_drawing_has_the_same_bytes_and_is_a_file_of_its_own() -> None:
    svg = chart()
    assert svg == chart.__wrapped__()
    assert clean_svg(svg) == svg
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert [text for text in root.itertext() if HOSTILE in text]
    assert re.findall(r"https?:[^\"]*", svg) == ["http://www.w3.org/2000/svg"]


def test_scripts_links_and_unused_names_are_dropped() -> None:
    for shown in (clean_svg(_ATTACK), inline_svg(_ATTACK, "f1", "label")):
        shown = shown.replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"http|file:|script|import|foreign|onload|onclick|xlink", shown)
        assert "a <tspan>b</tspan> c" in shown
        assert "M 1 1" in shown
        assert 'id="q"' not in shown


def test_names_get_the_prefix_and_colours_the_variables() -> None:
    shown = inline_svg(_ATTACK, "f7", 'a "label"')
    assert 'id="f7-p"' in shown
    assert 'href="#f7-p"' in shown
    assert "url(#f7-p)" in shown
    assert "fill: var(--series-1)" in shown
    assert 'aria-label="a &quot;label&quot;"' in shown


def test_all_colours_of_a_chart_follow_the_screen() -> None:
    assert set(re.findall(r"#[0-9a-f]{6}\b", chart())) <= set(LIGHT.values())
    assert not re.search(r"#[0-9a-f]{6}\b|DejaVu", inline_svg(chart(), "f1", "x"))
