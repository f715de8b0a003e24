"""Runs each combination of a grid once, and writes a table of the results."""

from __future__ import annotations

import functools
import json
import logging
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

from bort.process.progress import Progress
from bort.process.workers import die_with_parent
from bort.settings.grid import SettingsGrid
from bort.storage.files import write_json
from bort.storage.json_fields import JsonFields
from bort.storage.json_text import parse_json
from bort.storage.locks import hold_folder
from bort.storage.result_store import ResultStore
from bort.storage.run_claim import claim_folder
from experiments.grid.commands import (
    CELLS_FOLDER,
    COMMANDS,
    GridConfig,
    cell_name,
    checked_grid,
    command_line,
)
from experiments.grid.table import RUN_DONE, RUN_FAILED, RUN_STOPPED, table_rows, table_text

log = logging.getLogger(__name__)

GRID_FILE, TABLE_FILE, LOG_FILE = "grid.json", "table.json", "stderr.txt"

_STOP_SECONDS = 600.0


def run_grid(
    config: GridConfig, stop_requested: Callable[[], bool] = lambda: False
) -> Dict[str, Any]:
    """Run each combination of a grid once, and write a table of the results.

    A run that fails does not stop the others; its messages are in `cells/<name>/stderr.txt`. A grid
    that was stopped or killed continues with `resume`: finished runs are not repeated, the others
    continue from their checkpoints.

    Args:
        config: the grid, the command and the folder.
        stop_requested: called while a run goes on; True stops it with SIGTERM, and the grid.

    Returns:
        `runs`, `done`, `failed`, `stopped`, `folder`, and the rows of the table.

    Raises:
        InputError: the grid is bad, or the folder holds another grid.
    """
    grid = checked_grid(config)
    cells = grid.cells()
    assert config.output_dir is not None, "checked in the configuration"
    folder = Path(config.output_dir)
    with hold_folder(folder):
        claim_folder(
            folder,
            GRID_FILE,
            {"command": config.command, "values": grid.values, "defaults": grid.defaults},
            "grid",
            config.resume,
            results=("results-rank0.jsonl",),
        )
        return _run(config, grid, cells, folder, stop_requested)


def _run(
    config: GridConfig,
    grid: SettingsGrid,
    cells: Sequence[Dict[str, Any]],
    folder: Path,
    stop_requested: Callable[[], bool],
) -> Dict[str, Any]:
    store = ResultStore(folder, 0)
    results = _latest(store)
    done = [cell for cell in cells if results.get(cell_name(cell), {}).get("status") == RUN_DONE]
    progress = Progress(len(cells), "grid", unit="run", done=len(done))
    stopped = False
    for number, cell in enumerate(cells, start=1):
        name = cell_name(cell)
        if cell in done:
            continue
        varied = {key: cell[key] for key in grid.values}
        log.info("run %d of %d: %s", number, len(cells), json.dumps(varied))
        record = _run_cell(config, cell, folder / CELLS_FOLDER / name, stop_requested)
        record = {"cell": name, "settings": varied, **record}
        stopped = record["status"] == RUN_STOPPED
        store.append(record)
        results[name] = record
        if stopped:
            break
        if record["status"] == RUN_FAILED:
            log.warning("run %d failed: %s", number, record["error"])
        if not config.keep_models and record["status"] == RUN_DONE:
            shutil.rmtree(folder / CELLS_FOLDER / name / "run", ignore_errors=True)
        progress.advance()
    progress.close()
    found = [results[cell_name(cell)] for cell in cells if cell_name(cell) in results]
    rows = table_rows(config, grid, found)
    write_json(folder / TABLE_FILE, {"rows": rows})
    log.info("\n%s\n", table_text(grid, rows))
    return {
        "folder": str(folder),
        "stopped": stopped,
        "runs": len(cells),
        "done": sum(one["status"] == RUN_DONE for one in found),
        "failed": sum(one["status"] == RUN_FAILED for one in found),
        "rows": rows,
    }


def _latest(store: ResultStore) -> Dict[str, Dict[str, Any]]:
    found: Dict[str, Dict[str, Any]] = {}
    for record in store.records():
        found[record.text("cell")] = dict(record.values)
    return found


def _run_cell(
    config: GridConfig,
    cell: Mapping[str, Any],
    folder: Path,
    stop_requested: Callable[[], bool],
) -> Dict[str, Any]:
    """Run one combination; return its status, seconds, and what it printed."""
    folder.mkdir(parents=True, exist_ok=True)
    words = command_line(config, cell, folder / "run")
    if COMMANDS[config.command].has_resume and (folder / "run").exists():
        words.append("--resume=true")
    began = time.monotonic()
    with (folder / LOG_FILE).open("ab") as messages:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=messages,
            preexec_fn=functools.partial(die_with_parent, os.getpid()),
        )
        try:
            printed = _wait(process, stop_requested)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    seconds = time.monotonic() - began
    status, error, summary = RUN_FAILED, "", None
    if process.returncode == 0:
        summary = parse_json(printed.decode("utf-8", "replace"), f"{folder}: output")
        fields = JsonFields.of(summary, f"{folder}: output")
        status = RUN_STOPPED if fields.has("stopped") and fields.boolean("stopped") else RUN_DONE
    else:
        error = _last_line(folder / LOG_FILE) or f"exit status {process.returncode}"
        if stop_requested():
            status = RUN_STOPPED
    return {"status": status, "error": error, "seconds": seconds, "summary": summary}


def _wait(process: subprocess.Popen[bytes], stop_requested: Callable[[], bool]) -> bytes:
    """Return what a process prints; if a stop is requested, ask it to end first."""
    asked_at: Optional[float] = None
    while True:
        try:
            printed, _ = process.communicate(timeout=0.2)
            return printed
        except subprocess.TimeoutExpired:
            if asked_at is None and stop_requested():
                asked_at = time.monotonic()
                process.terminate()
            if asked_at is not None and time.monotonic() - asked_at > _STOP_SECONDS:
                process.kill()


def _last_line(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(max(0, size - 4096), os.SEEK_SET)
        lines = stream.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:500] if lines else ""
