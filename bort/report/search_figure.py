"""The figure of a search: error over inference time, coloured by W, with the Pareto front."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Optional

from bort.search.ranking import SearchResult, pareto_front
from bort.storage.files import atomic_write


def draw_search(
    path: Path, result: SearchResult, unit: str, timed_on: Optional[str] = None
) -> None:
    """Write the scatter plot as PNG.

    A point is a candidate, its area the number of parameters, its colour W (grey if it has none).
    The line joins the candidates of the Pareto front: no other candidate has both less time and
    less error.

    Args:
        path: path of the figure.
        result: the result of a search.
        unit: unit of the latencies; seconds are shown as milliseconds.
        timed_on: how the latencies were measured, for the label of their axis.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scale, label = (1e3, "inference time (ms a sequence)") if unit == "s" else (1.0, unit)
    if timed_on is not None:
        label += f"\n{timed_on}"
    figure = Figure(figsize=(7.5, 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    largest = max([row.parameters for row in result.ranking], default=1)
    style: Dict[str, Any] = {"edgecolors": "#333333", "linewidths": 0.5, "zorder": 2}
    for rows, defined in (
        ([row for row in result.ranking if row.w is None], False),
        ([row for row in result.ranking if row.w is not None], True),
    ):
        if not rows:
            continue
        times = [row.latency * scale for row in rows]
        errors = [row.error for row in rows]
        areas = [20 + 180 * row.parameters / largest for row in rows]
        if defined:
            colours = [row.w or 0.0 for row in rows]
            points = axes.scatter(times, errors, s=areas, c=colours, cmap="viridis", **style)
            figure.colorbar(points, ax=axes, label="W (larger is better)")
        else:
            axes.scatter(times, errors, s=areas, c="#bbbbbb", **style)
        for moment, row in zip(times, rows):
            if row.error_spread is not None:
                axes.errorbar(moment, row.error, yerr=row.error_spread, color="#999999", zorder=1)
    drawn = [(row.latency * scale, row.error) for row in result.ranking]
    front = sorted({point for point, on in zip(drawn, pareto_front(drawn)) if on})
    axes.plot(*zip(*front), color="#c8553d", linewidth=1, zorder=1, label="Pareto front")
    if result.best is not None:
        best = result.best
        axes.annotate(
            str(best.architecture),
            (best.latency * scale, best.error),
            xytext=(12, 12),
            textcoords="offset points",
            arrowprops={"arrowstyle": "-", "color": "#333333"},
            fontsize=9,
        )
    axes.axvline(
        result.maximum_latency * scale, color="#444444", linestyle=":", linewidth=1, label="T"
    )
    axes.set_xscale("log")
    axes.set_xlabel(label)
    axes.set_ylabel("error after the few steps of the search")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    with atomic_write(path) as stream:
        figure.savefig(stream, format="png", dpi=130)
