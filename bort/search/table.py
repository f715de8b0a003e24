"""The ranked candidates as text for the screen and as CSV."""

from __future__ import annotations

import csv
import io
from typing import List, Optional

from bort.architecture import Architecture
from bort.search.ranking import RankedCandidate, SearchResult

_COLUMNS = (
    "rank depth heads hidden intermediate parameters latency error error_spread w w_spread "
    "on_front optimizer lr clip warmup_ratio weight_decay"
).split()


def as_csv(result: SearchResult) -> str:
    """One line a candidate, best first, under a header; empty fields where nothing is defined."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for rank, row in enumerate(result.ranking, start=1):
        values = {**row.as_dict(), **row.architecture.as_dict(), **row.hyperparameters.as_dict()}
        values["rank"] = rank
        writer.writerow({name: values[name] for name in _COLUMNS})
    return stream.getvalue()


def as_text(result: SearchResult, unit: str, rows: Optional[int] = 20) -> str:
    """The table of arXiv 2010.10499 (Table 1), best first, T last, and what to make of it.

    Args:
        result: what a search found.
        unit: of the latencies.
        rows: candidates shown at most; None shows all.
    """
    several = len({row.hyperparameters for row in result.ranking}) > 1
    header = f"{'':4}{'<D, A, H, I>':28}{'parameters':>12}{_latency_title(unit):>16}"
    header += f"{'error':>20}{'W':>20}"
    lines = [header]
    shown = result.ranking if rows is None else result.ranking[:rows]
    for rank, row in enumerate(shown, start=1):
        line = f"{rank:3} {row.architecture!s:28}{row.parameters / 1e6:10.2f} M"
        line += f"{_latency(row.latency, unit):>16}{_with(row.error, row.error_spread):>20}"
        line += f"{_with(row.w, row.w_spread):>20}"
        lines.append(line + (f"  {row.hyperparameters}" if several else ""))
    if len(shown) < len(result.ranking):
        lines.append(f"    … and {len(result.ranking) - len(shown)} more")
    lines.append(
        f"{'T':>3} {result.maximum_point!s:28}{result.maximum_parameters / 1e6:10.2f} M"
        f"{_latency(result.maximum_latency, unit):>16}{'':20}{'N/A':>20}"
    )
    return "\n".join([*lines, "", *verdict(result)])


def verdict(result: SearchResult) -> List[str]:
    """How much of the ranking the error surrogate decided, in plain words."""
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


def _latency_title(unit: str) -> str:
    return {"s": "inference, ms"}.get(unit, unit)


def _latency(value: float, unit: str) -> str:
    return f"{value * 1e3:.2f}" if unit == "s" else f"{value:.3e}"


def _with(value: Optional[float], spread: Optional[float]) -> str:
    if value is None:
        return "N/A"
    return f"{value:.4f}" + ("" if spread is None else f" ± {spread:.4f}")
