"""The figure of an inference benchmark: a bar per model, grouped by engine and precision."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from bort.engines.benchmark import Row
from bort.storage.files import atomic_write

_COLOURS = ("#c8553d", "#3d6fa5", "#7a9e5f", "#8a6fae", "#c9a227", "#777777")


def draw_inference(path: Path, rows: Sequence[Row]) -> None:
    """Write the milliseconds per batch as PNG, one panel per input size and number of threads.

    Args:
        path: path of the figure.
        rows: the measurements.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels: Dict[Tuple[int, int, int], List[Row]] = {}
    for row in rows:
        case = row.case
        panels.setdefault((case.threads, case.batch, case.length), []).append(row)
    models = list(dict.fromkeys(row.case.model for row in rows))
    figure = Figure(figsize=(8.0, 0.8 + 2.6 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    for number, ((threads, batch, length), some) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(len(panels), 1, number)
        kinds = list(dict.fromkeys(f"{row.case.engine} {row.case.precision}" for row in some))
        width = 0.8 / len(models)
        for row in some:
            kind = kinds.index(f"{row.case.engine} {row.case.precision}")
            model = models.index(row.case.model)
            colour = _COLOURS[model % len(_COLOURS)]
            axes.bar(kind + model * width, 1e3 * row.seconds, width, color=colour)
        axes.set_xticks([place + 0.4 - width / 2 for place in range(len(kinds))], kinds)
        axes.set_yscale("log")
        axes.set_ylabel("milliseconds")
        axes.set_title(f"{batch} × {length} tokens, {threads} thread(s)", fontsize=10)
    for number, name in enumerate(models):
        axes.bar(0, 0, color=_COLOURS[number % len(_COLOURS)], label=Path(name).name)
    figure.axes[0].legend(*axes.get_legend_handles_labels(), fontsize=8)
    with atomic_write(path) as stream:
        figure.savefig(stream, format="png", dpi=120)
