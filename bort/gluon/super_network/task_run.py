"""Super-networks that learn a task, from its labels and from a teacher of the task."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

from bort.architecture import Architecture
from bort.errors import InputError
from bort.gluon.finetuning.asking_teacher import ask_task_teacher
from bort.gluon.finetuning.finetune import DevSet, check_inputs_fit, dev_metrics
from bort.gluon.finetuning.from_teacher import task_questions
from bort.gluon.finetuning.learner import TaskLearner
from bort.gluon.finetuning.starting_point import head_of_task
from bort.gluon.finetuning.task_description import task_fields
from bort.gluon.finetuning.task_teacher import (
    OUTPUTS_FOLDER,
    EncoderTeacher,
    open_task_teacher,
)
from bort.gluon.finetuning.teacher_answers import TeacherAnswersByInput
from bort.gluon.network.teacher_start import TeacherStart
from bort.gluon.super_network.lessons import TaskLessons
from bort.gluon.super_network.run import SuperNetworkRun, check_features_fit
from bort.gluon.super_network.train import SuperNetworkData
from bort.network.head import REGRESSION, RELEASE, SPAN, HeadDescription
from bort.ranks import Communicator
from bort.storage.locks import hold_run_folder
from bort.super_network.config import SuperNetworkConfig, SuperNetworkPaths
from bort.tasks.judging import TaskData, make_judge
from bort.tasks.training_inputs import training_examples
from bort.teacher.keeping_features import FEATURES_KEPT
from bort.text.batch_plan import BatchPlan, PlannedStep, own_micro_batches
from bort.text.labelled import LabelledBatch, make_labelled_batch
from bort.text.padding import longest_row


def train_on_task(
    paths: SuperNetworkPaths,
    config: SuperNetworkConfig,
    data: TaskData,
    communicator: Communicator,
    stop_requested: Callable[[], bool],
    *,
    outputs_folder: Optional[Path] = None,
    seconds_before: float = 0.0,
) -> Dict[str, Any]:
    """Train a super-network on a task in the folder `paths.output_dir`, and save it there.

    Args:
        paths: files and folders of the run, and the space.
        config: settings of the training; its steps are optimizer steps.
        data: data sets of the task; unlabelled inputs learn from the teacher alone.
        communicator: the ranks that train together.
        stop_requested: called before every step; True stops the run after that step.
        outputs_folder: folder where the teacher's outputs and features are kept; None: in
            `paths.output_dir`.
        seconds_before: seconds of this process that a timed run does not count, because earlier
            runs have used them.

    Returns:
        The values that the command prints: task, steps, whether the run was stopped, dev scores
        and folder.

    Raises:
        InputError: task, space, start, teacher or folder do not fit together, or another process
            uses the folder.
        WorkError: the loss or a metric is not finite, or the disk is full.
    """
    folder, settings = Path(paths.output_dir), config.pretraining
    with hold_run_folder(folder, communicator):
        run = SuperNetworkRun(paths, config, data.vocabulary, communicator)
        _check_types(data, run.architecture, paths)
        check_inputs_fit(run.architecture, [one.features.lengths for one in data.sets])
        teacher = _teacher(paths, config, data, run)
        head, is_of_task = _head(run.origin, data, settings.dropout)
        longest = run.architecture.maximum_length
        if teacher is not None:
            longest = min(longest, teacher.architecture.maximum_length)
        task = _Task(data, config, communicator, head.num_classes, longest)
        run.start(task_questions(data, has_labels=is_of_task), head)
        answers: Optional[TeacherAnswersByInput] = None
        if teacher is not None:
            answers = ask_task_teacher(
                teacher,
                training_examples(data),
                outputs_folder or folder / OUTPUTS_FOLDER,
                settings.features,
                config.kept,
                batch_size=settings.batch_size_eval,
                communicator=communicator,
                start=run.numbering(teacher.folder),
                record=run.record,
                stop_requested=stop_requested,
            )
            if answers is None:
                return {"task": data.record.name, **run.stopped_early()}
        return {
            "task": data.record.name,
            **run.train(
                config,
                TaskLessons(
                    config, run.context, answers, is_regression=head.problem_type == REGRESSION
                ),
                SuperNetworkData(
                    task.batches, task.score if data.dev else None, task.examples.fingerprint
                ),
                stop_requested,
                feature_teacher=None if answers is None else answers.architecture,
                identity={
                    "task": data.record.name,
                    "options": data.options.as_dict(),
                    "dev": {dev.split: dev.features.fingerprint for dev in data.dev},
                    "teacher": None if teacher is None else teacher.fingerprint,
                },
                recorded={FEATURES_KEPT: None if answers is None else answers.features_kept},
                described=task_fields(data, config.max_len),
                seconds_before=seconds_before,
            ),
        }


def _teacher(
    paths: SuperNetworkPaths, config: SuperNetworkConfig, data: TaskData, run: SuperNetworkRun
) -> Optional[EncoderTeacher]:
    """Return the teacher of the task; None for `none`.

    Raises:
        InputError: it is of another task, or does not fit; or a setting needs a teacher.
    """
    name, features = paths.teacher.teacher_model, config.pretraining.features
    if name.lower() == "none":
        for setting in ("hidden_weight", "relation_weight"):
            weight = getattr(features, setting)
            if weight > 0:
                raise InputError(
                    f"teacher_model is 'none' and {setting} is {weight!r}; allowed without a "
                    "teacher is 0"
                )
        if data.unlabelled is not None:
            raise InputError(
                "unlabelled is given and teacher_model is 'none', whose outputs it would learn from"
            )
        return None
    teacher = open_task_teacher(
        name,
        data,
        run.context,
        soft_weight=config.soft_weight,
        features=features,
        runtime=config.pretraining.teacher_runtime,
    )
    if teacher is not None and features.is_on:
        check_features_fit(features, run.space, run.architecture, teacher.architecture)
    return teacher


def _head(
    start: Optional[TeacherStart], data: TaskData, dropout: float
) -> Tuple[HeadDescription, bool]:
    """Return the head of the task, and whether the network at the start has one for it."""
    head = head_of_task(data, RELEASE, dropout)
    if start is None:
        return head, False
    own, trained_on = start.network.description.head, start.network.description.task
    is_of_task = trained_on is None or trained_on.name == data.record.model_task
    if own is None or not is_of_task or _outputs_of(own) != _outputs_of(head):
        return head, False
    if head.is_span:
        return head, True
    return dataclasses.replace(own, dropout=dropout, unit=head.unit), True


def _outputs_of(head: HeadDescription) -> Tuple[str, int, Tuple[str, ...]]:
    return head.problem_type, head.num_classes, head.labels


def _check_types(data: TaskData, architecture: Architecture, paths: SuperNetworkPaths) -> None:
    if data.pairs.typed and architecture.token_types < 2:
        raise InputError(
            f"{paths.start or paths.architecture}: has {architecture.token_types} token types, the "
            "data has token types 0 and 1"
        )


class _Task:
    """Batches and dev scores of a task."""

    def __init__(
        self,
        data: TaskData,
        config: SuperNetworkConfig,
        communicator: Communicator,
        width: int,
        longest_allowed: int,
    ) -> None:
        settings = config.pretraining
        self.examples = training_examples(data)
        self._settings = settings
        self._communicator = communicator
        self._pad_id = data.vocabulary.pad_id
        self._width = width
        self._dev = [
            DevSet(dev.split, dev.features, make_judge(data.options, dev)) for dev in data.dev
        ]
        self._plan = BatchPlan(
            self.examples.lengths,
            seed=settings.order_seed,
            batch_size=settings.batch_size,
            parts=settings.accumulation.parts(communicator.size),
            buckets=settings.num_buckets,
            maximum_length=longest_row(self.examples.lengths, longest_allowed),
        )

    def batches(self, first: int) -> Iterator[List[LabelledBatch]]:
        """Yield the micro-batches of this rank for each batch of the plan from `first`."""

        def make(planned: PlannedStep, example_ids: Any) -> LabelledBatch:
            return make_labelled_batch(self.examples, example_ids, planned.length, self._pad_id)

        numbers = self._settings.accumulation.batches(first, self._settings.num_steps)
        return own_micro_batches(self._plan, numbers, self._communicator, make)

    def score(self, learner: TaskLearner) -> Mapping[str, float]:
        """Return the dev metrics by name."""
        return dev_metrics(
            learner.predict,
            self._dev,
            rows=self._settings.batch_size_eval,
            pad_id=self._pad_id,
            width=self._width,
            ranks=self._communicator,
            where="dev scores",
            per_token=learner.network.head == SPAN,
        )
