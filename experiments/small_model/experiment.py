"""The whole way: checks, stages within the time, what is published, and what is told."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Mapping

from bort.errors import InputError
from bort.formats.network_folder import read_folder_description
from bort.stages.listing import stored_results
from bort.stages.plan import read_experiment
from bort.stages.publishing import publish
from bort.stages.running import run_stages
from bort.stages.store import Result, Store
from bort.storage.files import write_json
from bort.storage.json_fields import read_fields
from bort.storage.locks import RUN_LOCK, hold_folder
from bort.storage.run_folder import MODEL_FOLDER
from data.tasks.own_description import resolve_task
from experiments.small_model.config import (
    AGORA_ALWAYS,
    AGORA_AUTO,
    AGORA_ROWS,
    SmallModelConfig,
)
from experiments.small_model.plan import TimePlan, make_time_plan
from experiments.small_model.results import read_results, write_results
from experiments.small_model.serving import CANDIDATES, EXPORT, SERVED_FOLDER, best_candidate
from experiments.small_model.stages import small_model_stages
from experiments.small_model.students import STUDENT, TEACHER
from experiments.small_model.task import SmallTask, open_small_task

log = logging.getLogger(__name__)

EXPERIMENT, STORE_FOLDER, ANSWERS_FOLDER = "small-model", "stages", "answers"
_MARK = "settings.json"


def make_small_model(
    config: SmallModelConfig,
    *,
    stop_requested: Callable[[], bool] = lambda: False,
    is_dry: bool = False,
) -> Dict[str, Any]:
    """Make a small model of a teacher for a task, and leave it in `config.output_dir`.

    The folder gets `model`, `run.json`, `report.html` and `report.md`. The results of the stages
    are in its subfolder `stages`: a run that was killed or stopped goes on with the same settings,
    and other settings repeat what depends on them.

    Args:
        config: teacher, task, limit and time.
        stop_requested: whether to stop; what is best by then is in `model`.
        is_dry: check everything and plan, write nothing.

    Returns:
        The content of `run.json`, and whether the run was stopped.

    Raises:
        InputError: something is missing or bad, the limit cannot be kept, or the time is too short.
        WorkError: a training failed, or the disk is full.
    """
    folder = Path(config.output_dir)
    with hold_folder(folder):
        _check_folder(folder)
        record = resolve_task(config.task_name, config.own_data)
        task = open_small_task(record, config)
        plan = plan_of_run(config, task)
        for line in plan.table().splitlines():
            log.info("%s", line)
        if is_dry:
            return {"dry_run": True, "planned": plan.expected({})}
        write_json(folder / _MARK, config.as_dict())
        return _Run(config, folder, task, plan).run(stop_requested)


def plan_of_run(config: SmallModelConfig, task: SmallTask) -> TimePlan:
    """Return which stages a run has, and the time of each."""
    is_scarce = len(task.data.train.items) <= AGORA_ROWS and config.agora == AGORA_AUTO
    return make_time_plan(
        config.seconds,
        trains_teacher=read_folder_description(config.teacher).head is None,
        with_baseline=config.baseline,
        with_agora=is_scarce or config.agora == AGORA_ALWAYS,
    )


class _Run:
    """A run in a folder that this process holds."""

    def __init__(
        self, config: SmallModelConfig, folder: Path, task: SmallTask, plan: TimePlan
    ) -> None:
        self._config, self._folder, self._task, self._plan = config, folder, task, plan
        self._findings: Mapping[str, Any] = {}
        self._store = Store(folder / STORE_FOLDER)

    def run(self, stop_requested: Callable[[], bool]) -> Dict[str, Any]:
        """Run the stages; see `make_small_model`."""
        answers = self._folder / ANSWERS_FOLDER
        stages = small_model_stages(self._config, self._task, self._plan, self._used, answers)
        found = run_stages(
            EXPERIMENT,
            stages,
            self._store,
            stop_requested=stop_requested,
            on_stage=self._on_stage,
        )
        self._publish()
        results = self._write()
        if found is None:
            self._tell_stopped()
            return {**results, "stopped": True}
        shutil.rmtree(answers, ignore_errors=True)
        return {**results, "stopped": False}

    def _results(self) -> Dict[str, Result]:
        return stored_results(self._store, read_experiment(self._store, EXPERIMENT))

    def _used(self) -> Dict[str, float]:
        return {name: result.seconds for name, result in self._results().items()}

    def _on_stage(self, stage: str, event: str) -> None:
        if event == "runs":
            log.info("== %s", self._plan.describe(stage, self._used()))
        elif event == "done":
            self._publish()
            self._write()

    def _publish(self) -> None:
        """Put the best model so far into its place."""
        results, target = self._results(), self._folder / MODEL_FOLDER
        if EXPORT in results:
            publish(results[EXPORT], target, part=SERVED_FOLDER, replace=True)
            return
        able = {name: results[name].folder for name in CANDIDATES if name in results}
        if STUDENT in able:
            publish(results[best_candidate(able)], target, part=MODEL_FOLDER, replace=True)
        elif target.exists():  # of other settings
            shutil.rmtree(target)

    def _write(self) -> Dict[str, Any]:
        results = self._results()
        used = {name: result.seconds for name, result in results.items()}
        found = read_results(
            self._config.as_dict(),
            self._task.described(),
            results,
            {name: self._plan.seconds_for(name, used) for name in self._plan.stages},
            self._findings,
        )
        write_results(found, self._folder, results)
        return found.as_dict()

    def _tell_stopped(self) -> None:
        results = self._results()
        if (self._folder / MODEL_FOLDER).exists():
            log.info("%s: the best small model so far", self._folder / MODEL_FOLDER)
        elif TEACHER in results:
            place = results[TEACHER].folder / MODEL_FOLDER
            log.info("%s: the fine-tuned teacher; there is no small model yet", place)
        log.info("stopped as asked; the same command goes on")


def _check_folder(folder: Path) -> None:
    """Check that a folder is empty or holds a run.

    Raises:
        InputError: the folder holds something else.
    """
    if all(path.name == RUN_LOCK for path in folder.iterdir()):
        return
    mark = folder / _MARK
    if not mark.is_file() or not read_fields(mark).has("speed_up"):
        raise InputError(f"{folder}: is not empty and holds no small model; name another folder")
