"""`FinetuningRun`: the fine-tuning of a classifier in the folder of a run, in named parts."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional

import mxnet as mx

from bort.gluon.finetuning.asking_teacher import ask_task_teacher
from bort.gluon.finetuning.finetune import (
    DevScore,
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
from bort.gluon.finetuning.task_teacher import EncoderTeacher
from bort.gluon.finetuning.teacher_answers import TeacherAnswersByInput
from bort.gluon.network.model_folder import save_model_folder
from bort.gluon.training.checkpoint import checkpoint_steps
from bort.network.description import ModelDescription
from bort.network.model_folder import VOCABULARY_FOLDER, fingerprint_of_model
from bort.ranks import Communicator, on_rank_0, wait_for_all
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
from bort.training.time_budget import RunBudget
from bort.training.time_estimate import describe_estimate
from bort.training.timed_records import keep_model, open_budget

log = logging.getLogger(__name__)


class FinetuningRun:
    """A run in a folder that this process holds.

    Call `ask_teacher`, then `train`, then `finish`.

    Args:
        data, start, config, folder, communicator, resume, is_shown: see
            `bort.gluon.finetuning.run.run_finetuning`.
        context: device of the training.
        teacher: the teacher; None: none.

    Raises:
        InputError: vocabulary, model, data and folder do not fit together.
    """

    def __init__(
        self,
        data: TaskData,
        start: StartingPoint,
        config: FinetuningConfig,
        folder: Path,
        communicator: Communicator,
        context: mx.Context,
        teacher: Optional[EncoderTeacher],
        *,
        resume: bool,
        is_shown: bool,
    ) -> None:
        self._data, self._config, self._folder = data, config, folder
        self._communicator, self._context = communicator, context
        self._teacher = teacher
        self._answers: Optional[TeacherAnswersByInput] = None
        self._is_chief = communicator.rank == 0
        self._is_shown = is_shown and self._is_chief
        self._continues: bool = on_rank_0(
            communicator,
            lambda: continues_run(
                folder, resume=resume, has_checkpoint=bool(checkpoint_steps(folder))
            ),
        )
        self._is_resumed = self._continues or resume
        # The order of a teacher's parts counts in a resumed run too if its features are learnt.
        self._is_ordered = (
            start.initialise_from is not None and teacher is not None and config.features.is_on
        )
        if self._continues and self._is_ordered:
            start = dataclasses.replace(start, stored_in=folder)
        self._start = start
        self._network = build_classifier(
            data, start, config, context, is_fresh=not self._continues or self._is_ordered
        )
        self._batch_size = config.batch_size or data.record.batch_size
        self._train = training_examples(data)
        self._description = describe_for_task(self._network, data, config)
        if teacher is not None:
            self._description = self._noted({"teacher": teacher.fingerprint})
        begun = start.initialise_from
        self._identity = {
            "options": data.options.as_dict(),
            "vocabulary": data.vocabulary.fingerprint,
            "pretrained_parameters": fingerprint_of_model(start.pretrained),
            "initialise_from": None if begun is None else begun.fingerprint,
            "teacher": None if teacher is None else teacher.fingerprint,
        }

    def ask_teacher(self, outputs_folder: Path, stop_requested: Callable[[], bool]) -> bool:
        """Ask the teacher, if there is one, for its answers to all inputs.

        Args:
            outputs_folder: folder where they are kept.
            stop_requested: called before each part of the inputs.

        Returns:
            Whether the training can begin; False if a rank was asked to stop.
        """
        teacher, config, network = self._teacher, self._config, self._network
        if teacher is None:
            return True
        sets = [one.features.lengths for one in self._data.sets]
        check_inputs_fit(network.bort.architecture, sets)
        if config.features.is_on:
            config.features.check_fits(network.bort.architecture, teacher.architecture)
        # A run that is refused keeps no answers.
        plan_inputs(self._train.lengths, config, self._batch_size, self._communicator.size)
        self._answers = ask_task_teacher(
            teacher,
            self._train,
            outputs_folder,
            config.features,
            config.kept,
            batch_size=config.batch_size_eval,
            communicator=self._communicator,
            start=self._start.initialise_from,
            record=self._folder / RUN_FILE if self._continues else None,
            stop_requested=stop_requested,
        )
        return self._answers is not None

    def budget(self, replay: Optional[str], seconds_before: float) -> Optional[RunBudget]:
        """Return the time of the training; see `run_finetuning` for the arguments."""
        asked = sum(len(one.features) for one in self._data.dev)
        asked_after = sum(len(one.features) for one in self._data.test)
        has_spans = self._data.record.has_spans
        return open_budget(
            self._config.budget,
            self._communicator,
            self._folder / METRICS_FILE,
            is_resumed=self._is_resumed,
            replay=replay,
            seconds_before=seconds_before,
            evaluations_after=asked_after / max(1, asked) + (1.0 if has_spans else 0.0),
        )

    def train(
        self, budget: Optional[RunBudget], stop_requested: Callable[[], bool]
    ) -> FinetuningResult:
        """Train, with records, checkpoints and the best model in the folder.

        Args:
            budget: the time of the training; None for none.
            stop_requested: called before every step.
        """
        data = self._data
        return finetune(
            self._network,
            self._train,
            [DevSet(dev.split, dev.features, make_judge(data.options, dev)) for dev in data.dev],
            self._config,
            self._communicator,
            self._context,
            pad_id=data.vocabulary.pad_id,
            batch_size=self._batch_size,
            folder=self._folder,
            description=self._description,
            resume=self._continues,
            identity=self._identity,
            teacher=self._answers,
            hooks=FinetuningHooks(
                open_metrics=self._open_metrics,
                stop_requested=stop_requested,
                on_epoch=self._on_epoch,
                show_progress=self._is_shown,
                title=f"fine-tuning on {data.record.name}",
                budget=budget,
                on_trial=self._on_trial,
                on_marker=self._on_marker,
            ),
        )

    def finish(self, result: FinetuningResult) -> Dict[str, Any]:
        """Return the folder of the model and the predictions of the test sets, if there are any."""
        folder, data = self._folder / MODEL_FOLDER, self._data
        if self._is_chief and result.best is None:
            save_model_folder(folder, self._network, self._description)
        wait_for_all(self._communicator)
        found: Dict[str, Any] = {"model": str(folder)}
        if data.test and not data.record.has_spans:
            classifier = TaskClassifier.load(folder, self._context)
            rows = self._config.batch_size_eval
            found["test_predictions"] = [
                classifier.predict(test, self._communicator, rows) for test in data.test
            ]
        return found

    def _open_metrics(self, done: int) -> MetricsWriter:
        if not self._is_chief:
            return NullWriter()
        data, begun = self._data, self._start.initialise_from
        writer = RunFolder(self._folder, done)
        if begun is not None and self._is_ordered:
            begun.save(self._folder)
        writer.record(self._record())
        data.vocabulary.save(self._folder / MODEL_FOLDER / VOCABULARY_FOLDER)
        if self._is_shown:
            for line in data_lines(data):
                log.info("%s", line)
        return writer

    def _record(self) -> Dict[str, Any]:
        """Return the content of `run.json`."""
        data, teacher, answers = self._data, self._teacher, self._answers
        return {
            "task": data.record.name,
            "settings": self._config.as_dict(),
            "pretrained": self._start.pretrained,
            "teacher_folder": None if teacher is None else teacher.folder,
            FEATURES_KEPT: None if answers is None else answers.features_kept,
            **self._identity,
            "architecture": self._network.bort.architecture.as_dict(),
            "ranks": self._communicator.size,
            "batch_size": self._batch_size,
            "inputs": {s.name: len(s.features) for s in data.sets},
            "truncated": {s.name: s.features.truncated for s in data.sets},
            "classes": class_counts(data),
            PAIRS: data.pairs.as_dict(),
        }

    def _on_epoch(self, score: DevScore) -> None:
        if self._is_shown:
            shown = ", ".join(f"{name} {value:.4f}" for name, value in score.metrics.items())
            log.info("epoch %d: %s", score.epoch, shown)

    def _on_trial(self, estimate: Mapping[str, float]) -> None:
        if self._is_shown:
            log.info("%s", describe_estimate(estimate))

    def _on_marker(self, facts: Mapping[str, float]) -> None:
        if self._is_chief:
            keep_model(self._folder, facts, self._save_model)

    def _save_model(self, target: Path, notes: Mapping[str, Any]) -> None:
        save_model_folder(target, self._network, self._noted(notes))
        self._data.vocabulary.save(target / VOCABULARY_FOLDER)

    def _noted(self, notes: Mapping[str, Any]) -> ModelDescription:
        """Return the description of the model with further notes."""
        return self._description.replace(notes={**self._description.notes, **notes})
