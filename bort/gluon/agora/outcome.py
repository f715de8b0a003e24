"""The results of an Agora run: the best model, its scores, points and figure."""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
from pathlib import Path
from typing import Any, Dict

import mxnet as mx

from bort.agora.points_file import write_points
from bort.agora.reports import AgoraResult
from bort.agora.task_data import AgoraTask
from bort.gluon.agora.plan import CHS_FILE, FIGURE_FILE, POINTS_FILE, RESULT_FILE, AgoraPlan
from bort.gluon.agora.trainer import GluonTimaeus
from bort.gluon.finetuning.task_classifier import TaskClassifier
from bort.network.model_folder import read_description
from bort.ranks import SingleProcess
from bort.report.agora_figure import draw_agora
from bort.storage.files import new_folder, write_json
from bort.storage.run_folder import MODEL_FOLDER
from bort.tasks.judging import make_judge

log = logging.getLogger(__name__)


def finish(
    plan: AgoraPlan, result: AgoraResult, trainer: GluonTimaeus, context: mx.Context
) -> Dict[str, Any]:
    """Write the results of a run; only rank 0 calls this.

    Args:
        plan: the run.
        result: result of the loop.
        trainer: has the model folder of the best training.
        context: CPU or GPU.

    Returns:
        The values that the command prints.
    """
    task, folder = plan.task, plan.folder
    _publish(trainer.folder_of(result.best.handle), folder / MODEL_FOLDER, plan)
    trainer.keep_only([result.best.handle])
    report_scores = score_report(task, folder / MODEL_FOLDER, plan.timaeus.batch_size_eval, context)
    dev_scores = read_description(folder / MODEL_FOLDER).metrics
    report_mean = sum(report_scores.values()) / len(report_scores)
    write_json(folder / CHS_FILE, result.convergent_set.as_dict())
    write_points(folder / POINTS_FILE, [p for p in result.points if p.from_socrates])
    title = f"{task.data.record.name}: dev {result.best.dev_score:.4f}, report {report_mean:.4f}"
    draw_agora(folder / FIGURE_FILE, result.iterations, report_mean, title)
    log.info("dev score (of the split that selected the model): %.4f", result.best.dev_score)
    unseen = plan.is_report_kept_from_socrates
    doubt = "" if unseen else ", but Socrates may have been trained on it"
    log.info("report score (of a split that Agora did not use%s): %.4f", doubt, report_mean)
    summary = {
        "model": str(folder / MODEL_FOLDER),
        "dev": {"mean": result.best.dev_score, "metrics": dict(dev_scores)},
        "report": {
            "mean": report_mean,
            "metrics": report_scores,
            "items": len(task.report_items),
            "kept_from_socrates": unseen,
        },
        "best": result.best.theta.as_dict(),
        "convergent_set": result.convergent_set.as_dict(),
        "iterations": len(result.iterations),
        "training_points": {
            "gold": len(task.training),
            "from_socrates": len(result.points) - len(task.training),
        },
        "socrates": dataclasses.asdict(result.socrates),
        "trainings": result.trainings,
        "cost": result.cost,
    }
    write_json(folder / RESULT_FILE, summary)
    if plan.test:
        classifier = TaskClassifier.load(folder / MODEL_FOLDER, context)
        summary["test_predictions"] = [
            classifier.predict(test, SingleProcess(), plan.timaeus.batch_size_eval)
            for test in plan.test
        ]
    return summary


def score_report(
    task: AgoraTask, model: Path, batch_size: int, context: mx.Context
) -> Dict[str, float]:
    """Return the metrics of a model on the report split, which only this function opens.

    Args:
        task: the task, whose best model is fixed.
        model: model folder.
        batch_size: inputs per batch.
        context: CPU or GPU.

    Raises:
        WorkError: the best model is not fixed yet.
    """
    report = task.open_report()
    classifier = TaskClassifier.load(model, context)
    outputs = classifier.outputs(report.features, SingleProcess(), batch_size)
    return dict(make_judge(task.data.options, report)(outputs))


def _publish(source: Path, target: Path, plan: AgoraPlan) -> None:
    """Write the best model as a fine-tuned model folder, atomically."""
    with new_folder(target, replace=True, clean=True) as making:
        shutil.copytree(source, making, copy_function=_link_or_copy, dirs_exist_ok=True)
        plan.task.data.vocabulary.save(making / "vocabulary")


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target)  # a link is safe: these files are replaced, never modified
    except OSError:
        shutil.copyfile(source, target)
    return target
