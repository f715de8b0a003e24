"""The ranking of a search as a text table and as CSV."""

from __future__ import annotations

import csv
import io
from typing import List, Optional

from bort.architecture import Architecture
from bort.process.text_table import text_table
from bort.search.ranking import RankedCandidate, SearchResult

_COLUMNS = (
    "rank depth heads hidden intermediate parameters latency error error_spread w w_spread "
    "on_front optimizer lr clip warmup_ratio weight_decay"
).split()


def as_csv(result: SearchResult) -> str:
    """Return the ranking as CSV, one line per candidate; undefined values are empty fields."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for rank, row in enumerate(result.ranking, start=1):
        values = {**row.as_dict(), **row.architecture.as_dict(), **row.hyperparameters.as_dict()}
        values["rank"] = rank
        writer.writerow({name: values[name] for name in _COLUMNS})
    return stream.getvalue()


def as_text(
    result: SearchResult,
    unit: str,
    rows: Optional[int] = 20,
    timed_on: Optional[str] = None,
) -> str:
    """Return the ranking in the form of arXiv 2010.10499, Table 1, followed by a verdict.

    Args:
        result: the result of a search.
        unit: unit of the latencies.
        rows: maximum number of candidates to show; None shows all.
        timed_on: measuring conditions of the latencies, for the title; None for no title.
    """
    several = len({row.hyperparameters for row in result.ranking}) > 1
    lines = [["", "<D, A, H, I>", "parameters", _latency_title(unit), "error", "W", ""]]
    shown = result.ranking if rows is None else result.ranking[:rows]
    for rank, row in enumerate(shown, start=1):
        lines.append(
            [
                str(rank),
                str(row.architecture),
                _millions(row.parameters),
                _latency(row.latency, unit),
                _with(row.error, row.error_spread),
                _with(row.w, row.w_spread),
                str(row.hyperparameters) if several else "",
            ]
        )
    maximum = (_millions(result.maximum_parameters), _latency(result.maximum_latency, unit))
    lines.append(["T", str(result.maximum_point), *maximum, "", "N/A", ""])
    table = text_table(lines, "><>>>><").splitlines()
    if len(shown) < len(result.ranking):
        table.insert(-1, f"    … and {len(result.ranking) - len(shown)} more")
    title = [] if timed_on is None else [f"inference on {timed_on}"]
    return "\n".join([*title, *table, "", *verdict(result)])


def verdict(result: SearchResult) -> List[str]:
    """Return lines that say how much the error surrogate influenced the ranking."""
    lines = []
    if result.size_correlation is not None:
        lines.append(
            f"rank correlation of W with (1 - p)(1 - i), which needs no training: "
            f"{result.size_correlation:.3f}"
        )
    if result.best is None:
        lines.append("no candidate is smaller and faster than T: there is no pick")
    elif result.best_is_smallest:
        lines.append(
            "the pick is merely the smallest candidate: the error after so few steps is nearly the "
            "same for all, so size alone decided (more --train_steps, or --error kl)"
        )
    else:
        smaller = _smallest(result)
        lines.append(
            f"the pick is not the smallest candidate, which is {smaller}: the error decided"
        )
    return lines


def _smallest(result: SearchResult) -> Architecture:
    row: RankedCandidate = max(result.ranking, key=result.smallness_of)
    return row.architecture


def _millions(parameters: int) -> str:
    return f"{parameters / 1e6:.2f} M"


def _latency_title(unit: str) -> str:
    return {"s": "inference, ms"}.get(unit, unit)


def _latency(value: float, unit: str) -> str:
    return f"{value * 1e3:.2f}" if unit == "s" else f"{value:.3e}"


def _with(value: Optional[float], spread: Optional[float]) -> str:
    if value is None:
        return "N/A"
    return f"{value:.4f}" + ("" if spread is None else f" ± {spread:.4f}")
