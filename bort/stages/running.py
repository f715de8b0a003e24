"""`run_stages`: runs the stages of an experiment that have no result yet."""

from __future__ import annotations

import contextlib
import logging
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Set

import bort
from bort.errors import WorkError
from bort.stages.attempts import WORK_FILES, Attempts
from bort.stages.key import SHOWN_DIGITS, source_hash
from bort.stages.plan import Experiment, PlannedStage, plan_of, update_experiment
from bort.stages.stage import Stage, StageWork
from bort.stages.store import Result, Store, is_sealed
from bort.storage.files import remove_folder

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_LOOKS = 0.2


def run_stages(
    name: str,
    stages: Sequence[Stage],
    store: Store,
    *,
    stop_requested: Callable[[], bool] = lambda: False,
    on_stage: Callable[[str, str], None] = lambda stage, event: None,
    only: Optional[Sequence[str]] = None,
    keeps_others: bool = False,
) -> Optional[Dict[str, Result]]:
    """Run the stages that have no result yet, one after the other, and return all results.

    A stage that was killed, stopped or failed continues with the files that it left. Several
    processes may run experiments in one store at the same time: a stage that another process runs
    is left to it, and is taken over if that process dies.

    Args:
        name: name of the experiment.
        stages: all stages, each behind its inputs.
        store: the store.
        stop_requested: whether to stop; asked between stages, and by them.
        on_stage: called with a stage's name and "done before", "runs", "done" or "waits".
        only: names of the stages to run, with all that they depend on; by default all stages.
        keeps_others: keep the other stages that the experiment has, which other calls have run; by
            default it has these stages alone.

    Returns:
        The results by the stages' names; None if a stop was requested before all were finished.

    Raises:
        InputError: the stages do not form a plan, a record of the store is damaged, or a result was
            changed since it was made.
        WorkError: the store cannot be written.
    """
    planned = plan_of(stages)
    functions = {stage.name: stage for stage in stages}
    left = list(planned if only is None else Experiment(name, planned).with_ancestors(only))
    store.make_folders()
    with store.in_use():
        update_experiment(
            store, name, lambda one: one.with_stages(planned, keeps_others=keeps_others)
        )
        run = _Run(name, store, stop_requested, on_stage)
        while left:
            done = next((one for one in left if run.finish(one, functions[one.name])), None)
            if done is not None:
                left.remove(done)
            elif stop_requested():
                return None
            else:
                time.sleep(_SECONDS_BETWEEN_LOOKS)
    return run.results


class _Run:
    """The run of an experiment in this process.

    Attributes:
        results: the results so far, by the stages' names.
    """

    def __init__(
        self,
        experiment: str,
        store: Store,
        stop_requested: Callable[[], bool],
        on_stage: Callable[[str, str], None],
    ) -> None:
        self.results: Dict[str, Result] = {}
        self._experiment, self._store = experiment, store
        self._stop_requested, self._on_stage = stop_requested, on_stage
        self._waiting: Set[str] = set()

    def finish(self, planned: PlannedStage, stage: Stage) -> bool:
        """Return whether a stage has a result, after running it if that is possible now."""
        digests = {name: result.digest for name, result in self.results.items()}
        key = planned.key(digests)
        if key is None or self._stop_requested():
            return False
        description = planned.description(digests)
        result = self._finished_before(planned.name, key)
        if result is None:
            with self._store.hold_work(key) as work:
                if work is None:
                    self._wait(planned.name)
                    return False
                result = self._finished_before(planned.name, key)  # by the process waited for
                if result is None:
                    result = self._attempt(planned, stage, key, description, work)
        if result is None:
            return False
        self.results[planned.name] = result
        update_experiment(
            self._store,
            self._experiment,
            lambda one: one.with_finished(planned.name, result.key, description),
        )
        return True

    def _finished_before(self, name: str, key: str) -> Optional[Result]:
        result = self._store.result(key)
        if result is not None:
            result.check()
            self._say(name, "done before", key)
            self._remove_remains(key)
        return result

    def _remove_remains(self, key: str) -> None:
        """Remove what a process left that was killed between the last two steps."""
        left = (self._store.work / key, self._store.lock_of(key))
        if any(path.exists() for path in left):
            with contextlib.suppress(WorkError), self._store.hold_work(key) as work:
                if work is not None and work.exists():
                    remove_folder(work)

    def _wait(self, name: str) -> None:
        if name not in self._waiting:
            self._waiting.add(name)
            self._on_stage(name, "waits")
            log.info("stage %s: another process runs it", name)

    def _attempt(
        self,
        planned: PlannedStage,
        stage: Stage,
        key: str,
        description: Mapping[str, Any],
        work: Path,
    ) -> Optional[Result]:
        """Run a stage in its work folder; return None if it was stopped."""
        files = work / WORK_FILES
        if not is_sealed(files, key):
            looks: List[bool] = []

            def stop_requested() -> bool:
                looks.append(self._stop_requested())
                return looks[-1]

            inputs = {label: self.results[one].folder for label, one in planned.inputs.items()}
            attempts = Attempts(work)
            self._say(planned.name, "runs", key)
            with attempts.timed():
                stage.run(StageWork(files, inputs, stop_requested, dict(planned.settings)))
            if any(looks):  # it may have returned early
                log.info("stage %s: stopped", planned.name)
                return None
            for label, path in stage.sources.items():
                if source_hash(Path(path)) != planned.sources[label]:
                    raise WorkError(f"{path}: was changed while stage {planned.name} ran")
            fields = {
                "name": planned.name,
                "of": description,
                "made_by": f"bort {bort.__version__}",
                **attempts.as_dict(),
            }
            self._store.seal(files, fields)
        result = self._store.move_sealed(files, key)
        remove_folder(work)
        self._say(planned.name, "done", key)
        return result

    def _say(self, name: str, event: str, key: str) -> None:
        self._on_stage(name, event)
        log.info("stage %s: %s (%s)", name, event, key[:SHOWN_DIGITS])
