"""The live table of a run, one line per iteration, and its rows as JSON."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict

from bort.agora.reports import IterationReport
from bort.process.text_table import text_line

_HEADINGS = ("iter", "sets", "best dev", "so far", "points", "added", "kept", "Socrates", "cost")
_WIDTHS = (4, 4, 8, 7, 6, 5, 5, 8, 7)


def headings() -> str:
    """Return the header line.

    `kept` is the share of added points whose label equals that of their source, `Socrates` is its
    accuracy on the dev set, and `cost` is the number of trainings so far, where a short training
    counts as its share.
    """
    return text_line(_HEADINGS, _WIDTHS, ">")


def row(report: IterationReport) -> str:
    """Return the line of an iteration."""
    kept = "-" if report.labels_kept is None else f"{report.labels_kept:.2f}"
    return text_line(
        (
            str(report.iteration),
            str(report.sets_left),
            f"{report.best.dev_score:.4f}",
            f"{report.best_seen.dev_score:.4f}",
            str(report.training_size),
            f"+{report.added}",
            kept,
            f"{report.socrates.accuracy:.4f}",
            f"{report.cost:g}",
        ),
        _WIDTHS,
        ">",
    )


def as_dict(report: IterationReport) -> Dict[str, Any]:
    """Return a report as JSON-ready values."""
    values = dataclasses.asdict(report)
    values["label_counts"] = {str(label): n for label, n in report.label_counts.items()}
    return values
