"""The figure of a search under a limit: error against latency and against size, with the pick."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, List, Optional, Tuple

from bort.search.limit import LATENCY
from bort.search.limited import LimitedCandidate, LimitedResult
from bort.storage.files import atomic_write

_PICK, _FRONT, _LIMIT, _OTHER, _WHOLE = "#c8553d", "#2a6f97", "#444444", "#9bb8c9", "#588157"


def draw_limited_search(path: Path, result: LimitedResult, timed_on: Optional[str] = None) -> None:
    """Write the figure as PNG.

    The left half shows error against latency, the right half error against parameters. A point is a
    candidate at its predicted latency, the line joins those on the Pareto front, the star is the
    pick at its measured latency, the diamond the teacher or the whole super-network. The broken
    line is the limit; the band of the candidates is shaded. Without errors,
    the heights are the places in the ranking.

    Args:
        path: path of the figure.
        result: the result of the search.
        timed_on: how the latencies were measured, for the label of their axis.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    timed = any(row.predicted_seconds is not None for row in result.ranking)
    figure = Figure(figsize=(11.0 if timed else 6.5, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(_title(result), fontsize=11)
    panels = figure.subplots(1, 2 if timed else 1, squeeze=False)[0]
    if timed:
        label = "latency of a sequence (ms)" + ("" if timed_on is None else f"\n{timed_on}")
        _draw(panels[0], result, lambda row: 1e3 * (row.predicted_seconds or 0.0), label, 1e3)
    _draw(panels[-1], result, lambda row: row.parameters / 1e6, "parameters (millions)", 1e-6)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=8)
    with atomic_write(path) as stream:
        figure.savefig(stream, format="png", dpi=130)


def _draw(
    axes: Any,
    result: LimitedResult,
    cost: Callable[[LimitedCandidate], float],
    label: str,
    scale: float,
) -> None:
    of_latency = scale > 1
    places = {row.architecture: place for place, row in enumerate(result.ranking, start=1)}

    def height(row: LimitedCandidate) -> float:
        return float(places.get(row.architecture, 0)) if row.error is None else row.error

    rows = list(result.ranking)
    costs = [cost(row) for row in rows]
    axes.scatter(
        costs,
        [height(row) for row in rows],
        s=28,
        c=_OTHER,
        label="candidate",
        zorder=2,
    )
    front = _front(rows, cost, height, of_latency)
    if front:
        axes.plot(*zip(*front), c=_FRONT, marker="o", ms=4, lw=1.2, label="Pareto front", zorder=3)
    if of_latency == (result.limit.kind == LATENCY):
        _draw_limit(axes, result, scale)
        costs = [*costs, min(result.limit.most * scale, 1.5 * max(costs))]
    other = result.reference
    if other is not None and (not of_latency or other.seconds is not None):
        place = 1e3 * (other.seconds or 0.0) if of_latency else cost(other)
        costs.append(place)
        if other.error is not None:
            axes.scatter([place], [other.error], marker="D", c=_WHOLE, s=45, zorder=4)
            axes.axhline(other.error, c=_WHOLE, lw=0.8, ls=":", zorder=1)
        axes.axvline(place, c=_WHOLE, lw=1, ls=":", label="teacher or whole network")
    if result.best is not None:
        best = result.best
        point = (1e3 * (best.seconds or 0.0) if of_latency else cost(best), height(best))
        costs.append(point[0])
        # From the prediction to what was measured.
        axes.plot([cost(best), point[0]], [point[1]] * 2, c=_PICK, lw=1, zorder=4)
        axes.scatter(*zip(point), marker="*", c=_PICK, s=240, zorder=5, label="pick")
        axes.annotate(
            str(best.architecture),
            point,
            xytext=(8, 10),
            textcoords="offset points",
            fontsize=8,
            color=_PICK,
        )
    margin = 0.08 * (max(costs) - min(costs)) or 0.1 * max(costs)
    axes.set_xlim(min(costs) - margin, max(costs) + margin)  # the band may be much wider
    axes.set_xlabel(label)
    measured = any(row.error is not None for row in rows)
    axes.set_ylabel(f"error: {result.error_name}" if measured else "place in the ranking")
    axes.grid(alpha=0.3)


def _front(
    rows: List[LimitedCandidate],
    cost: Callable[[LimitedCandidate], float],
    height: Callable[[LimitedCandidate], float],
    of_latency: bool,
) -> List[Tuple[float, float]]:
    on = [row for row in rows if (row.on_front if of_latency else row.on_size_front)]
    return sorted((cost(row), height(row)) for row in on)


def _draw_limit(axes: Any, result: LimitedResult, scale: float) -> None:
    limit = result.limit
    axes.axvspan(limit.least * scale, limit.reach * scale, color="#eeeeee", zorder=0, label="band")
    axes.axvline(limit.most * scale, c=_LIMIT, lw=1.4, ls="--", label=f"limit, {limit.describe()}")


def _title(result: LimitedResult) -> str:
    best = result.best
    if best is None:
        return f"no candidate keeps the limit, {result.limit.describe()}"
    words = [f"pick {best.architecture}"]
    if best.seconds is not None:
        words.append(f"{best.seconds * 1e3:.2f} ms")
    speed_up = result.speed_up(best)
    if speed_up is not None:
        words.append(f"{speed_up:.1f} times faster")
    words.append(f"{best.parameters / 1e6:.2f} M parameters")
    return ", ".join(words)
