"""Runs the stages of the experiment in several processes, and writes its report."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any, Dict, Mapping

from bort.errors import InputError
from bort.process.threads import available_cores
from bort.report.html.files import write_report
from bort.stages.listing import finished_results
from bort.stages.plan import read_experiment
from bort.stages.running import run_stages
from bort.stages.store import Store
from bort.storage.files import read_json, write_json
from experiments.large_then_compressed.graph import EXPERIMENT, make_stages
from experiments.large_then_compressed.plan import LargeConfig
from experiments.large_then_compressed.report import make_document
from experiments.processes import advance, run_in_processes

STORE, LARGE_SETTINGS_FILE = "store", "settings.json"


def run_experiment(config: LargeConfig, folder: Path) -> Dict[str, Any]:
    """Run all stages that have no result yet, and write `report.html` and `report.md`.

    A run that was stopped or killed goes on where it was. After a change of settings, the stages
    that the change concerns run again; the results of others, and those of earlier settings, stay.

    Args:
        config: the experiment.
        folder: folder of the experiment; its store is in the subfolder `store`.

    Returns:
        The values that the command prints.

    Raises:
        InputError: text or task are missing or invalid, or the folder is not one of experiments.
        WorkError: a process died, or the disk is full.
    """
    stages = make_stages(config)
    Store(folder / STORE).make_folders()
    write_json(folder / LARGE_SETTINGS_FILE, config.as_dict())
    count = config.processes or available_cores()
    jobs = [(config.as_dict(), folder, number) for number in range(count)]
    run_in_processes(_run, jobs, len(stages), f"{len(stages)} stages")
    return render(folder)


def render(folder: Path) -> Dict[str, Any]:
    """Write the report from the results in the store, without training.

    Args:
        folder: folder of an experiment that has ended.

    Raises:
        InputError: there is no experiment, or a stage has no result yet.
    """
    settings = folder / LARGE_SETTINGS_FILE
    if not settings.exists():
        raise InputError(f"{folder}: holds no experiment: {LARGE_SETTINGS_FILE} is missing")
    config = LargeConfig.from_dict(read_json(settings), str(settings))
    store = Store.open(folder / STORE)
    experiment = read_experiment(store, EXPERIMENT)
    results = finished_results(store, experiment)
    write_report(make_document(config, results), folder)
    return {
        "report": str(folder / "report.html"),
        "stages": len(results),
        "seconds": round(sum(one.seconds for one in results.values()), 1),
    }


def _run(settings: Mapping[str, Any], folder: Path, number: int) -> None:
    """Run stages in a process of its own; the first process counts what is done."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    config = LargeConfig.from_dict(dict(settings), LARGE_SETTINGS_FILE)

    def on_stage(stage: str, event: str) -> None:
        if number == 0 and event in ("done", "done before"):
            advance()

    run_stages(EXPERIMENT, make_stages(config), Store(folder / STORE), on_stage=on_stage)
