"""Charts of a report: lines with bands, and points, as SVG."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Sequence, Tuple

from bort.report.html.drawing import drawing_style, svg_of
from bort.report.html.palette import INK, MUTED, SERIES

_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), "-")
_MARKERS = ("o", "s", "^", "D", "v", "P")


@dataclass(frozen=True)
class Series:
    """One line or one set of points of a chart.

    Attributes:
        label: its name in the legend.
        x: (n,) positions.
        y: (n,) values.
        low: (n,) lower end of the band, or of the error bars of points; None for none.
        high: (n,) upper end.
        names: (n,) texts beside the points; empty for none.
        joined: whether a line joins the points.
        colour: place of its colour, 0 to 5; None for its place in the chart.
        marker: Matplotlib's letter of the marker; by default each place has its own.
        area: area of the markers in square points.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Optional[Sequence[float]] = None
    high: Optional[Sequence[float]] = None
    names: Sequence[str] = ()
    joined: bool = True
    colour: Optional[int] = None
    marker: str = ""
    area: float = 30.0


@dataclass(frozen=True)
class Axes:
    """The axes of a chart.

    Attributes:
        x: label of the horizontal axis, with its unit.
        y: label of the vertical axis, with its unit.
        percent: show values of the vertical axis, 0 to 1, in per cent.
        log_x: make the horizontal axis logarithmic.
        from_zero: start the horizontal axis at 0.
        levels: label → a horizontal broken line, such as the teacher's score.
        limits: label → a vertical broken line, such as a limit of the latency.
        band: (least, most) of a shaded vertical band; None for none.
    """

    x: str
    y: str
    percent: bool = False
    log_x: bool = False
    from_zero: bool = False
    levels: Mapping[str, float] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    band: Optional[Tuple[float, float]] = None


def draw_chart(series: Sequence[Series], axes: Axes, *, height: float = 3.1) -> str:
    """Return a chart as SVG, 4.8 inches wide, so that it is readable on a phone.

    Args:
        series: lines and sets of points; colour, dashes and markers tell them apart.
        axes: labels, scales and further lines.
        height: inches.

    Raises:
        InputError: Matplotlib is not installed.
    """
    with drawing_style():
        from matplotlib.figure import Figure as Canvas

        canvas = Canvas(figsize=(4.8, height), layout="constrained")
        panel = canvas.add_subplot()
        for place, one in enumerate(series):
            _draw_series(panel, one, place if one.colour is None else one.colour)
        _draw_levels(panel, axes)
        _scale(panel, axes)
        handles, labels = panel.get_legend_handles_labels()
        if len(handles) > 1:
            columns = 1 if max(map(len, labels)) > 22 else min(len(labels), 3)
            canvas.legend(handles, labels, loc="outside upper left", ncols=columns)
        return svg_of(canvas)


def _draw_series(panel: Any, one: Series, place: int) -> None:
    colour = SERIES[place % len(SERIES)]
    marker = one.marker or _MARKERS[place % len(_MARKERS)]
    if one.joined:
        few = len(one.x) <= 16
        panel.plot(
            one.x,
            one.y,
            color=colour,
            linestyle=_DASHES[place % len(_DASHES)],
            marker=marker if few else None,
            label=one.label,
            zorder=3,
        )
        if one.low is not None and one.high is not None:
            panel.fill_between(one.x, one.low, one.high, color=colour, alpha=0.16, lw=0, zorder=2)
    else:
        panel.scatter(
            one.x, one.y, s=one.area, color=colour, marker=marker, label=one.label, zorder=4
        )
        if one.low is not None and one.high is not None:
            spread = [
                [value - end for value, end in zip(one.y, one.low)],
                [end - value for value, end in zip(one.y, one.high)],
            ]
            panel.errorbar(one.x, one.y, yerr=spread, fmt="none", color=colour, lw=1, zorder=2)
    for x, y, name in zip(one.x, one.y, one.names):
        panel.annotate(
            name, (x, y), xytext=(5, 5), textcoords="offset points", fontsize=8, color=INK
        )


def _draw_levels(panel: Any, axes: Axes) -> None:
    for name, value in axes.levels.items():
        panel.axhline(value, color=MUTED, linestyle=(0, (4, 2)), linewidth=1, zorder=1)
        panel.annotate(
            name,
            (0.99, value),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize=8,
            color=MUTED,
        )
    if axes.band is not None:
        panel.axvspan(*axes.band, color=MUTED, alpha=0.12, lw=0, zorder=0)
    for name, value in axes.limits.items():
        panel.axvline(value, color=MUTED, linestyle=(0, (4, 2)), linewidth=1, zorder=1)
        panel.annotate(
            name,
            (value, 0.99),
            xycoords=("data", "axes fraction"),
            xytext=(3, 0),
            textcoords="offset points",
            va="top",
            fontsize=8,
            color=MUTED,
        )


def _scale(panel: Any, axes: Axes) -> None:
    panel.set_xlabel(axes.x)
    panel.set_ylabel(axes.y)
    if axes.log_x:
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter("{x:g}")
    elif axes.from_zero:
        panel.set_xlim(left=0)
    if axes.percent:
        from matplotlib.ticker import PercentFormatter

        panel.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    panel.margins(y=0.08)
