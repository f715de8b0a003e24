"""Drawings of Matplotlib as SVG with the same bytes every time, and as a part of a page."""

from __future__ import annotations

import contextlib
import io
import re
import xml.etree.ElementTree as ElementTree
from typing import Any, Iterator, Mapping

from bort.errors import InputError
from bort.report.html.palette import INK, LIGHT, MUTED, PAPER, RULE, SERIES

SVG_NAMESPACE = "http://www.w3.org/2000/svg"
_FONT = "DejaVu Sans"  # comes with Matplotlib: its widths place the text
_ALLOWED = frozenset(
    "svg g defs path rect circle ellipse line polyline polygon text tspan use clipPath".split()
    + "linearGradient radialGradient stop title desc image".split()
)
_STYLE: Mapping[str, Any] = {
    "svg.hashsalt": "bort",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": [_FONT],
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "lines.linewidth": 1.8,
    "lines.markersize": 4,
    "path.simplify": True,
}
_VARIABLES = {colour: f"var(--{name})" for name, colour in LIGHT.items()}
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")
_REFERENCE = re.compile(r"url\(#([^)]*)\)")
_BARE_FONT = re.compile(f"'{_FONT}'(?!,)")
_SIZED_FONT = re.compile(r"font: (?:(bold|italic) )?([\d.]+)px [^;]*")


@contextlib.contextmanager
def drawing_style() -> Iterator[None]:
    """Draw with the fonts, lines and colours of reports inside the block.

    Raises:
        InputError: Matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise InputError('matplotlib is not installed: pip install "bort[report]"') from error
    from cycler import cycler  # Matplotlib needs it

    with matplotlib.rc_context({**_STYLE, "axes.prop_cycle": cycler(color=SERIES)}):
        yield


def svg_of(figure: Any) -> str:
    """Return a figure of Matplotlib as SVG, with the same bytes for the same drawing.

    Args:
        figure: a `matplotlib.figure.Figure`; draw it within `drawing_style`.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    stream = io.StringIO()
    with drawing_style():
        FigureCanvasSVG(figure)
        about = {"Creator": None, "Date": None, "Format": None, "Type": None}
        figure.savefig(stream, format="svg", metadata=about)
    return clean_svg(stream.getvalue())


def clean_svg(svg: str) -> str:
    """Return a drawing that is a file of its own: no script, no link, no metadata.

    Raises:
        InputError: the text is not SVG.
    """
    root = _parsed(svg)
    root.set("xmlns", SVG_NAMESPACE)
    for element in root.iter():
        if "style" in element.attrib:
            style = _BARE_FONT.sub(f"'{_FONT}', sans-serif", element.attrib["style"])
            element.set("style", style)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True) + "\n"


def inline_svg(svg: str, prefix: str, label: str) -> str:
    """Return a drawing as an element of an HTML page.

    Colours become the variables of `style_rules`, fonts those of the page, and the names of clip
    paths and markers get a prefix, so that two drawings of a page do not share them.

    Args:
        svg: the drawing.
        prefix: starts every name; other drawings of the page have others.
        label: what the drawing is called by programs that read the page aloud.

    Raises:
        InputError: the text is not SVG.
    """
    root = _parsed(svg)
    for name in ("width", "height", "version", "xmlns"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", label)
    for element in root.iter():
        if "id" in element.attrib:
            element.set("id", f"{prefix}-{element.attrib['id']}")
        if element.get("href", "").startswith("#"):
            element.set("href", f"#{prefix}-{element.attrib['href'][1:]}")
        for name, value in element.attrib.items():
            value = _REFERENCE.sub(rf"url(#{prefix}-\1)", value)
            if name == "style":
                value = _COLOUR.sub(lambda found: _VARIABLES.get(found[0].lower(), found[0]), value)
                value = _SIZED_FONT.sub(_font_of_the_page, value)
            element.set(name, value)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)


def _font_of_the_page(found: re.Match[str]) -> str:
    kind = {"bold": "font-weight: bold; ", "italic": "font-style: italic; "}.get(found[1] or "", "")
    return f"{kind}font-size: {found[2]}px"


def _parsed(svg: str) -> ElementTree.Element:
    """Return the root of a drawing without namespaces, and without all that it does not need."""
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        raise InputError(f"a figure is not SVG: {error}") from error
    for element in root.iter():
        element.tag = str(element.tag).rpartition("}")[2]
        kept = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update({n: v for n, v in kept.items() if _is_harmless(n, v)})
        element.text = element.text if (element.text or "").strip() else None
        element.tail = element.tail if (element.tail or "").strip() else None
    if root.tag != "svg":
        raise InputError(f"a figure is not SVG: its first element is {root.tag}")
    _drop_others(root)
    _drop_unused_names(root)
    return root


def _is_harmless(name: str, value: str) -> bool:
    if name.lower().startswith("on"):
        return False
    if name == "href":
        return value.startswith(("#", "data:image/png"))
    return "url(" not in _REFERENCE.sub("", value)


def _drop_others(parent: ElementTree.Element) -> None:
    for child in list(parent):
        if child.tag in _ALLOWED:
            _drop_others(child)
        else:
            parent.remove(child)
    for child in list(parent):
        if child.tag == "defs" and not len(child):
            parent.remove(child)


def _drop_unused_names(root: ElementTree.Element) -> None:
    used = set()
    for element in root.iter():
        for name, value in element.attrib.items():
            used.update(_REFERENCE.findall(value))
            if name == "href":
                used.add(value[1:])
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)
