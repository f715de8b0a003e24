"""Fine-tuning runs in a folder: train a classifier, save the best model, predict the test sets."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Callable, Dict, Optional

from bort.errors import InputError
from bort.gluon.distributed import choose_context
from bort.gluon.finetuning.finetune import FinetuningResult
from bort.gluon.finetuning.folder_run import FinetuningRun
from bort.gluon.finetuning.starting_point import StartingPoint
from bort.gluon.finetuning.task_teacher import OUTPUTS_FOLDER, open_task_teacher
from bort.gluon.training.flat_trainer import check_numbers
from bort.ranks import Communicator
from bort.storage.locks import hold_run_folder
from bort.tasks.judging import TaskData
from bort.training.finetuning_config import FinetuningConfig
from bort.training.timed_records import check_replay


def run_finetuning(
    data: TaskData,
    start: StartingPoint,
    config: FinetuningConfig,
    folder: Path,
    communicator: Communicator,
    *,
    teacher: Optional[str] = None,
    outputs_folder: Optional[Path] = None,
    resume: bool = False,
    cpu_only: bool = True,
    is_shown: bool = True,
    replay: Optional[str] = None,
    seconds_before: float = 0.0,
    stop_requested: Callable[[], bool] = lambda: False,
    stop_asking: Optional[Callable[[], bool]] = None,
) -> Dict[str, Any]:
    """Fine-tune on one task, and save the best model in `folder`/model.

    Args:
        data: data sets of the task.
        start: source of the encoder's weights.
        config: settings of the training.
        folder: folder of the run.
        communicator: the ranks that train together.
        teacher: folder of a model of the same task whose outputs are learnt as well; None: none.
        outputs_folder: folder where the teacher's outputs and features are kept; None: in `folder`.
        resume: continue the run in `folder` from its newest checkpoint; without a checkpoint, the
            run starts at step 0.
        cpu_only: run on the CPU even if there is a GPU.
        is_shown: whether the data, the progress and the dev scores are shown.
        replay: `metrics.jsonl` of a timed run whose steps this run repeats; None for none.
        seconds_before: seconds of this process that a timed run does not count, because earlier
            runs have used them.
        stop_requested: called before every step; True stops the run after that step.
        stop_asking: the same while the teacher is asked for all inputs; None: `stop_requested`.

    Returns:
        The values that the command prints: task, dev scores (of the best and of the last epoch),
        epochs and folders. A finished run adds `test_predictions` if there are test sets: for each,
        a mapping from index to prediction, which the caller writes. A task with spans has none (see
        `TaskClassifier.answers`).

    Raises:
        InputError: vocabulary, model, data or folder do not fit together, or another process uses
            the folder.
        WorkError: the loss is not finite, or the disk is full.
    """
    check_replay(config.budget, replay)
    _check_best_metric(config, data)
    if data.unlabelled is not None and teacher is None:
        raise InputError("unlabelled is given without teacher, whose outputs it learns from")
    if config.freeze_embeddings and start.pretrained is None and start.initialise_from is None:
        raise InputError(
            "freeze_embeddings is true and the weights are random; allowed is false, or weights to "
            "start from"
        )
    context = choose_context(communicator, cpu_only)
    check_numbers(config, context)
    place = outputs_folder or folder / OUTPUTS_FOLDER
    with hold_run_folder(folder, communicator):
        opened = open_task_teacher(
            teacher,
            data,
            context,
            soft_weight=config.objective.soft_weight,
            features=config.features,
            runtime=config.teacher_runtime,
        )
        run = FinetuningRun(
            *(data, start, config, folder, communicator, context, opened),
            resume=resume,
            is_shown=is_shown,
        )
        if not run.ask_teacher(place, stop_asking or stop_requested):
            return _summary(data, folder, FinetuningResult(0, 0, True, None, []))
        result = run.train(run.budget(replay, seconds_before), stop_requested)
        summary = _summary(data, folder, result)
        return summary if result.stopped else {**summary, **run.finish(result)}


def _check_best_metric(config: FinetuningConfig, data: TaskData) -> None:
    """Raise `InputError` if the metric that chooses the best epoch is none of the task's."""
    known = list(data.record.metrics)
    if len(data.dev) > 1:
        known = [f"{name}/{dev.split}" for dev in data.dev for name in known]
    if config.best_metric is not None and config.best_metric not in known:
        raise InputError(
            f"best_metric is {config.best_metric!r}, allowed for {data.record.name} are "
            + ", ".join(known)
        )


def _summary(data: TaskData, folder: Path, result: FinetuningResult) -> Dict[str, Any]:
    best = result.best
    return {
        "task": data.record.name,
        "stopped": result.stopped,
        "epochs": result.epochs,
        "steps": result.steps,
        "best": None if best is None else dataclasses.asdict(best),
        "last": dataclasses.asdict(result.history[-1]) if result.history else None,
        "folder": str(folder),
    }
