"""Four ways to fine-tune a small model on a task, for `agora_gain` and `agora_choices`.

The result of each way is saved when it is finished.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import shutil
import statistics
import time
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple

from bort.agora.config import AgoraConfig
from bort.agora.hyperparameters import HyperparameterSets, grid, with_more_seeds
from bort.agora.task_data import AgoraTask
from bort.agora.timaeus_config import TimaeusConfig
from bort.errors import InputError
from bort.network.model_folder import read_description
from bort.process.stopping import StopRequest
from bort.settings.config import Config, setting
from bort.storage.files import read_json, write_json
from bort.storage.run_claim import claim_folder
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from data.generated_tasks.scarce import DEV_FROM, ScarceSizes, open_scarce_task, write_scarce_tasks
from data.generated_tasks.tasks import GENERATED_TASKS
from data.tasks.report_split import open_agora_task
from data.tasks.sets import open_task_data

log = logging.getLogger(__name__)

ARMS = ("agora", "plain", "distilled", "gold")


@dataclasses.dataclass(frozen=True)
class GainConfig(Config):
    """Settings of the comparison."""

    tasks: Tuple[str, ...] = setting(
        ("acceptability", "actor", "order"),
        "generated or official tasks; official tasks keep their sizes: the report split is a fifth "
        "of the training file, all models train on the rest, and runs differ only in their seeds",
    )
    data_dir: Optional[str] = setting(None, "folder of the official tasks' files")
    seeds: int = setting(8, "seeds per task, of data, order and tau", minimum=2)
    train_size: int = setting(100, "gold training examples for Timaeus", minimum=8)
    dev_size: int = setting(200, "dev examples", minimum=8)
    report_size: int = setting(1_000, "report examples", minimum=8)
    socrates_size: int = setting(4_000, "gold training examples for Socrates", minimum=8)
    positive_share: float = setting(0.5, "share of label 1", minimum=0.0, maximum=1.0)
    socrates_epochs: int = setting(6, "training epochs of Socrates", minimum=1)
    socrates_lr: float = setting(4e-4, "learning rate of Socrates", above=0.0)
    lrs: Tuple[float, ...] = setting(
        (1e-3, 5e-4), "learning rates of the hyperparameter sets", above=0.0
    )
    set_seeds: int = setting(2, "number of seeds of the hyperparameter sets", minimum=1)
    inputs: int = setting(
        3_000, "inputs in each training of Timaeus, repeated ones included", minimum=1
    )
    batch_size: int = setting(16, "inputs per step", minimum=1)
    max_len: int = setting(64, "maximum tokens in an input", minimum=8)
    arms: Tuple[str, ...] = setting(ARMS, "ways to run", choices=ARMS)
    data_seed: int = setting(0, "seed of all examples", minimum=0)
    dev_from: str = setting(
        "any",
        "source of the dev examples: any, or the shortest out of eight times as many, which "
        "represent the other splits less well",
        choices=DEV_FROM,
    )


_APART = 1_000  # larger than the number of trainings
_GROWING = ("tasks", "arms")
"""Settings that may differ between calls with the same folder."""


def add_flags(parser: argparse.ArgumentParser, folder: str) -> None:
    """Add the flags for models and results, and those of `GainConfig`."""
    parser.add_argument(
        "--demo",
        default="runs/demo",
        help="folder of a demonstration, or any folder with teacher/, student/ and vocabulary/",
    )
    parser.add_argument("--folder", default=folder, help="output folder")
    parser.add_argument(
        "--report_only", action="store_true", help="run nothing, print the finished results"
    )
    GainConfig.add_flags(parser.add_argument_group("comparison"))


class Arms:
    """The ways for each task and seed, with a folder of finished results.

    Args:
        gain: sizes and settings of the models.
        loop: settings of Agora.
        demo: folder with teacher/, student/ and vocabulary/, such as that of a demonstration, whose
            models are fine-tuned.
        folder: folder for the files of the tasks and for Socrates.
        stop: the request to stop, checked between trainings.
        results: folder for the results; by default `folder`.

    Raises:
        InputError: the models are missing, or a folder holds results of other settings.
    """

    def __init__(
        self,
        gain: GainConfig,
        loop: AgoraConfig,
        demo: Path,
        folder: Path,
        stop: StopRequest,
        results: Optional[Path] = None,
    ) -> None:
        from bort.text.vocabularies import load_vocabulary

        for name in ("teacher", "student"):
            if not (demo / name / "model.json").is_file():
                raise InputError(f"{demo / name}: holds no model; run ./run_demo.sh first")
        self.gain, self.loop, self.stop = gain, loop, stop
        self.folder, self.results = folder, results or folder
        self.student, self.teacher = demo / "student", demo / "teacher"
        self.vocabulary = load_vocabulary(demo / "vocabulary")
        of_data = {k: v for k, v in gain.as_dict().items() if k not in _GROWING}
        claim(self.folder, "settings.json", of_data, gain.defaults())
        claim(self.results, "agora_settings.json", loop.results_settings(), loop.defaults())

    def prepare_all(self) -> None:
        """Make the files and Socrates of each task, unless they exist."""
        for task in self.gain.tasks:
            self._write_task(task)
            self._train_socrates(task)

    # --- data

    def _write_task(self, task: str) -> None:
        target, gain = self.folder / task / "files", self.gain
        if task in GENERATED_TASKS and not target.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            sizes = ScarceSizes(
                gain.train_size,
                gain.dev_size,
                gain.report_size,
                gain.socrates_size,
                gain.seeds,
                gain.positive_share,
                gain.dev_from,
            )
            write_scarce_tasks(target, task, sizes, gain.data_seed)

    def _task(self, task: str, name: str) -> AgoraTask:
        gain = self.gain
        if task in GENERATED_TASKS:
            files = self.folder / task / "files"
            return open_scarce_task(files, task, name, self.vocabulary, gain.max_len)
        data = open_task_data(
            get_task(task), self.vocabulary, TaskOptions(), gain.max_len, data_dir=gain.data_dir
        )
        return open_agora_task(data, gain.max_len, share=0.2, seed=gain.data_seed)

    # --- models

    def _train_socrates(self, task: str) -> None:
        from bort.gluon.agora.sample import make_socrates
        from bort.training.finetuning_config import FinetuningConfig

        gain = self.gain
        config = FinetuningConfig(
            epochs=gain.socrates_epochs,
            lr=gain.socrates_lr,
            weight_decay=0.01,
            warmup_ratio=0.1,
            batch_size=32,
            max_len=gain.max_len,
        )
        if not self._socrates(task).is_dir():
            data = self._task(task, "gold-0").data
            make_socrates(self._socrates(task), data, self.teacher, config)

    def _socrates(self, task: str) -> Path:
        return self.folder / task / "socrates"

    # --- the four ways

    def measure(self, task: str, seed: int) -> None:
        """Run all ways for one task and seed, and save the result of each when it is finished."""
        for arm in ARMS:
            path = self._result(task, seed, arm)
            if arm not in self.gain.arms or path.is_file() or self.stop.requested():
                continue
            if arm == "gold" and task not in GENERATED_TASKS:
                continue  # all ways have all gold labels
            work = self.results / task / "work" / f"{seed}-{arm}"
            result = self._agora(task, seed, work) if arm == "agora" else None
            if arm != "agora":
                result = self._baseline(task, seed, arm, work)
            if result is None:
                return
            log.info(
                "%s, seed %d, %s: dev %.4f, report %.4f (%d trainings, %.0f s)",
                *(task, seed, arm, result["dev_score"], result["report_score"]),
                *(result["trainings"], result["seconds"]),
            )
            write_json(path, result)
            shutil.rmtree(work, ignore_errors=True)

    def _sets(self, task: str, seed: int) -> HyperparameterSets:
        # The data of an official task do not depend on the seed, so the trainings must.
        first = 0 if task in GENERATED_TASKS else seed * _APART
        seeds = range(first, first + self.gain.set_seeds)
        return grid(seeds, self.gain.lrs, (0.01,), (0.1,))

    @property
    def _timaeus(self) -> TimaeusConfig:
        gain = self.gain
        return TimaeusConfig(
            inputs=gain.inputs,
            batch_size=gain.batch_size,
            max_len=gain.max_len,
            batch_size_eval=256,
        )

    def _agora(self, task: str, seed: int, work: Path) -> Optional[Dict[str, Any]]:
        from bort.gluon.agora.plan import AGORA_SETTINGS_FILE, AgoraPlan
        from bort.gluon.agora.run import run_agora_in_folder
        from bort.gluon.finetuning.starting_point import StartingPoint
        from bort.ranks import SingleProcess

        began = time.perf_counter()
        plan = AgoraPlan(
            # On some tasks Socrates is weak, and the results shall show it.
            dataclasses.replace(self.loop, seed=self.loop.seed + seed, allow_weak_socrates=True),
            self._timaeus,
            self._sets(task, seed),
            self._task(task, f"seed-{seed}"),
            StartingPoint(str(self.student), ""),
            self._socrates(task),
            str(self.teacher),
            work,
        )
        result = run_agora_in_folder(
            plan,
            SingleProcess(),
            resume=(work / AGORA_SETTINGS_FILE).is_file(),
            stop_requested=self.stop.requested,
        )
        if result["stopped"]:
            return None
        return {
            "dev_score": result["dev"]["mean"],
            "report_score": result["report"]["mean"],
            "trainings": result["trainings"],
            "points": sum(result["training_points"].values()),
            "seconds": time.perf_counter() - began,
            "iterations": read_json(work / "iterations.json"),
        }

    def _baseline(self, task: str, seed: int, arm: str, work: Path) -> Optional[Dict[str, Any]]:
        import mxnet as mx

        from bort.gluon.agora.baselines import best_of, labelled_by
        from bort.gluon.agora.models import GluonSocrates
        from bort.gluon.finetuning.starting_point import StartingPoint

        mine = self._task(task, f"gold-{seed}" if arm == "gold" else f"seed-{seed}")
        sets = self._sets(task, seed)
        points = mine.training
        if arm != "gold":
            agora = read_json(self._result(task, seed, "agora"))
            sets = with_more_seeds(sets, agora["trainings"])
        if arm == "distilled":
            socrates = GluonSocrates(self._socrates(task), mine.data.record, mine.form)
            points = labelled_by(socrates, points)
        found = best_of(
            mine,
            StartingPoint(str(self.student), ""),
            self._timaeus,
            sets,
            points,
            work,
            mx.cpu(),
            stop_requested=self.stop.requested,
        )
        return None if found is None else dataclasses.asdict(found)

    def found(self, task: str, arm: str) -> Dict[int, Mapping[str, Any]]:
        """Return the finished results of one way by seed."""
        paths = {seed: self._result(task, seed, arm) for seed in range(self.gain.seeds)}
        return {seed: read_json(path) for seed, path in paths.items() if path.is_file()}

    def socrates_score(self, task: str) -> Mapping[str, float]:
        """Return the dev scores of Socrates."""
        return read_description(self._socrates(task)).metrics

    def _result(self, task: str, seed: int, arm: str) -> Path:
        return self.results / task / "results" / f"{seed}-{arm}.json"


def in_short(results: Sequence[Mapping[str, Any]]) -> Dict[str, Any]:
    """Return means over the seeds, the deviation of the report score, and the total minutes."""
    report = [float(one["report_score"]) for one in results]
    return {
        "report": statistics.mean(report),
        "deviation": statistics.stdev(report) if len(report) > 1 else None,
        "dev": statistics.mean(float(one["dev_score"]) for one in results),
        "trainings": statistics.mean(float(one["trainings"]) for one in results),
        "points": statistics.mean(float(one["points"]) for one in results),
        "minutes": sum(float(one["seconds"]) for one in results) / 60,
        "seeds": len(results),
    }


def run_units(
    units: Sequence[Any],
    measure: Callable[[Any], None],
    prepare: Callable[[], None],
    stop: StopRequest,
) -> bool:
    """Divide units of work among the ranks, after rank 0 has called `prepare`.

    Args:
        units: the units of work.
        measure: called with each unit of this rank.
        prepare: called on rank 0 before all units.
        stop: the request to stop, checked between units.

    Returns:
        Whether this is rank 0, which prints the results.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    from bort.gluon.distributed import find_communicator
    from bort.ranks import on_rank_0, own_share, wait_for_all

    communicator = find_communicator()
    on_rank_0(communicator, prepare)
    own = own_share(communicator, units)
    for done, unit in enumerate(own):
        if stop.requested():
            break
        measure(unit)
        log.info("rank %d: finished %d of %d units", communicator.rank, done + 1, len(own))
    wait_for_all(communicator)
    return communicator.rank == 0


def claim(
    folder: Path, name: str, settings: Mapping[str, Any], defaults: Mapping[str, Any]
) -> None:
    """Begin a comparison in `folder`, or continue the one that it holds."""
    begun = (folder / name).is_file()
    claim_folder(folder, name, settings, "comparison", begun, defaults=defaults)
