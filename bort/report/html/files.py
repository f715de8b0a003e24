"""Writes a report into a folder: the HTML page, Markdown, and the figures of the Markdown."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Callable

from bort.process.packages import is_installed
from bort.report.html.document import Document
from bort.report.html.drawing import clean_svg
from bort.report.html.markdown import figure_file, render_markdown
from bort.report.html.render import render_html
from bort.storage.files import atomic_write

log = logging.getLogger(__name__)

HTML_FILE, MARKDOWN_FILE = "report.html", "report.md"


def write_report_if_installed(make: Callable[[], Document], folder: Path) -> None:
    """Write a report beside other results; without Jinja2, log how to get it instead.

    Args:
        make: returns the report.
        folder: see `write_report`.
    """
    if not is_installed("jinja2"):
        log.warning('no %s: Jinja2 is not installed: pip install "bort[report]"', HTML_FILE)
    else:
        write_report(make(), folder)


def write_report(document: Document, folder: Path) -> None:
    """Write `report.html`, and `report.md` with its figures. Each file is replaced at once.

    Args:
        document: the report.
        folder: is created if it does not exist; figures of an earlier report are removed.

    Raises:
        InputError: Jinja2 is not installed, or a figure is not SVG.
        WorkError: the system refuses a write.
    """
    files = {HTML_FILE: render_html(document), MARKDOWN_FILE: render_markdown(document)}
    for number, figure in enumerate(document.figures(), start=1):
        files[figure_file(number)] = clean_svg(figure.svg)
    for name, text in files.items():
        with atomic_write(folder / name) as stream:
            stream.write(text.encode("utf-8"))
    number = len(list(document.figures())) + 1
    while (folder / figure_file(number)).is_file():
        (folder / figure_file(number)).unlink()
        number += 1
