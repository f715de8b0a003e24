"""Four ways to fine-tune a small model on a task, for `agora_gain` and `agora_choices`.

Each task's files, each Socrates and each way for a task and a seed is a stage (docs/stages.md).
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import statistics
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from benchmarks.stored import on_all_ranks
from bort.agora.config import AgoraConfig
from bort.agora.hyperparameters import HyperparameterSets, grid, with_more_seeds
from bort.agora.task_data import AgoraTask
from bort.agora.timaeus_config import TimaeusConfig
from bort.errors import InputError
from bort.network.model_folder import read_description
from bort.process.stopping import StopRequest
from bort.settings.config import Config, setting
from bort.stages.running import run_stages
from bort.stages.stage import Stage, StageWork
from bort.stages.store import Result, Store
from bort.storage.files import read_json, write_json
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from data.generated_tasks.scarce import DEV_FROM, ScarceSizes, open_scarce_task, write_scarce_tasks
from data.generated_tasks.tasks import GENERATED_TASKS
from data.tasks.report_split import open_agora_task
from data.tasks.sets import open_task_data

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
_RESULT = "result.json"


def add_flags(parser: argparse.ArgumentParser, folder: str) -> None:
    """Add the flags for models and results, and those of `GainConfig`."""
    parser.add_argument(
        "--demo",
        default="runs/demo",
        help="folder of a demonstration, or any folder with teacher/, student/ and vocabulary/",
    )
    parser.add_argument("--folder", default=folder, help="folder of the store of stages")
    parser.add_argument(
        "--report_only", action="store_true", help="run nothing, print the finished results"
    )
    GainConfig.add_flags(parser.add_argument_group("comparison"))


class Arms:
    """The ways for each task and seed, as stages of an experiment.

    Args:
        gain: sizes and settings of the models.
        loop: settings of Agora.
        demo: folder with teacher/, student/ and vocabulary/, such as that of a demonstration, whose
            models are fine-tuned.
        prefix: begins the names of the stages that depend on `loop`.

    Raises:
        InputError: the models are missing.
    """

    def __init__(self, gain: GainConfig, loop: AgoraConfig, demo: Path, prefix: str = "") -> None:
        from bort.text.vocabularies import load_vocabulary

        for name in ("teacher", "student"):
            if not (demo / name / "model.json").is_file():
                raise InputError(f"{demo / name}: holds no model; run ./run_demo.sh first")
        self.gain, self.loop = gain, loop
        self._demo, self._prefix = demo, prefix
        self._vocabulary = load_vocabulary(demo / "vocabulary")

    def shared_stages(self) -> List[Stage]:
        """Return the stages that do not depend on `loop`: the tasks' files, and Socrates."""
        found = []
        for task in self.gain.tasks:
            files = self._files_stage(task)
            found += [*files.values(), self._socrates_stage(task, files)]
        return found

    def own_stages(self, shared: Sequence[Stage]) -> List[Stage]:
        """Return a stage for each seed, task and way.

        Args:
            shared: the stages of `shared_stages`.
        """
        by_name = {stage.name: stage for stage in shared}
        found = []
        for seed in range(self.gain.seeds):
            for task in self.gain.tasks:
                inputs = {
                    label: by_name[f"{label}-{task}"]
                    for label in ("files", "socrates")
                    if f"{label}-{task}" in by_name
                }
                agora = self._arm_stage(task, seed, "agora", inputs)
                for arm in self.gain.arms:
                    if arm == "agora":
                        found.append(agora)
                    elif arm != "gold" or task in GENERATED_TASKS:  # others have all gold labels
                        found.append(self._arm_stage(task, seed, arm, {**inputs, "agora": agora}))
        return found

    # --- data and Socrates

    def _files_stage(self, task: str) -> Dict[str, Stage]:
        """Return the stage of a generated task's files; official tasks have none."""
        gain = self.gain
        if task not in GENERATED_TASKS:
            return {}
        sizes = ScarceSizes(
            gain.train_size,
            gain.dev_size,
            gain.report_size,
            gain.socrates_size,
            gain.seeds,
            gain.positive_share,
            gain.dev_from,
        )

        def run(work: StageWork) -> None:
            if not (work.folder / "files").is_dir():
                write_scarce_tasks(work.folder / "files", task, sizes, gain.data_seed)

        settings = {"task": task, "seed": gain.data_seed, **dataclasses.asdict(sizes)}
        return {"files": Stage(f"files-{task}", run, settings=settings, kind="scarce-task")}

    def _socrates_stage(self, task: str, files: Mapping[str, Stage]) -> Stage:
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

        def run(work: StageWork) -> None:
            from bort.gluon.agora.sample import make_socrates

            if not (work.folder / "model").is_dir():
                data = self._task(task, "gold-0", work).data
                make_socrates(work.folder / "model", data, self._demo / "teacher", config)

        return Stage(
            f"socrates-{task}",
            run,
            settings={"finetuning": config.results_settings(), **self._data_settings(task)},
            inputs=files,
            sources=self._sources("teacher", "vocabulary"),
            kind="socrates",
        )

    def _task(self, task: str, name: str, work: StageWork) -> AgoraTask:
        gain = self.gain
        if task in GENERATED_TASKS:
            files = work.inputs["files"] / "files"
            return open_scarce_task(files, task, name, self._vocabulary, gain.max_len)
        data = open_task_data(
            get_task(task), self._vocabulary, TaskOptions(), gain.max_len, data_dir=gain.data_dir
        )
        return open_agora_task(data, gain.max_len, share=0.2, seed=gain.data_seed)

    def _data_settings(self, task: str) -> Dict[str, Any]:
        gain = self.gain
        official = {} if task in GENERATED_TASKS else {"data_dir": gain.data_dir}
        return {"task": task, "max_len": gain.max_len, "data_seed": gain.data_seed, **official}

    def _sources(self, *names: str) -> Dict[str, Path]:
        return {name: self._demo / name for name in names}

    # --- the four ways

    def _arm_stage(self, task: str, seed: int, arm: str, inputs: Mapping[str, Stage]) -> Stage:
        loop = dataclasses.replace(
            # On some tasks Socrates is weak, and the results shall show it.
            self.loop,
            seed=self.loop.seed + seed,
            allow_weak_socrates=True,
        )

        def run(work: StageWork) -> None:
            if (work.folder / _RESULT).is_file():
                return
            runs = work.folder / "runs"
            if arm == "agora":
                result = self._agora(task, seed, loop, runs, work)
            else:
                result = self._baseline(task, seed, arm, runs, work)
            if result is not None:
                write_json(work.folder / _RESULT, result)
                shutil.rmtree(runs, ignore_errors=True)

        settings = {
            "seed": seed,
            "sets": [dataclasses.asdict(one) for one in self._sets(task, seed)],
            "timaeus": self._timaeus.results_settings(),
            **self._data_settings(task),
            **({"loop": loop.results_settings()} if arm == "agora" else {}),
        }
        return Stage(
            self.stage_name(task, seed, arm),
            run,
            settings=settings,
            inputs=inputs,
            sources=self._sources("student", "teacher", "vocabulary"),
            kind=arm,
        )

    def stage_name(self, task: str, seed: int, arm: str) -> str:
        """Return the name of a way's stage."""
        return f"{self._prefix}{arm}-{task}-{seed}"

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

    def _agora(
        self, task: str, seed: int, loop: AgoraConfig, runs: Path, work: StageWork
    ) -> Optional[Dict[str, Any]]:
        from bort.gluon.agora.plan import AGORA_SETTINGS_FILE, AgoraPlan
        from bort.gluon.agora.run import run_agora_in_folder
        from bort.gluon.finetuning.starting_point import StartingPoint
        from bort.ranks import SingleProcess

        plan = AgoraPlan(
            loop,
            self._timaeus,
            self._sets(task, seed),
            self._task(task, f"seed-{seed}", work),
            StartingPoint(str(self._demo / "student"), ""),
            work.inputs["socrates"] / "model",
            str(self._demo / "teacher"),
            runs,
        )
        result = run_agora_in_folder(
            plan,
            SingleProcess(),
            resume=(runs / AGORA_SETTINGS_FILE).is_file(),
            stop_requested=work.stop_requested,
        )
        if result["stopped"]:
            return None
        return {
            "dev_score": result["dev"]["mean"],
            "report_score": result["report"]["mean"],
            "trainings": result["trainings"],
            "points": sum(result["training_points"].values()),
            "iterations": read_json(runs / "iterations.json"),
        }

    def _baseline(
        self, task: str, seed: int, arm: str, runs: Path, work: StageWork
    ) -> Optional[Dict[str, Any]]:
        import mxnet as mx

        from bort.gluon.agora.baselines import best_of, labelled_by
        from bort.gluon.agora.models import GluonSocrates
        from bort.gluon.finetuning.starting_point import StartingPoint

        mine = self._task(task, f"gold-{seed}" if arm == "gold" else f"seed-{seed}", work)
        sets = self._sets(task, seed)
        points = mine.training
        if arm != "gold":
            agora = read_json(work.inputs["agora"] / _RESULT)
            sets = with_more_seeds(sets, agora["trainings"])
        if arm == "distilled":
            socrates = GluonSocrates(work.inputs["socrates"] / "model", mine.data.record, mine.form)
            points = labelled_by(socrates, points)
        found = best_of(
            mine,
            StartingPoint(str(self._demo / "student"), ""),
            self._timaeus,
            sets,
            points,
            runs,
            mx.cpu(),
            stop_requested=work.stop_requested,
        )
        if found is None:
            return None
        # Seconds would make each result another one, and what depends on it would run again.
        return {k: v for k, v in dataclasses.asdict(found).items() if k != "seconds"}

    # --- results

    def found(
        self, results: Mapping[str, Result], task: str, arm: str
    ) -> Dict[int, Dict[str, Any]]:
        """Return the finished results of one way by seed, with their seconds.

        Args:
            results: finished results by the names of the stages.
            task: the task.
            arm: the way.
        """
        names = {seed: self.stage_name(task, seed, arm) for seed in range(self.gain.seeds)}
        found = {seed: results[name] for seed, name in names.items() if name in results}
        return {
            seed: {**read_json(one.folder / _RESULT), "seconds": one.seconds}
            for seed, one in found.items()
        }


def socrates_score(results: Mapping[str, Result], task: str) -> Mapping[str, float]:
    """Return the dev scores of Socrates, or nothing if it is not finished."""
    name = f"socrates-{task}"
    return read_description(results[name].folder / "model").metrics if name in results else {}


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


def run_shared_stages(name: str, stages: Sequence[Stage], folder: Path, stop: StopRequest) -> bool:
    """Run stages on all ranks: each runs what no other one runs.

    Args:
        name: name of the experiment.
        stages: its stages.
        folder: folder of the store.
        stop: the request to stop.

    Returns:
        Whether this is rank 0, which prints the results.
    """
    return on_all_ranks(
        lambda: run_stages(name, stages, Store(folder), stop_requested=stop.requested)
    )
