"""Fine-tuning on the task, with the epoch chosen by one set and the score on another."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

import numpy as np

from bort.formats.network_folder import read_folder_description, vocabulary_of
from bort.gluon.finetuning.run import run_finetuning
from bort.gluon.finetuning.starting_point import StartingPoint
from bort.gluon.finetuning.task_classifier import TaskClassifier
from bort.gluon.network.teacher_start import TeacherStart
from bort.ranks import SingleProcess
from bort.storage.files import new_folder, read_json, write_json
from bort.storage.run_folder import MODEL_FOLDER
from bort.tasks.judging import TaskSet, make_judge
from bort.tasks.metrics import mean_score
from bort.tasks.options import TaskOptions
from bort.text.asking import TokenisedInputs
from bort.text.vocabularies import load_vocabulary
from bort.training.importance_config import ImportanceConfig
from experiments.large_then_compressed.plan import LargeConfig
from experiments.large_then_compressed.task import open_experiment_task

SCORE_FILE, _RUN = "score.json", "run"


def finetune_model(
    config: LargeConfig,
    model: Path,
    task: Path,
    seed: int,
    folder: Path,
    stop_requested: Callable[[], bool],
    *,
    slice_to: Optional[str] = None,
    keeps_model: bool = False,
) -> None:
    """Fine-tune a model on the task and score it; writes `score.json`.

    The best epoch is chosen by the dev set (of a GLUE task: by a part of the training set), and the
    model of that epoch is scored on examples that choose nothing.

    Args:
        config: the experiment.
        model: model folder to start from.
        task: folder of the task stage.
        seed: number of the run.
        folder: folder of the stage.
        stop_requested: whether to stop early.
        slice_to: fine-tune a slice of this architecture, made of the model's most important parts;
            None for the whole model.
        keeps_model: keep the model of the best epoch in `model`.
    """
    place, kept = folder / _RUN, folder / MODEL_FOLDER
    if not (folder / SCORE_FILE).exists():
        vocabulary = load_vocabulary(vocabulary_of(model))
        pairs = read_folder_description(str(model)).pair_form(vocabulary)
        data, reported = open_experiment_task(config, task, vocabulary, pairs)
        start = StartingPoint(str(model), "")
        if slice_to is not None:
            whole = TeacherStart(str(model), ImportanceConfig())
            start = StartingPoint(None, slice_to, initialise_from=whole)
        summary = run_finetuning(
            data,
            start,
            config.finetuning(seed),
            place,
            SingleProcess(),
            resume=True,
            cpu_only=not config.gpu,
            is_shown=False,
            stop_requested=stop_requested,
        )
        if summary["stopped"]:
            return
        best = TaskClassifier.load(place / MODEL_FOLDER)
        scores = score_sets(
            best.options,
            reported,
            lambda features: best.outputs(features, SingleProcess(), 32),
        )
        if keeps_model and not kept.exists():
            with new_folder(kept, clean=True) as making:
                shutil.copytree(place / MODEL_FOLDER, making, dirs_exist_ok=True)
        write_json(
            folder / SCORE_FILE,
            {
                **scores,
                "epoch": summary["best"]["epoch"],
                "chosen_by": {"mean": summary["best"]["mean"], **summary["best"]["metrics"]},
                "steps": summary["steps"],
                "examples": {
                    "train": len(data.train.items),
                    "choose": sum(len(one.items) for one in data.dev),
                    "report": sum(len(one.items) for one in reported),
                },
            },
        )
    shutil.rmtree(place, ignore_errors=True)


def score_sets(
    options: TaskOptions, sets: Sequence[TaskSet], answers: Callable[[TokenisedInputs], np.ndarray]
) -> Dict[str, Any]:
    """Return the scores of a model on labelled sets.

    Args:
        options: the formulation of items as inputs.
        sets: the sets.
        answers: returns the model's outputs for the inputs of a set.

    Returns:
        `score`, the mean over all metrics and sets, and `metrics` by name, with several sets by
        `name/split`.
    """
    metrics: Dict[str, float] = {}
    for one in sets:
        found = make_judge(options, one)(answers(one.features))
        metrics.update({n if len(sets) == 1 else f"{n}/{one.split}": x for n, x in found.items()})
    return {"score": mean_score(metrics), "metrics": metrics}


def read_score(folder: Path) -> Mapping[str, Any]:
    """Return the content of `score.json` in the result of a fine-tuning."""
    found: Mapping[str, Any] = read_json(folder / SCORE_FILE)
    return found
