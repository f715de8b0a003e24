"""The report of a search under a limit: the pick, the fronts and the ranking."""

from __future__ import annotations

from typing import Any, Callable, List, Mapping, Optional, Sequence, Tuple

from bort.architecture import Architecture
from bort.report.html.charts import Axes, Series, draw_chart
from bort.report.html.document import (
    Bullets,
    Cell,
    Document,
    Figure,
    Inline,
    Number,
    Origin,
    Part,
    ReportedStage,
    Section,
    Table,
    numbered,
)
from bort.search.latency import describe_conditions
from bort.search.limit import LATENCY
from bort.search.limited import LimitedResult
from bort.search.limited_table import limited_verdict

_SEARCH = "search"
_FAR = 1.5  # times the largest cost of a candidate: the reference would push the others together
_LONGEST_LABEL = 40


def limited_document(
    result: LimitedResult, conditions: Optional[Mapping[str, Any]] = None
) -> Document:
    """Return the report of a search under a limit.

    Args:
        result: the result of the search.
        conditions: how the latencies were measured; None if they were not.
    """
    values = result.as_dict()
    best, limit = values["best"], result.limit.describe()
    stage = ReportedStage(_SEARCH, _SEARCH, None, dict(conditions or {}))
    if best is None:
        title: List[Inline] = [*numbered(f"No candidate keeps the limit, {limit}", _SEARCH)]
    else:
        costs: List[Inline] = [Number(_millions(best["parameters"]), _SEARCH), " parameters"]
        speed_up = values["speed_up"]
        if speed_up is not None:
            costs = [Number(f"{speed_up:.1f} times", _SEARCH), " as fast, ", *costs]
        title = [f"{architecture_text(best)}: ", *costs]
    counts = (
        f"{len(result.ranking)} of {result.band_size} candidates near the limit, {limit}, were "
        f"ranked, out of {result.space_size} architectures of the space."
    )
    sections = [
        Section("Fronts", front_figures(values, _SEARCH, conditions)),
        Section("Ranking", [ranking_table(values, _SEARCH)]),
        Section("What supports the pick", [verdict_bullets(limited_verdict(result), _SEARCH)]),
    ]
    return Document(title, numbered(counts, _SEARCH), sections, [stage])


def architecture_text(row: Mapping[str, Any]) -> str:
    """Return the architecture of a candidate as text.

    Args:
        row: a candidate as `LimitedCandidate.as_dict` returns it.
    """
    return str(Architecture.from_dict(row["architecture"]))


def verdict_bullets(lines: Sequence[str], source: Origin) -> Bullets:
    """Return lines about a pick, with their numbers, as a list.

    Args:
        lines: lines of `bort.search.limited_table.limited_verdict`.
        source: key of the search.
    """
    return Bullets([numbered(line[:1].upper() + line[1:], source) for line in lines])


def ranking_table(values: Mapping[str, Any], source: Origin, rows: int = 20) -> Table:
    """Return the ranking, the pick set off, with the reference at the end.

    Args:
        values: the result of a search as `LimitedResult.as_dict` returns it.
        source: key of the search.
        rows: maximum number of candidates to show.
    """
    best = values["best"] or {}
    shown = list(values["ranking"][:rows])
    columns = ["", "architecture", "parameters", "predicted ms", "measured ms", "error", ""]
    table: List[List[Cell]] = []
    picks = []
    for place, row in enumerate(shown, start=1):
        is_pick = row["architecture"] == best.get("architecture")
        if is_pick:
            picks.append(place - 1)
        note = "pick" if is_pick else "front" if row["on_front"] else ""
        table.append([str(place), *_cells(row, source), note])
    if values["reference"] is not None:
        table.append(["T", *_cells(values["reference"], source), "compared"])
    kept = [n for n in range(len(columns)) if n < 2 or any(row[n] for row in table)]
    left_out = len(values["ranking"]) - len(shown)
    more: List[Inline] = [Number(str(left_out), source), " further candidates are not shown."]
    return Table(
        [columns[n] for n in kept],
        [[row[n] for n in kept] for row in table],
        f"Candidates by rising error: {values['error']}",
        more if left_out else "",
        picks,
    )


def front_figures(
    values: Mapping[str, Any], source: Origin, conditions: Optional[Mapping[str, Any]] = None
) -> List[Part]:
    """Return the figures of error against latency, if it was measured, and against parameters.

    Args:
        values: the result of a search as `LimitedResult.as_dict` returns it.
        source: key of the search.
        conditions: how the latencies were measured; None if that is not known.
    """
    figures: List[Part] = []
    limit = values["limit"]
    if any(row["predicted_seconds"] is not None for row in values["ranking"]):
        timed_on = "" if conditions is None else f", {describe_conditions(conditions)}"
        words = (
            f"Candidates at their predicted latency, the pick as it was measured{timed_on}. "
            "The line joins the Pareto front: no other candidate is both faster and better."
        )
        most = 1e3 * limit["most"] if limit["kind"] == LATENCY else None
        front = _Front(values, _latency, "latency of a sequence (ms)", most, "on_front")
        caption = [words, *front.left_out(source, " ms")]
        figures.append(Figure("Error against latency", front.chart(), caption, source))
    most = None if limit["kind"] == LATENCY else limit["most"] / 1e6
    front = _Front(values, _millions_of, "parameters (millions)", most, "on_size_front")
    words = "The same candidates by the parameters of the encoder."
    caption = [words, *front.left_out(source, " M parameters")]
    return [*figures, Figure("Error against size", front.chart(), caption, source)]


class _Front:
    """The figure of error against one cost.

    Args:
        values: the result of a search.
        cost: returns the cost of a candidate, also the one that was measured.
        label: label of the horizontal axis.
        limit: the limit of the search in the unit of the axis; None if it limits another cost.
        front: field of a candidate that says whether it is on the front.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        cost: Callable[[Mapping[str, Any], bool], Optional[float]],
        label: str,
        limit: Optional[float],
        front: str,
    ) -> None:
        self._values, self._cost, self._label, self._front = values, cost, label, front
        rows = values["ranking"]
        self._measured = any(row["error"] is not None for row in rows)
        places = enumerate(rows, start=1)
        self._points = {str(row["architecture"]): self._point(row, place) for place, row in places}
        self._limits = {} if limit is None else {"limit": limit}
        largest = max((x for x, _ in self._points.values()), default=0.0)
        other = values["reference"]
        is_known = other is not None and cost(other, True) is not None
        self._reference = self._point(other, 0, True) if is_known and self._measured else None
        if self._reference is not None and other["error"] is None:
            self._reference = None
        self._is_far = self._reference is not None and self._reference[0] > _FAR * largest

    def left_out(self, source: Origin, unit: str) -> List[Inline]:
        """Return a sentence about a reference that is too far away to be drawn."""
        if self._reference is None or not self._is_far:
            return []
        place, error = self._reference
        return [
            " Not drawn: the reference at ",
            Number(f"{place:.2f}{unit}", source),
            " and error ",
            Number(f"{error:.4f}", source),
            ".",
        ]

    def chart(self) -> str:
        """Return the figure as SVG."""
        rows = self._values["ranking"]
        series = [_dots("candidate", list(self._points.values()), 0, "o", 22)]
        line = sorted(self._points[str(row["architecture"])] for row in rows if row[self._front])
        if len(line) > 1:
            x, y = zip(*line)
            series.append(Series("Pareto front", x, y, colour=0, marker="."))
        if self._reference is not None and not self._is_far:
            series.append(_dots("reference", [self._reference], 2, "D", 36))
        best = self._values["best"]
        if best is not None:
            place = self._points.get(str(best["architecture"]), (0.0, 0.0))[1]
            series.append(_dots("pick", [self._point(best, place, True)], 1, "*", 130))
        name = f"error: {self._values['error']}"
        axis = name if len(name) < _LONGEST_LABEL else "error"
        label = axis if self._measured else "place in the ranking"
        return draw_chart(series, Axes(self._label, label, limits=self._limits))

    def _point(
        self, row: Mapping[str, Any], place: float, exact: bool = False
    ) -> Tuple[float, float]:
        height = row["error"] if self._measured and row["error"] is not None else place
        return self._cost(row, exact) or 0.0, float(height)


def _dots(
    label: str, points: Sequence[Tuple[float, float]], colour: int, marker: str, area: float
) -> Series:
    x, y = ([], []) if not points else zip(*points)
    return Series(label, x, y, joined=False, colour=colour, marker=marker, area=area)


def _latency(row: Mapping[str, Any], exact: bool) -> Optional[float]:
    kinds = ("measured_seconds", "predicted_seconds")
    found = [row[kind] for kind in (kinds if exact else kinds[::-1]) if row[kind] is not None]
    return 1e3 * found[0] if found else None


def _millions_of(row: Mapping[str, Any], exact: bool) -> Optional[float]:
    return float(row["parameters"]) / 1e6


def _cells(row: Mapping[str, Any], source: Origin) -> List[Cell]:
    cells: List[Cell] = [architecture_text(row), Number(_millions(row["parameters"]), source)]
    for name in ("predicted_seconds", "measured_seconds"):
        seconds = row[name]
        cells.append("" if seconds is None else Number(f"{1e3 * seconds:.2f}", source))
    error = "" if row["error"] is None else f"{row['error']:.4f}"
    if row["error_spread"] is not None:
        error += f" ± {row['error_spread']:.4f}"
    cells.append(Number(error, source) if error else "")
    return cells


def _millions(parameters: float) -> str:
    return f"{parameters / 1e6:.2f} M"
