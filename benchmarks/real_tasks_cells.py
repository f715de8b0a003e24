"""The cells of `real_tasks`: one command for a task, a speed-up and a seed, run once."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from bort.engines.protocol import FAST
from bort.formats.precisions import FP32
from bort.settings.config import Config, setting
from bort.stages.listing import stored_results
from bort.stages.plan import read_experiments
from bort.stages.store import DONE, Result, Store
from bort.storage.files import new_folder, read_json, write_json
from bort.storage.result_store import ResultStore
from bort.storage.run_folder import MODEL_FOLDER
from experiments.grid.commands import CELLS_FOLDER, GridConfig, cell_name
from experiments.grid.running import GRID_FILE, run_grid
from experiments.grid.table import RUN_DONE, RUN_FAILED

log = logging.getLogger(__name__)

_STORE_FOLDER = "stages"  # in the folder of a small model
_REPORT_FILE = "report.tsv"  # in the folder of a task

_SETS = {"lrs": [5e-5, 1e-4], "weight_decays": [0.01], "warmup_ratios": [0.1]}
"""Hyperparameter sets of Agora, as a user without days would choose them."""

_TRAININGS = 3
"""Trainings of two sets: both in the first round, the better one again in the second."""

_TAUS = ["deletion", "neighbour_swap", "span_shuffle", "part_swap"]
"""Functions that need no masked language model, which a sentence encoder is not."""


@dataclasses.dataclass(frozen=True)
class RealTasksConfig(Config):
    """Settings of the comparison."""

    teacher: str = setting(..., "folder of the encoder")
    data_dir: str = setting(
        ...,
        "folder with a folder for each task, in the official layout; a file report.tsv in it, in "
        "the format of the dev file, gives the final scores",
    )
    tasks: Tuple[str, ...] = setting(("SST-2", "CoLA", "RTE", "STS-B"), "tasks")
    speed_ups: Tuple[float, ...] = setting((2.0, 3.0, 4.0), "limits of the speed", above=1.0)
    hours: str = setting("2", "time of each small model: hours, or e.g. 90m, 45s, 1h30m")
    least_steps: int = setting(
        200, "fewest steps of a training; hours that buy fewer are refused", minimum=0
    )
    seeds: int = setting(3, "seeds of the largest speed-up; the others have one", minimum=1)
    folder: str = setting("runs/real_tasks", "folder of the cells and their results")
    agora: bool = setting(True, "run Agora without a search, too")
    max_len: int = setting(128, "longest input in tokens", minimum=8)
    precision: str = setting(
        FP32, "precision in which the limits hold; see make_small_model.py", choices=(FP32, FAST)
    )

    def cells(self) -> List[Tuple[str, float, int]]:
        """Return task, speed-up and seed of each cell, those of the first seed first."""
        first = [(task, one, 0) for task in self.tasks for one in self.speed_ups]
        largest = max(self.speed_ups)
        more = [(task, largest, seed) for seed in range(1, self.seeds) for task in self.tasks]
        return [*first, *more]


class Cells:
    """The cells in their folder; a finished one is not repeated, another one continues.

    Args:
        config: the settings.
        folder: folder of the cells.
        is_dry: run nothing.
        stop_requested: stops a cell, which continues with the next call.

    Attributes:
        failures: the last message of each cell that failed, by its name.
    """

    def __init__(
        self,
        config: RealTasksConfig,
        folder: Path,
        is_dry: bool,
        stop_requested: Callable[[], bool],
    ) -> None:
        self._config, self._folder = config, folder
        self._is_dry, self._stop_requested = is_dry, stop_requested
        self.failures: Dict[str, str] = {}

    def small(self, task: str, speed_up: float, seed: int) -> Optional[Mapping[str, Any]]:
        """Return `run.json` of a small model with the path of its folder; None if it failed."""
        settings = {
            **{"teacher": self._config.teacher, "task_name": task, "seed": seed},
            **{"data_dir": self._config.data_dir, "hours": self._config.hours},
            **{"speed_up": speed_up, "max_len": self._config.max_len},
            "least_steps": self._config.least_steps,
            **({} if self._config.precision == FP32 else {"precision": self._config.precision}),
            **self._report_file(task),
        }
        name = f"{task}-{speed_up:g}x-seed{seed}"
        out = self._folder / name / CELLS_FOLDER / cell_name(settings) / "run"
        if not self._is_dry and not out.exists():
            for other in sorted(self._folder.glob(f"{task}-*x-seed{seed}/{CELLS_FOLDER}/*/run")):
                _share_teacher(other, out)
        record = self._run(name, "make_small_model", settings)
        if record is None:
            return None
        return {**read_json(out / "run.json"), "out": str(out)}

    def agora(
        self, task: str, speed_up: float, seed: int, small: Mapping[str, Any]
    ) -> Optional[Mapping[str, Any]]:
        """Return what Agora prints for a model of the truncated teacher's size; None if it failed.

        Args:
            task: name of the task.
            speed_up: limit of the small model.
            seed: seed of the trainings.
            small: the result of `small`.
        """
        cut = small["candidates"].get("truncated")
        socrates = _teacher_of(Path(small["out"]))
        if cut is None or socrates is None:
            return None
        batch = small["settings"]["batch_size"]
        settings = {
            **{
                "task": task,
                "data_dir": self._config.data_dir,
                "socrates": str(socrates.folder / MODEL_FOLDER),
            },
            **{"initialise_from": self._config.teacher, "architecture": cut["architecture"]},
            **{"report_share": small["settings"]["report_share"], "seed": 0, "seeds": [seed]},
            **{"inputs": max(batch, cut["steps"] * batch // _TRAININGS), "batch_size": batch},
            **{"max_len": self._config.max_len, "taus": _TAUS, "replay": "none", **_SETS},
            "allow_weak_socrates": True,
            **self._report_file(task),
        }
        record = self._run(f"agora-{task}-{speed_up:g}x-seed{seed}", "run_agora", settings)
        return None if record is None else record["summary"]

    def _report_file(self, task: str) -> Dict[str, str]:
        """Return the setting for the file of the final scores of a task, if it has one."""
        path = Path(self._config.data_dir, task, _REPORT_FILE)
        return {"report_file": str(path)} if path.exists() else {}

    def _run(
        self, name: str, command: str, settings: Mapping[str, Any]
    ) -> Optional[Mapping[str, Any]]:
        """Run a command once; return its record in the results, None if it failed or stopped."""
        folder, file = self._folder / name, self._folder / f"{name}.json"
        if not self._is_dry and not self._stop_requested():
            log.info("== %s", name)
            write_json(file, {"default_parameters": dict(settings)})
            config = GridConfig(
                grid=str(file),
                command=command,
                output_dir=str(folder),
                resume=(folder / GRID_FILE).exists(),
            )
            run_grid(config, self._stop_requested)
        if not folder.is_dir():
            return None
        found: Dict[str, Any] = {}
        for record in ResultStore(folder, 0).records():
            found = dict(record.values)
        if found.get("status") == RUN_FAILED:
            self.failures[name] = str(found["error"])
        return found if found.get("status") == RUN_DONE else None


def _share_teacher(finished: Path, out: Path) -> None:
    """Copy the fine-tuned teacher of a run into a run that begins, which finds it by its key."""
    result = _teacher_of(finished)
    if result is None or out.exists():
        return
    with new_folder(out) as making:
        shutil.copytree(result.folder, making / _STORE_FOLDER / DONE / result.key)


def _teacher_of(out: Path) -> Optional[Result]:
    """Return the result of the stage that fine-tunes the teacher; None if it has none."""
    store = Store(out / _STORE_FOLDER)
    for experiment in read_experiments(store):
        result = stored_results(store, experiment).get("teacher")
        if result is not None:
            return result
    return None
