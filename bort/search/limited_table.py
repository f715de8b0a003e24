"""The ranking of a search under a limit as a text table and as CSV."""

from __future__ import annotations

import csv
import io
from typing import List, Mapping, Optional

from bort.process.text_table import text_table
from bort.search.latency import describe_conditions
from bort.search.limited import LimitedCandidate, LimitedResult

_SIZES = ("depth", "heads", "hidden", "intermediate", "qkv")
_COLUMNS = (
    "rank",
    *_SIZES,
    *("parameters", "multiply_adds", "predicted_seconds", "measured_seconds"),
    *("error", "error_spread", "on_front", "on_size_front"),
)
_SPOKEN = {
    "parameters": "parameters",
    "multiply_adds": "multiply-adds",
    "predicted_seconds": "predicted latency",
}


def limited_csv(result: LimitedResult) -> str:
    """Return the ranking as CSV, one line per candidate; missing values are empty fields."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for rank, row in enumerate(result.ranking, start=1):
        values = {**row.as_dict(), **row.architecture.as_dict(), "qkv": row.architecture.qkv}
        values["rank"] = rank
        writer.writerow({name: values[name] for name in _COLUMNS})
    return stream.getvalue()


def limited_text(
    result: LimitedResult,
    conditions: Optional[Mapping[str, object]] = None,
    rows: int = 20,
) -> str:
    """Return the ranking as a table, followed by the pick and what supports it.

    Args:
        result: the result of a search under a limit.
        conditions: how the latencies were measured; None if they were not.
        rows: maximum number of candidates to show.
    """
    lines = [["", "<D, A, H, I>", "parameters", "predicted ms", "measured ms", "error", ""]]
    shown = result.ranking[:rows]
    for rank, row in enumerate(shown, start=1):
        pick = result.best is not None and row.architecture == result.best.architecture
        marks = ("pick " if pick else "") + ("front" if row.on_front else "")
        lines.append([str(rank), *_cells(row), marks.strip()])
    if result.reference is not None:
        lines.append(["T", *_cells(result.reference), "compared"])
    kept = [place for place, cells in enumerate(zip(*lines)) if any(cells[1:])]
    alignment = "".join("><>>>><"[place] for place in kept)
    table = text_table([[line[place] for place in kept] for line in lines], alignment).splitlines()
    if len(shown) < len(result.ranking):
        more = f"    … and {len(result.ranking) - len(shown)} more"
        table.insert(len(table) - (result.reference is not None), more)
    title = [] if conditions is None else [f"latency on {describe_conditions(conditions)}"]
    return "\n".join([*title, *table, "", *limited_verdict(result)])


def limited_verdict(result: LimitedResult) -> List[str]:
    """Return lines that name the pick, and say how far the errors and the data support it."""
    lines = [*result.notes, pick_line(result)]
    if result.best is not None:
        lines += _about_the_pick(result, result.best)
    if result.correlations:
        parts = [
            f"{_SPOKEN[name]} {one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"
            for name, one in result.correlations.items()
        ]
        lines.append(
            "rank correlation of the error with what needs no training (95 % interval): "
            + ", ".join(parts)
        )
    if result.errors_are_noise:
        lines.append(
            f"warning: the errors of the candidates differ by no more than their noise "
            f"({result.noise:.2g}): random search would find as good a pick"
        )
    return lines


def pick_line(result: LimitedResult) -> str:
    """Return a line that names the pick and what it costs, or without one the nearest."""
    limit = result.limit.describe()
    if result.best is not None:
        return f"the pick, {limit}: {result.best.architecture}{_costs_of(result, result.best)}"
    if result.nearest is not None:
        near = result.nearest
        return (
            f"no candidate keeps the limit, {limit}; the nearest is {near.architecture}"
            f"{_costs_of(result, near)}"
        )
    return f"no candidate keeps the limit, {limit}"


def _costs_of(result: LimitedResult, row: LimitedCandidate) -> str:
    parts = [f"{row.parameters / 1e6:.2f} M parameters"]
    if row.measured_seconds is not None:
        predicted = "" if row.predicted_seconds is None else f" (predicted {_ms(row)})"
        parts.append(f"{row.measured_seconds * 1e3:.2f} ms measured{predicted}")
    speed_up = result.speed_up(row)
    if speed_up is not None:
        parts.append(f"{speed_up:.2f} times faster than {_reference_name(result)}")
    if row.error is not None:
        parts.append(f"error {row.error:.4f}")
    return ", " + ", ".join(parts)


def _reference_name(result: LimitedResult) -> str:
    assert result.reference is not None
    return str(result.reference.architecture)


def _about_the_pick(result: LimitedResult, best: LimitedCandidate) -> List[str]:
    if best.error is None:
        return ["no error was measured: the pick is the largest candidate that keeps the limit"]
    smallest, largest = result.is_smallest(best), result.is_largest(best)
    if len(result.ranking) == 1:
        lines = ["the pick is the only candidate"]
    elif smallest:
        lines = ["the pick is merely the smallest candidate: it has the fewest parameters"]
    elif largest:
        lines = ["the pick has the most parameters of all candidates"]
    else:
        lines = ["the pick is neither the smallest nor the largest of the candidates"]
    prior = result.prior
    if prior is not None and prior.error is not None and prior.architecture != best.architecture:
        lines.append(
            f"without errors, the largest layers within the predicted limit would be picked: "
            f"{prior.architecture}, error {prior.error:.4f}, {prior.error - best.error:+.4f} "
            "against the pick"
        )
    elif prior is not None and prior.error is not None:
        lines.append("the largest layers within the predicted limit, without errors, are the same")
    return lines


def _cells(row: LimitedCandidate) -> List[str]:
    error = "" if row.error is None else f"{row.error:.4f}"
    if row.error_spread is not None:
        error += f" ± {row.error_spread:.4f}"
    measured = "" if row.measured_seconds is None else f"{row.measured_seconds * 1e3:.2f}"
    return [str(row.architecture), f"{row.parameters / 1e6:.2f} M", _ms(row, ""), measured, error]


def _ms(row: LimitedCandidate, unit: str = " ms") -> str:
    seconds = row.predicted_seconds
    return "" if seconds is None else f"{seconds * 1e3:.2f}{unit}"
