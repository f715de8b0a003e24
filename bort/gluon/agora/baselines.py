"""What Agora is compared with: the same small model fine-tuned as usual, with as many trainings."""

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
    """A way to train, and how its best model scores.

    Attributes:
        dev_score: of the best training, which was chosen by it.
        report_score: of that model on the report split, opened for it alone.
        trainings: how many there were to choose from.
        points: examples each was trained on.
        seconds: all of it, trainings of an earlier, killed run left out.
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
    """Train with every set on the same points, and judge the best by dev score on the report split.

    Every finished training is kept in `folder`, and a second call repeats none.

    Args:
        task: data; its report split must still be closed.
        start: where the encoder's weights come from.
        timaeus: what all trainings share.
        sets: one training each.
        points: to train on.
        folder: keeps trainings and the best model.
        context: CPU or GPU.
        stop_requested: asked before each training.
        on_trained: told of each finished training with its dev score.

    Returns:
        How the best one does; None when stopped.

    Raises:
        InputError: points of the report split among those to train on.
    """
    began = time.perf_counter()
    task.report.refuse_leaks(points, "training data")
    trainer = GluonTimaeus(task, start, timaeus, folder, context, on_trained=on_trained)
    trainings = Trainings(trainer, TrainingStore(folder, 0), stop_requested=stop_requested)
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
    """The same examples with Socrates' labels in place of the gold ones: plain distillation."""
    examples = [point.example for point in points]
    return points_from(examples, socrates.label(examples), labels)
