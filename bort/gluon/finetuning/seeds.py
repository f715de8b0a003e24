"""Fine-tuning with one or several seeds: the folder and the time of each run, and their scores."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Callable, Dict, Optional

import numpy as np

from bort.errors import InputError
from bort.gluon.finetuning.run import run_finetuning
from bort.gluon.finetuning.starting_point import StartingPoint
from bort.gluon.finetuning.task_teacher import OUTPUTS_FOLDER
from bort.gluon.training.checkpoint import checkpoint_steps
from bort.process.lifetime import seconds_since_start
from bort.ranks import Communicator
from bort.storage.run_folder import RUN_FILE, STARTING_FILE
from bort.tasks.judging import TaskData
from bort.text.pair_form import PairForm, pair_form_of_run
from bort.training.finetuning_config import FinetuningConfig, seed_folder


def run_seeds(
    data: TaskData,
    start: StartingPoint,
    config: FinetuningConfig,
    folder: Path,
    communicator: Communicator,
    *,
    seeds: int,
    teacher: Optional[str] = None,
    resume: bool = False,
    cpu_only: bool = True,
    replay: Optional[str] = None,
    stop_requested: Callable[[], bool] = lambda: False,
) -> Dict[str, Any]:
    """Run `run_finetuning` in `folder` for one seed, or in `folder`/seed-<n> for each of several.

    Several seeds share the time of `config.budget` equally. Each counts from the end of the one
    before; the first that is not finished counts from the start of the process.

    Args:
        data, start, config, folder, communicator: see `run_finetuning`; `config.seed` is the first
            seed.
        seeds: number of seeds, at least 1.
        teacher: see `run_finetuning`; all seeds use the same outputs of the teacher.
        resume, cpu_only, replay, stop_requested: see `run_finetuning`; the runs of seeds that have
            not begun start at step 0.

    Returns:
        The summary of the seed with the best dev score. For several seeds it has `dev`: mean,
        sample standard deviation and values of every metric.

    Raises:
        InputError: several seeds would repeat the steps of one run.
    """
    if seeds > 1 and replay is not None:
        raise InputError(
            f"replay is {replay!r} and seeds is {seeds}, allowed is 1 seed with replay"
        )
    options: Dict[str, Any] = {
        "teacher": teacher,
        "outputs_folder": folder / OUTPUTS_FOLDER,
        "resume": resume,
        "cpu_only": cpu_only,
        "replay": replay,
        "stop_requested": stop_requested,
    }
    if seeds == 1:
        return run_finetuning(data, start, config, folder, communicator, **options)
    config = dataclasses.replace(config, budget=config.budget.shared_by(seeds))
    summaries, before = [], 0.0
    for seed in range(config.seed, config.seed + seeds):
        place = seed_folder(folder, seed)
        settings = dataclasses.replace(config, seed=seed)
        done = checkpoint_steps(place)[-1:]
        summaries.append(
            run_finetuning(
                data, start, settings, place, communicator, seconds_before=before, **options
            )
        )
        if checkpoint_steps(place)[-1:] != done:
            before = seconds_since_start()
        if summaries[-1]["stopped"]:
            return summaries[-1]
    best = max(summaries, key=lambda summary: summary["best"]["mean"])
    metrics = {
        name: [summary["best"]["metrics"][name] for summary in summaries]
        for name in best["best"]["metrics"]
    }
    dev = {
        name: {"mean": float(np.mean(v)), "deviation": float(np.std(v, ddof=1)), "values": v}
        for name, v in metrics.items()
    }
    return {**best, "dev": dev}


def pair_form_to_resume(folder: Path) -> Optional[PairForm]:
    """Return the form of pairs that the run in a folder was begun with, also for several seeds.

    Returns:
        None if there is no run yet.

    Raises:
        InputError: the record of the run is damaged.
    """
    for record in (folder / RUN_FILE, *sorted(folder.glob(f"seed-*/{RUN_FILE}"))):
        if (record.parent / STARTING_FILE).exists():
            continue  # it has no checkpoint, so a new run replaces it
        found = pair_form_of_run(record)
        if found is not None:
            return found
    return None
