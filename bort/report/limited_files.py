"""Writes the result of a search under a limit: ranking (JSON, CSV, figure, report), pick."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Mapping, Optional

from bort.report.html.files import write_report_if_installed
from bort.report.html.limited import limited_document
from bort.report.limited_figure import draw_limited_search
from bort.report.search_files import BEST_FILE, RANKING_FILE
from bort.search.latency import describe_conditions
from bort.search.limited import LimitedResult
from bort.search.limited_table import limited_csv, limited_text
from bort.storage.files import atomic_write, write_json

log = logging.getLogger(__name__)

FRONT_FILE = "front.png"


def save_limited_result(
    folder: Path, result: LimitedResult, conditions: Optional[Mapping[str, Any]] = None
) -> None:
    """Write ranking (JSON, CSV), figure, report and `best.json`, and log the table.

    The files are `ranking.json`, `ranking.csv`, `front.png`, `report.html` and `report.md`.
    `best.json` is an architecture for `--architecture`; without a pick it is removed.

    Args:
        folder: folder of the search.
        result: the result of the search.
        conditions: how the latencies were measured; None if they were not.
    """
    values = result.as_dict()
    if conditions is not None:
        values["latency_conditions"] = dict(conditions)
    write_json(folder / RANKING_FILE, values)
    with atomic_write(folder / "ranking.csv") as stream:
        stream.write(limited_csv(result).encode("utf-8"))
    timed_on = None if conditions is None else describe_conditions(conditions)
    draw_limited_search(folder / FRONT_FILE, result, timed_on)
    write_report_if_installed(lambda: limited_document(result, conditions), folder)
    if result.best is None:
        (folder / BEST_FILE).unlink(missing_ok=True)
    else:
        write_json(folder / BEST_FILE, {"architecture": result.best.architecture.as_dict()})
    log.info("\n%s\n", limited_text(result, conditions))
