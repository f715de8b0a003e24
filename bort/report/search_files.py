"""Writes the result of a search: ranking (JSON, CSV, figure) and the chosen architecture."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Mapping, Optional

from bort.report.search_figure import draw_search
from bort.search.latency import describe_conditions
from bort.search.ranking import SearchResult
from bort.search.table import as_csv, as_text
from bort.storage.files import atomic_write, write_json

log = logging.getLogger(__name__)

BEST_FILE, RANKING_FILE = "best.json", "ranking.json"


def save_result(
    folder: Path, result: SearchResult, unit: str, conditions: Optional[Mapping[str, Any]] = None
) -> None:
    """Write `ranking.json`, `ranking.csv`, `scatter.png` and `best.json`, and log the table.

    `best.json` is an architecture for `--architecture`; without a chosen one it is not written.

    Args:
        folder: folder of the search.
        result: the result of the search.
        unit: unit of the latencies.
        conditions: how the latencies were measured; None if they were not.
    """
    values = {**result.as_dict(), "latency_unit": unit}
    if conditions is not None:
        values["latency_conditions"] = dict(conditions)
    write_json(folder / RANKING_FILE, values)
    with atomic_write(folder / "ranking.csv") as stream:
        stream.write(as_csv(result).encode("utf-8"))
    timed_on = None if conditions is None else describe_conditions(conditions)
    draw_search(folder / "scatter.png", result, unit, timed_on)
    if result.best is not None:
        write_json(folder / BEST_FILE, {"architecture": result.best.architecture.as_dict()})
    log.info("\n%s\n", as_text(result, unit, timed_on=timed_on))
