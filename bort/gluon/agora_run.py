"""A run of Agora from beginning to end, in one folder, on one rank or several."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import mxnet as mx

from bort.agora.config import AgoraConfig
from bort.agora.examples import Example, Label, Point, points_key
from bort.agora.hyperparameters import HyperparameterSets
from bort.agora.loop import run_agora
from bort.agora.reports import AgoraResult, IterationReport
from bort.agora.socrates import CachedSocrates, check_socrates
from bort.agora.store import Answered, AnswerStore, TrainingStore
from bort.agora.table import as_dict, headings, row
from bort.agora.task_data import AgoraTask
from bort.agora.tau import Proposer, Tau, build_tau
from bort.agora.timaeus_config import TimaeusConfig
from bort.agora.trainings import Training
from bort.errors import InputError
from bort.export.model_folder import DESCRIPTION_FILE
from bort.files import atomic_write, read_json, sha256_of_file, write_json
from bort.gluon.agora_models import GluonSocrates, MaskedWords
from bort.gluon.agora_trainer import AgoraTrainings, GluonTimaeus
from bort.gluon.distributed import Communicator, SingleProcess, choose_context, wait_for_all
from bort.gluon.finetuning import MODEL
from bort.gluon.finetuning_run import HELD_OUT, StartingPoint
from bort.gluon.task_classifier import TaskClassifier
from bort.gluon.teacher import load_teacher
from bort.report.agora_figure import draw_agora
from bort.run_settings import claim_folder
from bort.tasks.formulations import input_labels
from bort.tasks.judging import TaskSet, make_judge
from bort.tasks.records import TaskRecord
from bort.text.vocabularies import load_vocabulary

log = logging.getLogger(__name__)

SETTINGS_FILE, RESULT_FILE, ITERATIONS_FILE = "agora.json", "result.json", "iterations.json"
CHS_FILE, POINTS_FILE, FIGURE_FILE = "chs.json", "points.jsonl", "agora.png"
_NEEDS_PROPOSER = "substitution"


@dataclasses.dataclass(frozen=True)
class AgoraPlan:
    """What is run, once everything is read.

    Attributes:
        config: settings of the loop.
        timaeus: what all trainings share.
        sets: Θ.
        task: data, with its report split sealed.
        start: where Timaeus' weights come from.
        socrates: folder of the labeller.
        proposer: folder of a masked language model; None takes Timaeus' own start.
        folder: of the run.
        more_points: labelled by Socrates in a former run.
        test: test sets, which the best model answers when all is over.
    """

    config: AgoraConfig
    timaeus: TimaeusConfig
    sets: HyperparameterSets
    task: AgoraTask
    start: StartingPoint
    socrates: Path
    proposer: Optional[str]
    folder: Path
    more_points: Tuple[Point, ...] = ()
    test: Tuple[TaskSet, ...] = ()


def run_agora_in_folder(
    plan: AgoraPlan,
    communicator: Communicator,
    *,
    resume: bool = False,
    cpu_only: bool = True,
    stop_requested: Callable[[], bool] = lambda: False,
    on_trained: Callable[[Training, float], None] = lambda training, score: None,
) -> Dict[str, Any]:
    """Run Agora and leave in `plan.folder` the best model, its scores and all that led to it.

    `model/` is the best model as an ordinary fine-tuned folder, `chs.json` the convergent set,
    `points.jsonl` what Socrates labelled, `iterations.json` the table, `agora.png` the figure,
    `result.json` what is returned. Trainings are dealt out to the ranks; each is durable when it is
    finished, so that a run that was stopped or killed continues with `resume`, repeats none of them
    and ends the same.

    Returns:
        What the command prints, with `stopped` when it was stopped before the end; and
        `test_predictions`: for every test set index → value, for the caller to write.

    Raises:
        InputError: a folder with another run, models or data that do not fit, a weak Socrates.
        WorkError: a training that ran into numbers that are not finite, a full disk.
    """
    task, folder, chief = plan.task, plan.folder, communicator.rank == 0
    context = choose_context(communicator, cpu_only)
    # Before anything is written: what does not fit leaves nothing.
    socrates = GluonSocrates(
        plan.socrates,
        task.data.record,
        task.form,
        context,
        plan.timaeus.batch_size_eval,
        load=chief,
    )
    tau = _tau(plan, context)
    answers: Dict[str, Answered] = {}
    if plan.config.labels == "soft" and task.data.record.is_regression:
        raise InputError(f"labels is 'soft', which {task.data.record.name} does not have: hard")
    if chief and not resume:
        answers = _check(plan, socrates, context)
    wait_for_all(communicator)
    if chief:
        settings = _settings(plan, socrates, context)
        claim_folder(folder, SETTINGS_FILE, settings, "run of Agora", resume)
        if answers:
            AnswerStore(folder, communicator.rank).append(answers)
        _announce(plan)
    wait_for_all(communicator)

    def tell(training: Training, score: float) -> None:
        on_trained(training, score)
        if chief:
            share = "" if training.budget == 1 else f" ({training.budget:.2f} of the epochs)"
            log.info("  %s: dev %.4f%s", training.theta, score, share)

    trainer = GluonTimaeus(
        task,
        plan.start,
        plan.timaeus,
        folder,
        context,
        keep_all=plan.config.warm_start,
        on_trained=tell,
    )
    trainings = AgoraTrainings(
        trainer,
        TrainingStore(folder, communicator.rank),
        rank=communicator.rank,
        size=communicator.size,
        wait=lambda: wait_for_all(communicator),
        stop_requested=stop_requested,
    )
    table = _LiveTable(folder, trainer, trainings, enabled=chief)
    result = run_agora(
        plan.config,
        plan.sets,
        task.training,
        task.dev,
        trainings=trainings,
        socrates=CachedSocrates(
            socrates,
            AnswerStore(folder, communicator.rank),
            rank=communicator.rank,
            wait=lambda: wait_for_all(communicator),
        ),
        tau=tau,
        report=task.report,
        more_points=plan.more_points,
        on_iteration=table.add,
    )
    summary: Dict[str, Any] = {"task": task.data.record.name, "folder": str(folder)}
    if result is None:
        return {**summary, "stopped": True}
    if chief:
        summary.update(_finish(plan, result, trainer, context))
    wait_for_all(communicator)
    return {**summary, "stopped": False}


def _check(plan: AgoraPlan, socrates: GluonSocrates, context: mx.Context) -> Dict[str, Answered]:
    """What can be known to fail before anything is written; Socrates' answers of the dev set."""
    task = plan.task
    GluonTimaeus(task, plan.start, plan.timaeus, plan.folder, context).check(plan.sets[0])
    task.report.refuse_leaks(plan.more_points, "points of a former run")
    asked = CachedSocrates(socrates)
    told = asked.label([point.example for point in task.dev])
    check_socrates(told, task.dev, allow_weak=plan.config.allow_weak_socrates)
    return asked.answers


def read_points(path: Path, task: AgoraTask) -> List[Point]:
    """Points that a former run has left in `points.jsonl`.

    Args:
        path: of the file.
        task: that they must be points of.

    Raises:
        InputError: names file and line.
    """
    points = []
    expected = len(task.dev[0].example.segments)
    classes = len(input_labels(task.data.record, task.data.options))
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            segments = tuple(tuple(map(str, segment)) for segment in record["segments"])
            soft = record["probabilities"]
            probabilities = None if soft is None else tuple(map(float, soft))
            label = _checked_label(record["label"], task.data.record, classes)
            if len(segments) != expected or not all(map(all, segments)):
                raise ValueError(f"it must have {expected} segments of words that are not empty")
            if probabilities is not None and not (
                len(probabilities) == classes
                and min(probabilities, default=-1.0) >= 0
                and abs(sum(probabilities) - 1) < 1e-3
            ):
                raise ValueError(f"the probabilities are not {classes} numbers that sum to 1")
            points.append(Point(Example(segments), label, probabilities, from_socrates=True))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} line {number}: is no point: {error}") from error
    return points


def _checked_label(label: Any, record: TaskRecord, classes: int) -> Label:
    if record.label_range is None:
        if type(label) is not int or not 0 <= label < classes:
            raise ValueError(f"the label is {label!r}, allowed are 0 to {classes - 1}")
        return label
    low, high = record.label_range
    if type(label) not in (int, float) or not low <= label <= high:
        raise ValueError(f"the label is {label!r}, allowed is {low} to {high}")
    return float(label)


class _LiveTable:
    """Shows each iteration and keeps it; deletes the models that nobody asks for any more."""

    def __init__(
        self, folder: Path, trainer: GluonTimaeus, trainings: AgoraTrainings, enabled: bool
    ) -> None:
        self._folder = folder
        self._trainer = trainer
        self._trainings = trainings
        self._enabled = enabled
        self._seen: Dict[str, None] = {}
        self._rows: List[Dict[str, Any]] = []

    def add(self, report: IterationReport) -> None:
        """Called by the loop on every rank; only rank 0 acts.

        The others cannot begin the next trainings before rank 0 takes part in dealing them out.
        """
        asked, self._trainings.asked = self._trainings.asked, {}
        if not self._enabled:
            return
        if not self._rows:
            log.info("%s", headings())
        log.info("%s", row(report))
        self._rows.append(as_dict(report))
        write_json(self._folder / ITERATIONS_FILE, self._rows)
        # Models of iterations that a resumed run has not reached again yet are left alone; and
        # those just asked for, which the next iteration asks for again if nothing joins.
        for handle in self._seen:
            if handle not in report.needed_handles and handle not in asked:
                shutil.rmtree(self._trainer.folder_of(handle), ignore_errors=True)
        self._seen = {h: None for h in (*self._seen, *asked) if self._exists(h)}

    def _exists(self, handle: str) -> bool:
        return self._trainer.folder_of(handle).is_dir()


def _tau(plan: AgoraPlan, context: mx.Context) -> Tau:
    config, form = plan.config, plan.task.form
    proposer: Optional[Proposer] = None
    if _NEEDS_PROPOSER in config.taus:
        proposer = _proposer(plan, context)
    return build_tau(
        config.taus,
        combination=config.tau_combination,
        share=config.tau_share,
        proposer=proposer,
        pool=[point.example for point in plan.task.training],
        editable=form.editable,
    )


def _proposer(plan: AgoraPlan, context: mx.Context) -> MaskedWords:
    source, vocabulary = plan.proposer, plan.task.data.vocabulary
    if source is not None:
        vocabulary = load_vocabulary(str(Path(source) / "vocabulary"))
        model = load_teacher(source, context=context)
    else:
        source = plan.start.pretrained
        if source is None:
            raise InputError("taus holds 'substitution', which needs a pre-trained model")
        if Path(source).is_dir():
            model = load_teacher(source, context=context)
        else:
            model = load_teacher(plan.start.architecture, checkpoint=source, context=context)
    return MaskedWords(model, vocabulary, plan.task.form, plan.timaeus.max_len)


def _settings(plan: AgoraPlan, socrates: GluonSocrates, context: mx.Context) -> Dict[str, Any]:
    """All that can change results."""
    task = plan.task
    fingerprints = {
        "training data": points_key(task.training),
        "dev data": points_key(task.dev),
        "report split": task.report_key,
        "points of a former run": points_key(plan.more_points),
        "vocabulary": task.data.vocabulary.fingerprint,
        "Socrates": socrates.fingerprint,
        "Timaeus": _fingerprint(plan.start.pretrained),
        "proposer": _fingerprint(plan.proposer),
    }
    return {
        "task": task.data.record.name,
        "device": context.device_type,
        "architecture": plan.start.architecture,
        "settings": plan.config.results_settings(),
        "timaeus": plan.timaeus.results_settings(),
        "options": task.data.options.as_dict(),
        "hyperparameters": [theta.as_dict() for theta in plan.sets],
        "fingerprints": fingerprints,
    }


def _fingerprint(source: Optional[str]) -> Optional[str]:
    if source is None:
        return None
    path = Path(source)
    if not path.exists():
        raise InputError(f"{source}: is not there")
    return sha256_of_file(path / DESCRIPTION_FILE if path.is_dir() else path)


def _announce(plan: AgoraPlan) -> None:
    task = plan.task
    log.info(
        "%s: %d training points, %d dev points, %d items kept apart for the report",
        task.data.record.name,
        len(task.training) + len(plan.more_points),
        len(task.dev),
        len(task.report_items),
    )
    if not _has_report_been_kept_from_socrates(plan):
        log.info(
            "Socrates may have learnt the report split's labels and pass them on; fine-tune it "
            "with --report_share (and --report_seed) as here to keep them from it"
        )
    log.info("hyperparameter sets: %d", len(plan.sets))
    if plan.config.is_economical:
        log.info("economical mode, which is not the paper's")


def _has_report_been_kept_from_socrates(plan: AgoraPlan) -> bool:
    """A report split of its own file is none of the training file; whether one carved from it was
    carved for Socrates too, its folder says."""
    if not plan.task.is_carved:
        return True
    extra = read_json(plan.socrates / DESCRIPTION_FILE)["extra"]
    return bool(extra.get(HELD_OUT) == plan.task.report_key)


def _finish(
    plan: AgoraPlan, result: AgoraResult, trainer: GluonTimaeus, context: mx.Context
) -> Dict[str, Any]:
    """Write everything that a run leaves; rank 0 alone."""
    task, folder = plan.task, plan.folder
    _publish(trainer.folder_of(result.best.handle), folder / MODEL, plan)
    trainer.keep_only([result.best.handle])
    report_scores = score_report(task, folder / MODEL, plan.timaeus.batch_size_eval, context)
    dev_scores = read_json(folder / MODEL / DESCRIPTION_FILE)["extra"]["metrics"]
    report_mean = sum(report_scores.values()) / len(report_scores)
    write_json(folder / CHS_FILE, result.convergent_set.as_dict())
    _write_points(folder / POINTS_FILE, [p for p in result.points if p.from_socrates])
    title = f"{task.data.record.name}: dev {result.best.dev_score:.4f}, report {report_mean:.4f}"
    draw_agora(folder / FIGURE_FILE, result.iterations, report_mean, title)
    log.info("dev score (Agora has looked at this set): %.4f", result.best.dev_score)
    unseen = _has_report_been_kept_from_socrates(plan)
    doubt = "" if unseen else "; but Socrates may have"
    log.info("report score (of a split it has never seen%s): %.4f", doubt, report_mean)
    summary = {
        "model": str(folder / MODEL),
        "dev": {"mean": result.best.dev_score, "metrics": dev_scores},
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
        classifier = TaskClassifier.load(folder / MODEL, context)
        summary["test_predictions"] = [
            classifier.predict(test, SingleProcess(), plan.timaeus.batch_size_eval)
            for test in plan.test
        ]
    return summary


def score_report(
    task: AgoraTask, model: Path, batch_size: int, context: mx.Context
) -> Dict[str, float]:
    """The task's metrics on the report split, which is opened here and nowhere else.

    Raises:
        WorkError: before the winner is fixed.
    """
    report = task.open_report()
    classifier = TaskClassifier.load(model, context)
    outputs = classifier.outputs(report, SingleProcess(), batch_size)
    return dict(make_judge(task.data.options, report)(outputs))


def _publish(source: Path, target: Path, plan: AgoraPlan) -> None:
    """The best model as an ordinary fine-tuned folder, whole or not there at all."""
    making = target.with_name(f".{target.name}-making")
    shutil.rmtree(making, ignore_errors=True)
    shutil.copytree(source, making, copy_function=_link_or_copy)
    plan.task.data.vocabulary.save(making / "vocabulary")
    shutil.rmtree(target, ignore_errors=True)
    os.rename(making, target)


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target)  # files here are replaced, never written into
    except OSError:
        shutil.copyfile(source, target)
    return target


def _write_points(path: Path, points: Sequence[Point]) -> None:
    with atomic_write(path) as stream:
        for point in points:
            record = {
                "segments": point.example.segments,
                "label": point.label,
                "probabilities": point.probabilities,
            }
            stream.write((json.dumps(record) + "\n").encode("utf-8"))
