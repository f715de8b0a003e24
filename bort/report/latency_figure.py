"""The figure of a latency predictor: predicted over measured inference times."""

from __future__ import annotations

from pathlib import Path
from typing import Mapping

import numpy as np

from bort.architecture import Architecture
from bort.search.latency_predictor import LatencyPredictor
from bort.search.sizes import sizes_of
from bort.storage.files import atomic_write


def draw_latencies(
    path: Path,
    predictor: LatencyPredictor,
    fitted: Mapping[Architecture, float],
    held_out: Mapping[Architecture, float],
    timed_on: str,
) -> None:
    """Write predicted over measured milliseconds per sequence as PNG.

    A point on the line is predicted exactly; the grey band is an error of up to 10 %.

    Args:
        path: path of the figure.
        predictor: a predictor that was fitted to `fitted` alone.
        fitted: measured seconds by architecture.
        held_out: measured seconds of the architectures that it was not fitted to.
        timed_on: the conditions of the timing, for the label of the axis.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for times, colour, label in (
        (fitted, "#bbbbbb", "fitted"),
        (held_out, "#c8553d", "held out"),
    ):
        if times:
            measured = 1e3 * np.array(list(times.values()))
            predicted = 1e3 * predictor.predict(sizes_of(list(times)))
            axes.scatter(measured, predicted, s=18, c=colour, label=label, zorder=2)
    every = 1e3 * np.array([*fitted.values(), *held_out.values()])
    ends = np.array([every.min() / 1.2, every.max() * 1.2])
    axes.plot(ends, ends, color="#333333", linewidth=1, zorder=1)
    axes.fill_between(ends, 0.9 * ends, 1.1 * ends, color="#eeeeee", zorder=0, label="± 10 %")
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
    axes.set_xlabel(f"measured (ms a sequence)\n{timed_on}")
    axes.set_ylabel("predicted (ms a sequence)")
    axes.legend(fontsize=8)
    with atomic_write(path) as stream:
        figure.savefig(stream, format="png", dpi=130)
