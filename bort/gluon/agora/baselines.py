"""Baselines for Agora: the best of many ordinary trainings of the same small model."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List, Optional, Sequence

import mxnet as mx

from bort.agora.examples import Point
from bort.agora.hyperparameters import HyperparameterSet
from bort.agora.socrates import SocratesLabeller, points_from
from bort.agora.store import TrainingStore
from bort.agora.task_data import AgoraTask
from bort.agora.timaeus_config import TimaeusConfig
from bort.agora.trainings import Training, Trainings
from bort.gluon.agora.outcome import score_report
from bort.gluon.agora.trainer import GluonTimaeus
from bort.gluon.finetuning.starting_point import StartingPoint


@dataclass(frozen=True)
class Contender:
    """The scores and the cost of one way to train.

    Attributes:
        dev_score: dev score of the best training, which it was selected by.
        report_score: score of that model on the report split.
        trainings: number of trainings to select from.
        points: number of examples that each was trained on.
        seconds: duration of the call; it excludes trainings of an earlier, interrupted call.
    """

    dev_score: float
    report_score: float
    trainings: int
    points: int
    seconds: float


def best_of(
    task: AgoraTask,
    start: StartingPoint,
    timaeus: TimaeusConfig,
    sets: Sequence[HyperparameterSet],
    points: Sequence[Point],
    folder: Path,
    context: mx.Context,
    *,
    stop_requested: Callable[[], bool] = lambda: False,
    on_trained: Callable[[Training, float], None] = lambda training, score: None,
) -> Optional[Contender]:
    """Train with every set on the same points, and score the best by dev score on the report split.

    Finished trainings are stored in `folder`, and a second call does not repeat them.

    Args:
        task: data sets; the report split must be sealed.
        start: source of the encoder's weights.
        timaeus: settings that all trainings share.
        sets: hyperparameter sets, one for each training.
        points: training points.
        folder: folder of the trainings and the best model.
        context: CPU or GPU.
        stop_requested: called before each training; True stops the call.
        on_trained: called after each training with its dev score.

    Returns:
        The scores of the best training; None when stopped.

    Raises:
        InputError: a training point is in the report split.
    """
    began = time.perf_counter()
    task.report.refuse_leaks(points, "training data")
    trainer = GluonTimaeus(task, start, timaeus, folder, context, on_trained=on_trained)
    store = TrainingStore(folder, 0, len(task.dev))
    trainings = Trainings(trainer, store, stop_requested=stop_requested)
    found = trainings.run(Training.plan(sets, points))
    if found is None:
        return None
    best = max(found, key=lambda trained: trained.dev_score)  # the first of equals
    task.report.fix_winner(best.handle)
    trainer.keep_only([best.handle])
    model = trainer.folder_of(best.handle)
    task.data.vocabulary.save(model / "vocabulary")
    scores = score_report(task, model, timaeus.batch_size_eval, context)
    return Contender(
        best.dev_score,
        sum(scores.values()) / len(scores),
        len(found),
        len(points),
        time.perf_counter() - began,
    )


def labelled_by(
    socrates: SocratesLabeller, points: Sequence[Point], labels: str = "soft"
) -> List[Point]:
    """Return the same examples with labels of Socrates instead of gold labels (distillation).

    Args:
        socrates: labels the examples.
        points: points whose gold labels are replaced.
        labels: `soft` or `hard`.
    """
    examples = [point.example for point in points]
    return points_from(examples, socrates.label(examples), labels)
