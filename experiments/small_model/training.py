"""The trainings of a small model by the clock: settings, trials, and the models they leave."""

from __future__ import annotations

import contextlib
import logging
import math
import shutil
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Sequence

from bort.errors import WorkError
from bort.gluon.finetuning.run import run_finetuning
from bort.gluon.finetuning.starting_point import StartingPoint
from bort.gluon.training.checkpoint import checkpoint_steps
from bort.network.head import RELEASE, HeadDescription
from bort.process.lifetime import seconds_since_start
from bort.ranks import ALONE
from bort.storage.files import new_folder, read_json, remove_folder, write_json
from bort.storage.json_fields import JsonFields
from bort.storage.run_folder import MODEL_FOLDER
from bort.tasks.judging import TaskData
from bort.training.finetuning_config import FinetuningConfig
from bort.training.importance_config import ImportanceConfig
from bort.training.used_seconds import SECONDS_FILE
from experiments.small_model.arithmetic import training_math
from experiments.small_model.config import SmallModelConfig
from experiments.small_model.job import StageJob
from experiments.small_model.plan import PAUSES

log = logging.getLogger(__name__)

RUN_FOLDER, TRAINED_FOLDER, START_FOLDER = "run", "trained", "start"
"""Folders in a stage's work, removed when it has its scores: a training, a fine-tuned teacher, the
first weights of a student."""

NETWORK_FOLDER = "super_network"
"""Folder of the super-network in its stage's result."""

EXPORTS_FOLDER = "exports"
"""Folder of all exports in the export's work; what serves is kept."""

GRANTED_FILE = "granted-seconds.json"
"""File in a stage's work with the seconds that its training may take."""

MOST_EPOCHS = 100
"""Most epochs of a student. It learns soft labels, so more epochs cost time rather than score."""

_TEACHER_EXAMPLES, _TEACHER_EPOCHS = 60_000, (3, 20)
"""A teacher sees about so many examples, in 3 to 20 epochs. arXiv 1810.04805 has 2 to 4 for large
tasks; small encoders and small tasks need more (docs/benchmarks.md, "The recipe of a small
model"). Our assumption."""

_ANNOUNCING = (
    "bort.gluon.finetuning.folder_run",
    "bort.gluon.training.loop",
    "bort.storage.run_folder",
    "bort.teacher.keeping_features",
    "bort.training.time_budget",
)
"""Loggers that tell of the beginning and the end of a training, which a trial is not."""

_CLAIMING = ("bort.storage.run_claim", "bort.storage.run_folder")
"""Loggers that tell of the settings which a continued training changes, and where it begins."""

_OF_A_BATCH = 600.0
_TRIAL_SECONDS, _TRIAL_SHARE, _UNTIMED_STEPS = 10.0, 0.1, 2


def recipe(config: SmallModelConfig, seconds: float) -> Dict[str, Any]:
    """Return the settings that all trainings share.

    They gave the best scores in the comparison of students of a fine-tuned encoder
    (docs/benchmarks.md), but for the optimizer: AdamW, since BERTAdam does not correct its first
    steps, which harms fine-tunings of some hundred steps (arXiv 2006.05987).

    Args:
        config: seed, batch size and arithmetic.
        seconds: time of the training.
    """
    return {
        "seed": config.seed,
        "batch_size": config.inputs_in_a_step,
        "math": training_math(config),
        "freeze_embeddings": config.freeze_embeddings,
        "optimizer": "adamw",
        "warmup_ratio": 0.1,
        "weight_decay": 0.01,
        "dropout": 0.1,
        "num_buckets": 4,
        "ckpt_interval": 500,
        "keep_checkpoints": 1,
        "batch_size_eval": 32,
        "hours": as_hours(seconds),
    }


def as_hours(seconds: float) -> str:
    """Return seconds as a setting; a stage without time makes a step."""
    return f"{max(1.0, seconds):.3f}s"


def importance_batches(config: SmallModelConfig) -> int:
    """Return the batches on which the importance of the teacher's parts is measured.

    A batch of 2,048 tokens takes seconds on a core, so a run of minutes has fewer of them.
    """
    return min(ImportanceConfig().importance_batches, max(1, int(config.seconds / _OF_A_BATCH)))


def teacher_epochs(examples: int) -> int:
    """Return the epochs of a teacher's fine-tuning.

    >>> [teacher_epochs(rows) for rows in (100, 6_592, 67_349)]
    [20, 9, 3]
    """
    least, most = _TEACHER_EPOCHS
    return min(most, max(least, _TEACHER_EXAMPLES // max(1, examples)))


def most_epochs(rows: int) -> Dict[str, int]:
    """Return the epochs after which a training ends, even if it may take more time.

    Args:
        rows: number of training rows.
    """
    students = ("student", "truncated", "agora")
    return {"teacher": teacher_epochs(rows), **dict.fromkeys(students, MOST_EPOCHS)}


def head_kind(head: Optional[HeadDescription]) -> str:
    """Return the value of `--head` that gives a student the kind of its teacher's head."""
    return "release" if head is None or head.kind == RELEASE else "paper"


def finetune_by_clock(
    job: StageJob,
    data: TaskData,
    start: StartingPoint,
    folder: Path,
    settings: Mapping[str, Any],
    stop_requested: Callable[[], bool],
    *,
    epochs: int,
    teacher: Optional[Path] = None,
) -> Optional[Dict[str, Any]]:
    """Fine-tune by the clock, but for no more than a number of epochs, and keep the best model.

    A trial of some seconds tells how long the epochs take. If that is less than the time of the
    stage, the learning rate falls within the shorter time.

    Args:
        job: time and common settings.
        data: the task.
        start: the model to start from.
        folder: folder of the stage; it gets `model`.
        settings: further settings of `FinetuningConfig`.
        stop_requested: whether to stop early.
        epochs: most passes over the inputs.
        teacher: folder of the teacher.

    Returns:
        The summary of the run; None when stopped.
    """
    place, kept, granted = folder / RUN_FOLDER, folder / MODEL_FOLDER, folder / GRANTED_FILE
    inputs = len(data.train.features)
    inputs += 0 if data.unlabelled is None else len(data.unlabelled.features)
    steps = epochs * math.ceil(inputs / job.config.inputs_in_a_step)

    def train(seconds: float, before: float, stop: Callable[[], bool]) -> Dict[str, Any]:
        values = {**recipe(job.config, seconds), "epochs": epochs, **settings}
        values["max_len"] = job.task.length
        return run_finetuning(
            data,
            start,
            FinetuningConfig.from_dict(values, "small model"),
            place,
            ALONE,
            teacher=None if teacher is None else str(teacher),
            outputs_folder=job.answers,
            resume=True,
            cpu_only=not job.config.gpu,
            stop_requested=stop,
            stop_asking=stop_requested,
            seconds_before=before,
        )

    before = job.began
    if not granted.exists():
        log.info("a trial tells how long the training takes, which then goes on")
        trial = _Trial(job.seconds, stop_requested)
        with unannounced(_ANNOUNCING):
            stopped = train(job.seconds, before, trial.is_over)["stopped"]
        before = seconds_since_start()  # the run has recorded the seconds of the trial
        if stop_requested():
            return None
        write_json(granted, trial.seconds_of(steps) if stopped else job.seconds)
    with unannounced(_CLAIMING):  # the time was shortened to that of the steps
        summary = train(granted_seconds(granted), before, stop_requested)
    if summary["stopped"]:
        return None
    if summary["best"] is None:
        raise WorkError(f"{place}: the training ended without a score on the dev set")
    if not kept.exists():
        with new_folder(kept, clean=True) as making:
            shutil.copytree(place / MODEL_FOLDER, making, dirs_exist_ok=True)
    return summary


@contextlib.contextmanager
def unannounced(names: Sequence[str]) -> Iterator[None]:
    """Leave out the lines of some loggers; warnings stay."""

    def is_warning(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING

    loggers = [logging.getLogger(name) for name in names]
    for one in loggers:
        one.addFilter(is_warning)
    try:
        yield
    finally:
        for one in loggers:
            one.removeFilter(is_warning)


def granted_seconds(path: Path) -> float:
    """Return the seconds that a training may take, which were written after its trial.

    Raises:
        InputError: the file is damaged.
    """
    return float(JsonFields({"seconds": read_json(path)}, str(path)).number("seconds", 0))


class _Trial:
    """The first seconds of a training, which tell how long a step takes.

    Args:
        seconds: time of the training.
        stop_requested: whether to stop early.
    """

    def __init__(self, seconds: float, stop_requested: Callable[[], bool]) -> None:
        self._whole = seconds
        self._length = min(_TRIAL_SECONDS, _TRIAL_SHARE * seconds)
        self._stop_requested = stop_requested
        self._calls, self._began, self._now = 0, 0.0, 0.0
        self._made, self._before = time.monotonic(), 0.0

    def is_over(self) -> bool:
        """Return whether to stop; called before every step."""
        self._calls += 1
        self._now = time.monotonic()
        if self._calls == 1:
            self._before = self._now - self._made
        if self._calls <= _UNTIMED_STEPS:
            self._began = self._now
            return self._stop_requested()
        return self._stop_requested() or self._now - self._began > self._length

    def seconds_of(self, steps: int) -> float:
        """Return the time of a training of so many steps, at most that of the stage.

        It contains the time before the first step, in which the teacher is asked.
        """
        timed = self._calls - _UNTIMED_STEPS
        if timed < 1:
            return self._whole
        each = (self._now - self._began) / timed
        return min(self._whole, self._before + PAUSES * steps * each)


def remove_remains_of_training(folder: Path) -> None:
    """Remove what only a training that goes on needs; called when a stage has its scores."""
    for run in (folder, folder / TRAINED_FOLDER):
        (run / GRANTED_FILE).unlink(missing_ok=True)
    for name in (RUN_FOLDER, TRAINED_FOLDER, START_FOLDER, EXPORTS_FOLDER):
        if (folder / name).exists():
            remove_folder(folder / name)
    network = folder / NETWORK_FOLDER
    for step in checkpoint_steps(network):
        shutil.rmtree(network / f"step-{step:08d}")
    # A thread of this process may still write it, and a result must not change.
    (network / SECONDS_FILE).unlink(missing_ok=True)
