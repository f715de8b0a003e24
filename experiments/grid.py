"""A grid of runs of one command: each combination of settings once, and a table of the results."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import logging
import math
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from bort.errors import InputError
from bort.process.progress import Progress
from bort.process.text_table import text_table
from bort.settings.config import Config, setting
from bort.settings.grid import SettingsGrid, flags_of, grid_from
from bort.storage.files import read_json, write_json
from bort.storage.json_fields import JsonFields
from bort.storage.json_text import parse_json
from bort.storage.locks import hold_folder
from bort.storage.result_store import ResultStore
from bort.storage.run_claim import claim_folder
from bort.storage.text_lines import LARGEST_TEXT_BYTES, NotTextError, decode_text, read_content

log = logging.getLogger(__name__)

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"

GRID_FILE, CELLS_FOLDER, TABLE_FILE, LOG_FILE = "grid.json", "cells", "table.json", "stderr.txt"

_FLOAT = r"^[-+]?(?:(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)$"
_PLAIN_VALUES = (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ("~", "n", "N", "")),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    ("float", _FLOAT, "-+.0123456789"),
)
"""Tag, pattern and first characters of the values that are no texts, in the order of the tests."""

_DONE, _FAILED, _STOPPED = "done", "failed", "stopped"
_STOP_SECONDS = 600.0


@dataclasses.dataclass(frozen=True)
class GridCommand:
    """A command that a grid can run.

    Attributes:
        folder_flag: flag of the folder of a run.
        metric: path of the result in the JSON that the command prints.
        lower_is_better: whether a lower result is better.
    """

    folder_flag: str
    metric: str
    lower_is_better: bool = False


COMMANDS: Mapping[str, GridCommand] = {
    "finetune": GridCommand("output_dir", "best.mean"),
    "run_pretraining_distillation": GridCommand(
        "ckpt_dir", "validation.mlm_loss", lower_is_better=True
    ),
    "train_super_network": GridCommand("output_dir", "steps"),
    "run_agora": GridCommand("output_dir", "dev.mean"),
}
"""Commands by the names of their scripts."""


@dataclasses.dataclass(frozen=True)
class GridConfig(Config):
    """Settings of a grid run."""

    grid: str = setting(
        ..., "YAML or JSON file with hyperparameters (lists of values) and default_parameters"
    )
    command: str = setting("finetune", "the command to run", choices=tuple(COMMANDS))
    output_dir: Optional[str] = setting(
        None, "folder of the runs and results; default: the commands are printed"
    )
    metric: Optional[str] = setting(
        None,
        "path of the result in the JSON that the command prints, e.g. best.metrics.f1; default: "
        "set by the command",
    )
    lower_is_better: Optional[bool] = setting(
        None, "sort the table by rising results; default: set by the command"
    )
    keep_models: bool = setting(True, "keep the folder of each run; false keeps its result alone")
    print: bool = setting(False, "print the commands, one a line, and run nothing")
    resume: bool = setting(False, "continue the grid in --output_dir; failed runs are tried again")

    def check(self) -> None:
        """Check that there is a folder unless the commands are printed."""
        if self.output_dir is None and not self.print:
            raise InputError("output_dir is missing, needed unless --print is given")


def read_grid(path: Path) -> SettingsGrid:
    """Read a grid from a YAML or JSON file.

    Raises:
        InputError: the file is missing or damaged, a key comes twice, or a field is bad.
    """
    if path.suffix.lower() == ".json":
        return grid_from(read_json(path), str(path))
    try:
        text = decode_text(read_content(path, LARGEST_TEXT_BYTES))
    except NotTextError as error:
        raise InputError(f"{path}: {error}") from error
    return grid_from(_parse_yaml(text, path), str(path))


def _parse_yaml(text: str, path: Path) -> Any:
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError as error:
        raise InputError(
            f"{path}: YAML needs the package PyYAML (pip install PyYAML); a .json file does not"
        ) from error

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """A safe loader with the plain values of YAML 1.2, as in JSON.

        `2:6:2`, `010`, `no` and dates are texts. A key that comes twice is refused, and so are
        aliases.
        """

        yaml_implicit_resolvers: Dict[str, Any] = {}

        def construct_mapping(self, node: Any, deep: bool = False) -> Dict[Any, Any]:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            for key in keys:
                if keys.count(key) > 1:
                    raise InputError(f"{path}: {key!r} comes twice, allowed is once")
            return dict(super().construct_mapping(node, deep))

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                raise InputError(f"{path}: has an alias (*name), allowed are plain values")
            return super().compose_node(parent, index)

    for tag, pattern, first in _PLAIN_VALUES:
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))
    try:
        return yaml.load(text, Loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        line = " ".join(str(error).split())
        raise InputError(f"{path}: is not valid YAML: {line[:300]}") from error


def cell_name(cell: Mapping[str, Any]) -> str:
    """Return the name of a combination, which depends on its settings alone."""
    content = json.dumps(cell, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def command_line(config: GridConfig, cell: Mapping[str, Any], folder: Path) -> List[str]:
    """Return the command of a combination."""
    script = str(SCRIPTS / f"{config.command}.py")
    into = {COMMANDS[config.command].folder_flag: str(folder)}
    return [sys.executable, script, *flags_of({**cell, **into})]


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
    grid = read_grid(Path(config.grid))
    cells = grid.cells()
    flag = COMMANDS[config.command].folder_flag
    for name in (flag, "resume"):
        if name in grid.values or name in grid.defaults:
            raise InputError(f"{config.grid}: has {name}, which the grid sets for each run")
    assert config.output_dir is not None, "checked in the configuration"
    folder = Path(config.output_dir)
    for cell in cells:
        command_line(config, cell, folder)  # refuses values that cannot be flags
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
    done = [cell for cell in cells if results.get(cell_name(cell), {}).get("status") == _DONE]
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
        stopped = record["status"] == _STOPPED
        store.append(record)
        results[name] = record
        if stopped:
            break
        if record["status"] == _FAILED:
            log.warning("run %d failed: %s", number, record["error"])
        if not config.keep_models and record["status"] == _DONE:
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
        "done": sum(one["status"] == _DONE for one in found),
        "failed": sum(one["status"] == _FAILED for one in found),
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
    if (folder / "run").exists():
        words.append("--resume=true")
    began = time.monotonic()
    with (folder / LOG_FILE).open("ab") as messages:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages
        )
        try:
            printed = _wait(process, stop_requested)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    seconds = time.monotonic() - began
    status, error, summary = _FAILED, "", None
    if process.returncode == 0:
        summary = parse_json(printed.decode("utf-8", "replace"), f"{folder}: output")
        fields = JsonFields.of(summary, f"{folder}: output")
        status = _STOPPED if fields.has("stopped") and fields.boolean("stopped") else _DONE
    else:
        error = _last_line(folder / LOG_FILE) or f"exit status {process.returncode}"
        if stop_requested():
            status = _STOPPED
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
        if result["status"] == _DONE:
            scores.append(_score(result["summary"], metric, config.grid))
        else:
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


def printed_commands(config: GridConfig) -> List[str]:
    """Return the commands of all combinations, quoted for a shell."""
    folder = Path(config.output_dir or "runs/grid") / CELLS_FOLDER
    return [
        shlex.join(command_line(config, cell, folder / cell_name(cell) / "run"))
        for cell in read_grid(Path(config.grid)).cells()
    ]
