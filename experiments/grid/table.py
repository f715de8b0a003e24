"""The table of a grid: mean and deviation over the seeds, best first."""

from __future__ import annotations

import json
import math
import statistics
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from bort.errors import InputError
from bort.process.text_table import text_table
from bort.settings.grid import SettingsGrid
from experiments.grid.commands import COMMANDS, GridConfig

RUN_DONE, RUN_FAILED, RUN_STOPPED = "done", "failed", "stopped"
"""Outcomes of a run."""


def table_rows(
    config: GridConfig, grid: SettingsGrid, results: Sequence[Mapping[str, Any]]
) -> List[Dict[str, Any]]:
    """Return a row for each combination without its seed, best first.

    A row has the settings, the mean and the sample deviation of the results over the seeds, and
    the numbers of finished and failed runs. Rows without a result come last.
    """
    command = COMMANDS[config.command]
    metric = config.metric or command.metric
    lower = command.lower_is_better if config.lower_is_better is None else config.lower_is_better
    grouped: Dict[str, Tuple[Dict[str, Any], List[float], int]] = {}
    for result in results:
        settings = {key: value for key, value in result["settings"].items() if key != "seed"}
        key = json.dumps(settings, sort_keys=True)
        _, scores, failed = grouped.setdefault(key, (settings, [], 0))
        if result["status"] == RUN_DONE:
            scores.append(_score(result["summary"], metric, config.grid))
        elif result["status"] == RUN_FAILED:
            grouped[key] = (settings, scores, failed + 1)
    rows = [
        {
            "settings": settings,
            "mean": statistics.fmean(scores) if scores else None,
            "deviation": statistics.stdev(scores) if len(scores) > 1 else None,
            "runs": len(scores),
            "failed": failed,
        }
        for settings, scores, failed in grouped.values()
    ]
    sign = 1 if lower else -1

    def place(row: Mapping[str, Any]) -> Tuple[bool, float]:
        return row["mean"] is None, 0.0 if row["mean"] is None else sign * row["mean"]

    return sorted(rows, key=place)


def _score(summary: Any, metric: str, source: str) -> float:
    value = summary
    for name in metric.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise InputError(
            f"{source}: metric is {metric!r}, but the command prints {value!r} there; it prints "
            f"{', '.join(_paths(summary))}"
        )
    return float(value)


def _paths(summary: Any, before: str = "") -> List[str]:
    """Return the paths of all numbers in what a command prints."""
    if isinstance(summary, dict):
        return [
            path for name, value in summary.items() for path in _paths(value, f"{before}.{name}")
        ]
    is_number = isinstance(summary, (int, float)) and not isinstance(summary, bool)
    return [before[1:]] if is_number else []


def table_text(grid: SettingsGrid, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows as a text table."""
    names = [name for name in grid.values if name != "seed"]
    lines = [(*names, "mean", "deviation", "runs", "failed")]
    for row in rows:
        mean, deviation = (
            "" if row[name] is None else f"{row[name]:.4f}" for name in ("mean", "deviation")
        )
        shown = [json.dumps(row["settings"][name]).strip('"') for name in names]
        lines.append((*shown, mean, deviation, str(row["runs"]), str(row["failed"])))
    return text_table(lines, "<>")
