"""Networks of fine-tuning that start from a teacher's weights."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Callable, Optional

import mxnet as mx

from bort.gluon.network.array_network import headed_network
from bort.gluon.network.measured_importance import ImportanceQuestions, labelled_questions
from bort.gluon.network.networks import HeadedNetwork
from bort.gluon.network.teacher_start import TeacherStart
from bort.network.array_network import ArrayNetwork
from bort.network.description import ModelDescription
from bort.network.from_teacher import OrderedNetwork, as_whole, student_from
from bort.network.head import HeadDescription
from bort.tasks.judging import TaskData
from bort.training.finetuning_config import FinetuningConfig

_BATCHES_SEED = 0
"""Seed of the batches of importance, which all seeds of a run share."""


def student_classifier(
    start: TeacherStart,
    architecture: str,
    data: TaskData,
    config: FinetuningConfig,
    head: HeadDescription,
    context: mx.Context,
    *,
    is_fresh: bool = True,
    stored_in: Optional[Path] = None,
) -> HeadedNetwork:
    """Return a network with a head and a slice of its teacher's weights.

    It takes the head of a teacher that was fine-tuned on the same task, if that has the same kind
    and the same labels; another head is new.

    Args:
        start: the teacher.
        architecture: name of the student's architecture, see `TeacherStart.sizes`.
        data: data of the task; importance is measured on training inputs with their labels.
        config: settings of the training.
        head: the head that the task needs.
        context: device of the network.
        is_fresh: whether the weights count; those of a resumed run come from its checkpoint.
        stored_in: see `TeacherStart.ranked`.

    Raises:
        InputError: the student does not fit its teacher, or the vocabularies differ.
    """
    sizes = start.sizes(architecture, data.vocabulary)
    teacher = start.network.description
    of_task = is_of_task(teacher, data, head)
    takes_head = of_task and teacher.head is not None and teacher.head.kind == head.kind

    def student(ranked: OrderedNetwork) -> ArrayNetwork:
        return student_from(ranked, sizes, head=takes_head, source=start.folder)

    network = student(as_whole(start.network))  # checks the sizes before importance is measured
    if is_fresh:
        questions = task_questions(data, has_labels=of_task)
        network = student(start.ranked(questions, context, stored_in))
    return headed_network(network.replace(dropout=config.dropout), head, config.seed, context)


def task_questions(data: TaskData, *, has_labels: bool) -> Callable[[int], ImportanceQuestions]:
    """Return the function that gives `TeacherStart.ranked` batches of a task's training inputs.

    Args:
        data: data of the task.
        has_labels: whether the classes of the teacher are those of the labels.
    """
    return functools.partial(
        labelled_questions,
        data.train.features,
        data.vocabulary.pad_id,
        _BATCHES_SEED,
        has_labels=has_labels,
    )


def is_of_task(teacher: ModelDescription, data: TaskData, head: HeadDescription) -> bool:
    """Return whether a teacher's outputs are those that the task needs.

    Args:
        teacher: description of the teacher.
        data: data of the task.
        head: the head that the task needs.
    """
    if teacher.head is None or teacher.task is None:
        return False
    same_task = teacher.task.name == data.record.model_task
    own = teacher.head
    return same_task and (own.num_classes, own.labels, own.problem_type) == (
        head.num_classes,
        head.labels,
        head.problem_type,
    )
