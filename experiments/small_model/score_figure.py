"""The figure of score against latency: teacher, sub-networks, small models, and precisions."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Tuple

from bort.formats.precisions import FP32
from bort.report.html.charts import Axes, Series, draw_chart
from bort.report.html.document import Cell, Figure, Table
from bort.report.html.sources import Sources
from bort.tasks.metrics import mean_score
from experiments.small_model.results import SmallModelResults
from experiments.small_model.statements import BIG, MODEL_WORDS

_GREY = 5  # place of the colour
_LONGEST_LABEL = 36


def score_figure(found: SmallModelResults, sources: Sources, metric: str) -> Optional[Figure]:
    """Return the figure of dev scores against latencies; None without two models.

    Args:
        found: the results.
        sources: the keys of the finished stages.
        metric: the score in words.
    """
    groups = _models(found)
    if len(groups) < 2:
        return None
    used = [name for name in ("search", BIG, *found.candidates, "export") if name in sources]
    used += [name for name in ("latency", "final") if name in sources]
    parts = scored_parts(found)
    series = [_dots("sub-networks", parts, _GREY, ".", 40)] if parts else []
    markers = "Dos^vP"
    for place, (name, point) in enumerate(groups.items()):
        series.append(_dots(name, [point], place % _GREY, markers[place % len(markers)], 60))
    limit = _limit(found)
    name = f"100 × {metric}, dev"
    axes = Axes(
        "latency of a text (ms)",
        name if len(name) <= _LONGEST_LABEL else "dev score × 100",
        from_zero=True,
        limits={} if limit is None else {"limit": limit},
    )
    words = f"Scores of the dev set: 100 times the {metric}. "
    if parts:
        words += (
            "Sub-networks are at their predicted latencies and have had no training of their own."
        )
    source = sources.of(*used)
    rows: List[List[Cell]] = [
        [name, *(sources.number(f"{value:.2f}", *used) for value in point)]
        for name, point in groups.items()
    ]
    data = Table(["", "latency (ms)", name], rows)
    return Figure(
        "Score against latency", draw_chart(series, axes, height=3.8), words, source, data
    )


def _models(found: SmallModelResults) -> Dict[str, Tuple[float, float]]:
    """Return latency in ms and dev score in points of each model, by its label."""
    groups: Dict[str, Tuple[float, float]] = {}
    for name, model in {BIG: found.teacher, **found.candidates}.items():
        if model and model.get("latency_ms") and model.get("dev"):
            groups[MODEL_WORDS[name]] = (model["latency_ms"], 100 * mean_score(model["dev"]))
    for row in found.precisions:
        if row.get("latency_ms") and row.get("dev") and row["precision"] != FP32:
            label = f"{MODEL_WORDS[found.chosen or '']}, {row['precision']}"
            groups[label] = (row["latency_ms"], 100 * mean_score(row["dev"]))
    return groups


def scored_parts(found: SmallModelResults) -> List[Tuple[float, float]]:
    """Return latency and dev score of the search's candidates, if their error is a score's."""
    if found.search is None or not str(found.search["error"]).startswith("1 - mean"):
        return []
    return [
        (1e3 * row["predicted_seconds"], 100 * (1 - row["error"]))
        for row in found.search["ranking"]
        if row["predicted_seconds"] is not None and row["error"] is not None
    ]


def _limit(found: SmallModelResults) -> Optional[float]:
    """Return the limit as milliseconds; None if it is none of the latency, or not known yet."""
    kind, value = found.limit["kind"], float(found.limit["value"])
    teacher = None if found.teacher is None else found.teacher.get("latency_ms")
    if kind == "latency_ms":
        return value
    return teacher / value if kind == "speed_up" and teacher else None


def _dots(
    label: str, points: Sequence[Tuple[float, float]], colour: int, marker: str, area: float
) -> Series:
    x, y = zip(*points)
    return Series(label, x, y, joined=False, colour=colour, marker=marker, area=area)
