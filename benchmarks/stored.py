"""Results of a benchmark as stages of one store, made when they are asked for (docs/stages.md).

A killed benchmark continues, a changed setting repeats only what depends on it, and several
processes may share a folder: each makes what no other one makes. A folder with results of the
former form, files whose names told their settings, is not continued.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from bort.errors import InputError
from bort.stages.key import canonical_hash
from bort.stages.listing import finished_results, stored_results
from bort.stages.plan import Experiment, plan_of
from bort.stages.running import run_stages
from bort.stages.stage import Stage, StageWork
from bort.stages.store import DONE, EXPERIMENTS, WORK, Result, Store
from bort.storage.files import read_json, write_json

BENCHMARK = "benchmark"
"""Name of the experiment in the store; benchmarks with one folder share it."""

VALUE_FILE = "value.json"

Make = Callable[[StageWork], Mapping[str, Any]]
"""Returns the value of a stage, and may write further files into its folder."""


@dataclass(frozen=True)
class Basis:
    """Everything that several results depend on: parts of their stages' keys.

    Attributes:
        settings: JSON-ready settings.
        inputs: stages whose results are read, by label.
        sources: files or folders of the user, by label.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Stage] = field(default_factory=dict)
    sources: Mapping[str, Path] = field(default_factory=dict)

    def stage(
        self,
        name: str,
        make: Make,
        settings: Optional[Mapping[str, Any]] = None,
        *,
        inputs: Optional[Mapping[str, Stage]] = None,
        continues: bool = False,
    ) -> Stage:
        """Return a stage whose result is a JSON object, with files beside it.

        Args:
            name: name of the stage, unique in the folder.
            make: makes the result.
            settings: settings that change the result, beside those of the basis.
            inputs: stages that it reads, beside those of the basis.
            continues: `make` goes on with the files that a killed attempt left; by default it gets
                an empty folder.
        """

        def run(work: StageWork) -> None:
            if not continues:
                work.clear()
            write_json(work.folder / VALUE_FILE, make(work))

        return Stage(
            name,
            run,
            settings={**self.settings, **(settings or {})},
            inputs={**self.inputs, **(inputs or {})},
            sources=self.sources,
        )


class Stored:
    """The results of a benchmark in a folder, which is a store of stages.

    Args:
        folder: path of the store; created by the first result.
        is_dry: make nothing; a result that does not exist is an error.
        stop_requested: whether `run` shall stop, asked before each stage.

    Raises:
        InputError: the folder holds something else.
    """

    def __init__(
        self,
        folder: Path,
        *,
        is_dry: bool = False,
        stop_requested: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = Store(folder)
        self._is_dry, self._stop_requested = is_dry, stop_requested
        self._known: Dict[str, Result] = {}
        _refuse_other_folder(folder)

    def run(self, stages: Sequence[Stage]) -> bool:
        """Make the results of stages, and of all that they read, unless they exist.

        Returns:
            Whether all exist; False after a stop.
        """
        if self._is_dry:
            return self.finished(stages).count(None) == 0
        return self._run(stages, self._stop_requested) is not None

    def result(self, stage: Stage) -> Result:
        """Return the result of a stage after making it, and what it reads, unless they exist.

        A stage may ask for others while it runs. They are no inputs then, so its own settings must
        contain theirs.

        Raises:
            InputError: nothing may be made, and the result does not exist.
        """
        identity = _identity(stage)
        if identity not in self._known:
            if self._is_dry:
                found = finished_results(self._store, _experiment([stage]))
            else:
                made = self._run([stage], lambda: False)
                assert made is not None, "nothing stops it"
                found = made
            self._known[identity] = found[stage.name]
        return self._known[identity]

    def value(self, stage: Stage) -> Dict[str, Any]:
        """Return the value of a stage; see `result`."""
        return _value(self.result(stage))

    def finished(self, stages: Sequence[Stage]) -> List[Optional[Dict[str, Any]]]:
        """Return the values of stages in their order, None for those without a result."""
        found = stored_results(self._store, _experiment(stages))
        return [_value(found[one.name]) if one.name in found else None for one in stages]

    def _run(
        self, stages: Sequence[Stage], stop_requested: Callable[[], bool]
    ) -> Optional[Dict[str, Result]]:
        return run_stages(
            BENCHMARK,
            with_inputs(stages),
            self._store,
            stop_requested=stop_requested,
            keeps_others=True,
        )


def on_all_ranks(run: Callable[[], object]) -> bool:
    """Run something with one thread on every rank, and wait for all ranks.

    Returns:
        Whether this is rank 0, which prints the results.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    from bort.gluon.distributed import find_communicator
    from bort.ranks import wait_for_all

    communicator = find_communicator()
    run()
    wait_for_all(communicator)
    return communicator.rank == 0


def _value(result: Result) -> Dict[str, Any]:
    return dict(read_json(result.folder / VALUE_FILE))


def with_inputs(stages: Sequence[Stage]) -> List[Stage]:
    """Return stages behind all that they read; of equal ones, the first."""
    found: Dict[str, Stage] = {}

    def add(stage: Stage) -> Stage:
        identity = _identity(stage)
        if identity not in found:
            inputs = {label: add(one) for label, one in stage.inputs.items()}
            found[identity] = replace(stage, inputs=inputs)
        return found[identity]

    for stage in stages:
        add(stage)
    return list(found.values())


def _experiment(stages: Sequence[Stage]) -> Experiment:
    return Experiment(BENCHMARK, plan_of(with_inputs(stages)))


def _identity(stage: Stage) -> str:
    """Return a hash of all that a stage declares, without the contents of files."""
    inputs = {label: _identity(one) for label, one in stage.inputs.items()}
    sources = {label: str(path) for label, path in stage.sources.items()}
    return canonical_hash([stage.name, stage.version, stage.settings, inputs, sources])


def _refuse_other_folder(folder: Path) -> None:
    if (folder / EXPERIMENTS).is_dir() or not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.name not in (DONE, WORK) and not path.name.startswith("."):
            raise InputError(
                f"{folder}: holds {path.name} and is no store of stages; results of a former "
                "version are not continued, so name another folder"
            )
