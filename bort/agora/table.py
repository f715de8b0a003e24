"""The live table of a run: a line an iteration, for people; and the same as JSON."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict

from bort.agora.reports import IterationReport
from bort.process.text_table import text_line

_HEADINGS = ("iter", "sets", "best dev", "so far", "points", "added", "kept", "Socrates", "cost")
_WIDTHS = (4, 4, 8, 7, 6, 5, 5, 8, 7)


def headings() -> str:
    """Return the first line.

    `kept` is the share of added points whose label is that of the dev example they were made from,
    `Socrates` his accuracy on the dev set, `cost` the trainings so far, short ones by their share.
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
    """Return a report as JSON-ready values; hyperparameter sets by the names of their fields."""
    values = dataclasses.asdict(report)
    values["label_counts"] = {str(label): n for label, n in report.label_counts.items()}
    return values
