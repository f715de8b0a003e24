"""Learning curves of several runs, over steps and over seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np

from bort.storage.files import atomic_write

COLOURS = ("#1b6ca8", "#c8553d", "#5b8c5a", "#8a5a83", "#444444")


@dataclass(frozen=True)
class Curve:
    """The held-out scores of one run during training.

    Attributes:
        steps: (n,), ascending.
        seconds: (n,), since the start of the run.
        values: name of a score → (n,).
    """

    steps: Tuple[float, ...]
    seconds: Tuple[float, ...]
    values: Mapping[str, Tuple[float, ...]]

    def as_dict(self) -> Dict[str, Any]:
        """Return the curve as JSON-ready values: `steps`, `seconds` and the scores."""
        scores = {name: list(column) for name, column in self.values.items()}
        return {"steps": list(self.steps), "seconds": list(self.seconds), **scores}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Curve:
        """Return the curve that `as_dict` returned the values of."""
        columns = {name: tuple(map(float, column)) for name, column in values.items()}
        return cls(columns.pop("steps"), columns.pop("seconds"), columns)


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """Return the mean over runs that were evaluated at the same steps."""
    names = curves[0].values
    return Curve(
        curves[0].steps,
        _mean([curve.seconds for curve in curves]),
        {name: _mean([curve.values[name] for curve in curves]) for name in names},
    )


def first_reaching(
    positions: Sequence[float], values: Sequence[float], goal: float
) -> Optional[float]:
    """Return where a curve first reaches `goal`, by linear interpolation; None if it never does.

    >>> first_reaching((100, 200), (0.2, 0.4), 0.3)
    150.0
    """
    before_position, before = 0.0, None
    for position, value in zip(positions, values):
        if value >= goal:
            if before is None or value == before:
                return float(position)
            share = (goal - before) / (value - before)
            return float(before_position + share * (position - before_position))
        before_position, before = position, value
    return None


def draw_learning_curves(
    path: Path,
    kinds: Mapping[str, Sequence[Curve]],
    scores: Mapping[str, str],
    *,
    levels: Optional[Mapping[str, Mapping[str, float]]] = None,
    title: str = "",
) -> None:
    """Draw one row of panels per score: over steps (left) and over seconds (right).

    Args:
        path: path of the PNG.
        kinds: label → curves of its seeds; thin lines are seeds, the thick line is their mean.
        scores: name of a score → label of its axis.
        levels: label → score → a level drawn as a dashed line, such as the teacher's.
        title: title of the figure.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as pyplot

    figure, axes = pyplot.subplots(len(scores), 2, figsize=(11, 3.6 * len(scores)), squeeze=False)
    for row, (score, label) in enumerate(scores.items()):
        for column, (axis_name, unit) in enumerate((("steps", "steps"), ("seconds", "seconds"))):
            panel = axes[row][column]
            for colour, (kind, curves) in zip(COLOURS, kinds.items()):
                _draw_kind(panel, kind, curves, axis_name, score, colour)
            for name, values in (levels or {}).items():
                panel.axhline(values[score], color="#888888", linestyle="--", linewidth=1)
                panel.annotate(
                    name,
                    (0.99, values[score]),
                    xycoords=("axes fraction", "data"),
                    ha="right",
                    va="bottom",
                    fontsize=8,
                    color="#666666",
                )
            panel.set_xlabel(unit)
            panel.set_ylabel(label)
            panel.grid(alpha=0.25)
            panel.set_xlim(left=0)
            if row == 0 and column == 0:
                panel.legend(frameon=False)
    figure.suptitle(title)
    figure.tight_layout()
    with atomic_write(path) as stream:
        figure.savefig(stream, format="png", dpi=110)
    pyplot.close(figure)


def _draw_kind(
    panel: Any, kind: str, curves: Sequence[Curve], axis: str, score: str, colour: str
) -> None:
    for curve in curves:
        panel.plot(getattr(curve, axis), curve.values[score], color=colour, alpha=0.3, linewidth=1)
    mean = mean_curve(curves)
    panel.plot(getattr(mean, axis), mean.values[score], color=colour, linewidth=2.2, label=kind)


def _mean(rows: Sequence[Sequence[float]]) -> Tuple[float, ...]:
    return tuple(float(value) for value in np.mean(np.asarray(rows, dtype=float), axis=0))
