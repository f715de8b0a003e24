"""The figure of an Agora run: dev score and size of the training set over iterations."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional, Sequence

from bort.agora.reports import IterationReport
from bort.storage.files import atomic_write


def draw_agora(
    path: Path, reports: Sequence[IterationReport], report_score: Optional[float], title: str
) -> None:
    """Write the figure as PNG.

    Lines show the best dev score of each iteration and the best so far, bars the number of training
    points, and a dashed line the winner's score on the report split, which the run has not seen.

    Args:
        path: path of the figure.
        reports: reports of all iterations; at least one.
        report_score: the winner's score on the report split; None leaves out the dashed line.
        title: title of the figure.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    sizes: Any = axes.twinx()
    axes.set_zorder(sizes.get_zorder() + 1)  # lines above bars
    axes.patch.set_visible(False)
    numbers = [report.iteration for report in reports]
    sizes.bar(numbers, [report.training_size for report in reports], color="#d9d9d9", width=0.6)
    sizes.set_ylabel("training points (bars)")
    best = [report.best.dev_score for report in reports]
    axes.plot(numbers, best, color="#1b6ca8", marker="o", label="dev, best of the iteration")
    seen = [report.best_seen.dev_score for report in reports]
    axes.plot(numbers, seen, color="#c8553d", linewidth=1, label="dev, best so far")
    if report_score is not None:
        axes.axhline(report_score, color="#444444", linestyle="--", linewidth=1, label="report")
    axes.set_xticks(numbers if len(numbers) <= 20 else numbers[:: len(numbers) // 10])
    axes.set_xlabel("iteration")
    axes.set_ylabel("score")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right")
    with atomic_write(path) as stream:
        figure.savefig(stream, format="png", dpi=130)
