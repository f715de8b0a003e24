"""The figure of `search_methods`: the error of each method's picks over their latency."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any, Mapping, Sequence, Tuple

from bort.storage.files import atomic_write


def draw_methods(path: Path, results: Mapping[str, Any]) -> None:
    """Write a figure as PNG: a point for each method and limit, with the deviation over seeds.

    Args:
        path: path of the figure.
        results: the numbers of `search_tables.report`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    names = sorted({name for methods in results["limits"].values() for name in methods})
    for number, name in enumerate(names):
        rows = [methods[name] for methods in results["limits"].values() if name in methods]
        points = [_mean([1e3 * one for one in row["measured_seconds"]]) for row in rows]
        errors = [_mean(row["error"]) for row in rows]
        axes.errorbar(
            [mean for mean, _ in points],
            [mean for mean, _ in errors],
            xerr=[spread for _, spread in points],
            yerr=[spread for _, spread in errors],
            fmt="o-",
            linewidth=1,
            markersize=5,
            color=f"C{number}",
            label=name,
        )
    for methods in results["limits"].values():
        for row in list(methods.values())[:1]:
            axes.axvline(1e3 * row["limit_seconds"], color="#999999", linestyle=":", zorder=0)
    teacher = results["teacher"]
    error = statistics.mean(one["error"] for one in teacher["reports"])
    axes.plot(1e3 * teacher["seconds"], error, "k*", markersize=10, label="teacher")
    axes.set_xlabel("inference time (ms a sequence); dotted: the limits")
    axes.set_ylabel(f"{results['measure']} (lower is better)")
    axes.legend(fontsize="small")
    with atomic_write(path) as stream:
        figure.savefig(stream, format="png", dpi=150)


def _mean(values: Sequence[float]) -> Tuple[float, float]:
    """Return mean and deviation; the deviation of one number is 0."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0
