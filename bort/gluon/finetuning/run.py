"""Fine-tuning runs in a folder: build the classifier, train it, save the best model, predict."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional

import mxnet as mx

from bort.errors import InputError
from bort.gluon.distributed import choose_context
from bort.gluon.finetuning.asking_teacher import ask_task_teacher
from bort.gluon.finetuning.finetune import (
    DevSet,
    FinetuningHooks,
    FinetuningResult,
    check_inputs_fit,
    finetune,
    plan_inputs,
)
from bort.gluon.finetuning.starting_point import StartingPoint, build_classifier
from bort.gluon.finetuning.task_classifier import TaskClassifier
from bort.gluon.finetuning.task_description import describe_for_task
from bort.gluon.finetuning.task_teacher import (
    OUTPUTS_FOLDER,
    EncoderTeacher,
    open_task_teacher,
)
from bort.gluon.network.model_folder import save_model_folder
from bort.gluon.training.checkpoint import checkpoint_steps
from bort.gluon.training.flat_trainer import check_numbers
from bort.network.model_folder import fingerprint_of_model
from bort.ranks import Communicator, on_rank_0, wait_for_all
from bort.storage.locks import hold_run_folder
from bort.storage.run_folder import (
    METRICS_FILE,
    MODEL_FOLDER,
    RUN_FILE,
    MetricsWriter,
    NullWriter,
    RunFolder,
    continues_run,
)
from bort.tasks.judging import TaskData, make_judge
from bort.tasks.training_inputs import class_counts, data_lines, training_examples
from bort.teacher.keeping_features import FEATURES_KEPT
from bort.text.pair_form import PAIRS
from bort.training.finetuning_config import FinetuningConfig
from bort.training.time_estimate import describe_estimate
from bort.training.timed_records import check_replay, keep_model, open_budget

log = logging.getLogger(__name__)


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
        epochs and folders. A finished run
        adds `test_predictions` if there are test sets: for each, a mapping from index to
        prediction, which the caller writes. A task with spans has none
        (see `TaskClassifier.answers`).

    Raises:
        InputError: vocabulary, model, data or folder do not fit together, or another process uses
            the folder.
        WorkError: the loss is not finite, or the disk is full.
    """
    check_replay(config.budget, replay)
    _check_best_metric(config, data)
    if config.freeze_embeddings and start.pretrained is None and start.initialise_from is None:
        raise InputError(
            "freeze_embeddings is true and the weights are random; allowed is false, or weights to "
            "start from"
        )
    context = choose_context(communicator, cpu_only)
    check_numbers(config, context)
    place = outputs_folder or folder / OUTPUTS_FOLDER
    with hold_run_folder(folder, communicator):
        asked = open_task_teacher(
            teacher,
            data,
            context,
            soft_weight=config.objective.soft_weight,
            features=config.features,
            runtime=config.teacher_runtime,
        )
        return _run(
            data,
            start,
            config,
            folder,
            communicator,
            context,
            asked,
            place,
            resume,
            is_shown,
            stop_requested,
            stop_asking,
            replay,
            seconds_before,
        )


def _run(
    data: TaskData,
    start: StartingPoint,
    config: FinetuningConfig,
    folder: Path,
    communicator: Communicator,
    context: mx.Context,
    teacher: Optional[EncoderTeacher],
    outputs_folder: Path,
    resume: bool,
    is_shown: bool,
    stop_requested: Callable[[], bool],
    stop_asking: Optional[Callable[[], bool]],
    replay: Optional[str],
    seconds_before: float,
) -> Dict[str, Any]:
    """Fine-tune in a folder that this process holds; see `run_finetuning`."""
    chief = communicator.rank == 0
    continues = on_rank_0(
        communicator,
        lambda: continues_run(folder, resume=resume, has_checkpoint=bool(checkpoint_steps(folder))),
    )
    begun = start.initialise_from
    # The order of a teacher's parts counts in a resumed run too if its features are learnt.
    is_ordered = begun is not None and teacher is not None and config.features.is_on
    if continues and is_ordered:
        start = dataclasses.replace(start, stored_in=folder)
    network = build_classifier(data, start, config, context, is_fresh=not continues or is_ordered)
    batch_size = config.batch_size or data.record.batch_size
    description = describe_for_task(network, data, config)
    identity = {
        "options": data.options.as_dict(),
        "vocabulary": data.vocabulary.fingerprint,
        "pretrained_parameters": fingerprint_of_model(start.pretrained),
        "initialise_from": None if begun is None else begun.fingerprint,
        "teacher": None if teacher is None else teacher.fingerprint,
    }
    if teacher is not None:
        notes = {**description.notes, "teacher": teacher.fingerprint}
        description = description.replace(notes=notes)
    train = training_examples(data)
    answers = None
    if teacher is not None:
        check_inputs_fit(network.bort.architecture, [one.features.lengths for one in data.sets])
        if config.features.is_on:
            config.features.check_fits(network.bort.architecture, teacher.architecture)
        # A run that is refused keeps no answers.
        plan_inputs(train.lengths, config, batch_size, communicator.size)
        answers = ask_task_teacher(
            teacher,
            train,
            outputs_folder,
            config.features,
            config.kept,
            batch_size=config.batch_size_eval,
            communicator=communicator,
            start=begun,
            record=folder / RUN_FILE if continues else None,
            stop_requested=stop_asking or stop_requested,
        )
        if answers is None:
            return _summary(data, folder, FinetuningResult(0, 0, True, None, []))

    def open_metrics(done: int) -> MetricsWriter:
        if not chief:
            return NullWriter()
        writer = RunFolder(folder, done)
        if begun is not None and is_ordered:
            begun.save(folder)
        writer.record(
            {
                "task": data.record.name,
                "settings": config.as_dict(),
                "pretrained": start.pretrained,
                "teacher_folder": None if teacher is None else teacher.folder,
                FEATURES_KEPT: None if answers is None else answers.features_kept,
                **identity,
                "architecture": network.bort.architecture.as_dict(),
                "ranks": communicator.size,
                "batch_size": batch_size,
                "inputs": {s.name: len(s.features) for s in data.sets},
                "truncated": {s.name: s.features.truncated for s in data.sets},
                "classes": class_counts(data),
                PAIRS: data.pairs.as_dict(),
            }
        )
        data.vocabulary.save(folder / MODEL_FOLDER / "vocabulary")
        if is_shown:
            for line in data_lines(data):
                log.info("%s", line)
        return writer

    def on_epoch(score: Any) -> None:
        if chief and is_shown:
            shown = ", ".join(f"{name} {value:.4f}" for name, value in score.metrics.items())
            log.info("epoch %d: %s", score.epoch, shown)

    def save_model(target: Path, notes: Mapping[str, Any]) -> None:
        noted = description.replace(notes={**description.notes, **notes})
        save_model_folder(target, network, noted)
        data.vocabulary.save(target / "vocabulary")

    def on_trial(estimate: Mapping[str, float]) -> None:
        if chief and is_shown:
            log.info("%s", describe_estimate(estimate))

    def on_marker(facts: Mapping[str, float]) -> None:
        if chief:
            keep_model(folder, facts, save_model)

    asked = sum(len(one.features) for one in data.dev)
    asked_after = sum(len(one.features) for one in data.test)
    budget = open_budget(
        config.budget,
        communicator,
        folder / METRICS_FILE,
        is_resumed=continues or resume,
        replay=replay,
        seconds_before=seconds_before,
        evaluations_after=asked_after / max(1, asked) + (1.0 if data.record.has_spans else 0.0),
    )
    result = finetune(
        network,
        train,
        [DevSet(dev.split, dev.features, make_judge(data.options, dev)) for dev in data.dev],
        config,
        communicator,
        context,
        pad_id=data.vocabulary.pad_id,
        batch_size=batch_size,
        folder=folder,
        description=description,
        resume=continues,
        identity=identity,
        teacher=answers,
        hooks=FinetuningHooks(
            open_metrics=open_metrics,
            stop_requested=stop_requested,
            on_epoch=on_epoch,
            show_progress=is_shown,
            title=f"fine-tuning on {data.record.name}",
            budget=budget,
            on_trial=on_trial,
            on_marker=on_marker,
        ),
    )
    summary = _summary(data, folder, result)
    if result.stopped:
        return summary
    if chief and result.best is None:
        save_model_folder(folder / MODEL_FOLDER, network, description)
    wait_for_all(communicator)
    summary["model"] = str(folder / MODEL_FOLDER)
    if data.test and not data.record.has_spans:
        classifier = TaskClassifier.load(folder / MODEL_FOLDER, context)
        summary["test_predictions"] = [
            classifier.predict(test, communicator, config.batch_size_eval) for test in data.test
        ]
    return summary


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
