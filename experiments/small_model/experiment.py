"""The whole way: checks, stages within the time, what is published, and what is told."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional

from bort.errors import WorkError
from bort.report.html.files import HTML_FILE
from bort.stages.listing import stored_results
from bort.stages.plan import read_experiment
from bort.stages.publishing import publish
from bort.stages.running import run_stages
from bort.stages.store import Result, Store
from bort.storage.files import read_json
from bort.storage.locks import hold_folder
from bort.storage.run_folder import MODEL_FOLDER, RUN_FILE
from experiments.small_model.arithmetic import ANNOUNCING_MATH
from experiments.small_model.checks import STAGES_FOLDER, check_everything, check_place
from experiments.small_model.config import SmallModelConfig
from experiments.small_model.defaults import AUTOMATIC
from experiments.small_model.findings import Findings, describe_plan
from experiments.small_model.results import read_results, write_results
from experiments.small_model.serving import CANDIDATES, SERVED_FOLDER, STAGE_EXPORT, best_candidate
from experiments.small_model.stages import small_model_stages
from experiments.small_model.statements import measured_words
from experiments.small_model.students import STAGE_STUDENT, STAGE_TEACHER
from experiments.small_model.training import unannounced

log = logging.getLogger(__name__)

SMALL_MODEL, OUTPUTS_CACHE = "small-model", "answers"


def make_small_model(
    config: SmallModelConfig,
    *,
    stop_requested: Callable[[], bool] = lambda: False,
    is_dry: bool = False,
    on_checked: Callable[[], object] = lambda: None,
) -> Dict[str, Any]:
    """Make a small model of a teacher for a task, and leave it in `config.output_dir`.

    The folder gets `model`, `run.json`, `report.html` and `report.md`. The results of the stages
    are in its subfolder `stages`: a run that was killed or stopped goes on with the same settings,
    and other settings repeat what depends on them.

    Args:
        config: teacher, task, limit and time.
        stop_requested: whether to stop; what is best by then is in `model`.
        is_dry: check everything and plan, write nothing.
        on_checked: called before the first file is written; a command catches signals from then on.

    Returns:
        The content of `run.json`, and whether the run was stopped.

    Raises:
        InputError: something is missing or bad, the limit cannot be kept, or the time is too short.
        WorkError: a training failed, or the disk is full.
    """
    folder = Path(config.output_dir)
    check_place(folder)
    with hold_folder(folder):
        findings = check_everything(config)
        for line in describe_plan(findings).splitlines():
            log.info("%s", line)
        if is_dry:
            return {"dry_run": True, **findings.as_dict()}
        on_checked()
        findings.save(folder)
        return _Run(findings.config, folder, findings).run(stop_requested)


def rewrite_results(config: SmallModelConfig) -> Dict[str, Any]:
    """Write `run.json` and the report of a finished run again, for folders that were moved.

    Args:
        config: the settings of the run, with the folders of today.

    Returns:
        The content of `run.json`.

    Raises:
        InputError: the folder holds no run, or a file is damaged.
    """
    folder = Path(config.output_dir)
    store, before = Store(folder / STAGES_FOLDER), read_json(folder / RUN_FILE)
    results = stored_results(store, read_experiment(store, SMALL_MODEL))
    planned = {
        row["stage"]: row["planned_seconds"]
        for row in before["time"]["stages"]
        if row["planned_seconds"] is not None
    }
    used = {name: before["settings"][name] for name in AUTOMATIC}
    config = dataclasses.replace(config, **used)
    findings = dict(before["findings"])
    findings["teacher"] = {**findings["teacher"], "folder": config.teacher}
    found = read_results(config.as_dict(), before["task"], results, planned, findings)
    write_results(found, folder, results)
    return found.as_dict()


class _Run:
    """A run in a folder that this process holds."""

    def __init__(self, config: SmallModelConfig, folder: Path, findings: Findings) -> None:
        self._config, self._folder = config, folder
        self._task, self._plan = findings.data, findings.plan
        self._findings = findings.as_dict()
        self._store = Store(folder / STAGES_FOLDER)

    def run(self, stop_requested: Callable[[], bool]) -> Dict[str, Any]:
        """Run the stages; see `make_small_model`."""
        answers = self._folder / OUTPUTS_CACHE
        stages = small_model_stages(self._config, self._task, self._plan, self._used, answers)
        try:
            with unannounced(ANNOUNCING_MATH):
                found = run_stages(
                    SMALL_MODEL,
                    stages,
                    self._store,
                    stop_requested=stop_requested,
                    on_stage=self._on_stage,
                )
        except WorkError as error:
            if not stop_requested():
                raise
            log.info("%s", error)  # the signal has ended a measuring process too
            found = None
        self._publish()
        results = self._write()
        if found is None:
            self._tell_stopped()
            return {**results, "stopped": True}
        shutil.rmtree(answers, ignore_errors=True)
        self._tell_result(results)
        return {**results, "stopped": False}

    def _results(self) -> Dict[str, Result]:
        return stored_results(self._store, read_experiment(self._store, SMALL_MODEL))

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
        if STAGE_EXPORT in results:
            publish(results[STAGE_EXPORT], target, part=SERVED_FOLDER, replace=True)
            return
        able = {name: results[name].folder for name in CANDIDATES if name in results}
        if STAGE_STUDENT in able:
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
            self._plan.planned(used),
            self._findings,
        )
        write_results(found, self._folder, results)
        return found.as_dict()

    def _tell_result(self, results: Mapping[str, Any]) -> None:
        for note in results["notes"]:
            log.info("%s", note)
        final, limit = results["final"], results["limit"]
        log.info(
            "%s: %s on the report split (teacher %s), %.3g ms a text (teacher %.3g ms)",
            self._folder / MODEL_FOLDER,
            _shown(final["report"]),
            _shown(results["teacher"]["report"]),
            final["latency_ms"],
            final["teacher_latency_ms"],
        )
        if limit["kept"] is False:
            log.warning("warning: the limit is not kept: it is %s", measured_words(limit))
        log.info("%s: how it came about", self._folder / HTML_FILE)
        log.info("use it from Python:\n\n%s\n", results["usage"])

    def _tell_stopped(self) -> None:
        results = self._results()
        if (self._folder / MODEL_FOLDER).exists():
            log.info("%s: the best small model so far", self._folder / MODEL_FOLDER)
        elif STAGE_TEACHER in results:
            place = results[STAGE_TEACHER].folder / MODEL_FOLDER
            log.info("%s: the fine-tuned teacher; there is no small model yet", place)
        log.info("stopped as asked; the same command goes on")


def _shown(metrics: Optional[Mapping[str, float]]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in (metrics or {}).items())
