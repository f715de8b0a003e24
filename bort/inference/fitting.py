"""Checks that a model, its vocabulary, its labels and its task fit together."""

from __future__ import annotations

from typing import Optional, Tuple

from bort.errors import InputError
from bort.network.description import ModelDescription
from bort.network.head import REGRESSION
from bort.storage.json_fields import errors_naming
from bort.tasks.formulations import input_labels, output_count
from bort.tasks.options import TaskOptions
from bort.tasks.own.task import recorded_task
from bort.tasks.records import TaskRecord, get_task

_SPECIAL_TOKENS_OF_PAIR = 4


def task_of(described: ModelDescription, source: str) -> Tuple[Optional[TaskRecord], TaskOptions]:
    """Return the task that a model was fine-tuned on, None if none, and the options of its inputs.

    A span model without a task answers as one of SQuAD 1.1: each question has an answer.

    Raises:
        InputError: the task or an option is unknown, or the model's outputs do not fit the task.
    """
    if described.task is None or described.head is None:
        is_span = described.head is not None and described.head.is_span
        return get_task("SQuAD1.1") if is_span else None, TaskOptions()
    with errors_naming(source):
        record = recorded_task(described.task.name, described.task.definition, source)
        options = TaskOptions.from_dict(described.task.options or {}, source)
    described.head.check_for_task(
        source, spans=record.has_spans, several_labels=record.several_labels
    )
    expected = input_labels(record, options)
    if described.num_classes != output_count(record, options) or described.labels != expected:
        raise InputError(
            f"{source}: has {described.num_classes} outputs with the labels "
            f"{list(described.labels)}, {record.name} needs {list(expected) or 'one number'}"
        )
    return record, options


def labels_of(described: ModelDescription, source: str) -> Tuple[str, ...]:
    """Return the names of a classifier's outputs: `LABEL_0`, … if unnamed.

    They are () for a span model, and for a regression with one output, or with unnamed ones.

    Raises:
        InputError: two labels are the same.
    """
    head = described.head
    if head is None or head.is_span or (head.problem_type == REGRESSION and head.num_classes == 1):
        return ()
    if not described.labels:
        if head.problem_type == REGRESSION:
            return ()
        return tuple(f"LABEL_{number}" for number in range(described.num_classes))
    different = len(set(described.labels))
    if different != described.num_classes:
        raise InputError(
            f"{source}: has {described.num_classes} outputs and {different} different labels"
        )
    return described.labels


def embedding_length(described: ModelDescription, given: Optional[int], source: str) -> int:
    """Return the maximum input length for embeddings: `given`, else the model's own for them.

    Without one, it is that of `maximum_length`.

    Raises:
        InputError: the length leaves no room for text.
    """
    own = None if described.embedding is None else described.embedding.max_length
    if given is None and own is not None and own < described.architecture.maximum_length:
        if own <= _SPECIAL_TOKENS_OF_PAIR:
            raise InputError(
                f"{source}: max_length of embeddings is {own}, allowed is at least "
                f"{_SPECIAL_TOKENS_OF_PAIR + 1}"
            )
        return own
    return maximum_length(described, given, source)


def maximum_length(described: ModelDescription, given: Optional[int], source: str) -> int:
    """Return the maximum input length: `given`, else that of fine-tuning, else the model's.

    Raises:
        InputError: the length is more than the model takes, or leaves no room for text.
    """
    longest = described.architecture.maximum_length
    if given is not None:
        name, value = "max_length", given
    else:
        name, value = f"{source}: max_len", described.input_length or longest
    if type(value) is not int or not _SPECIAL_TOKENS_OF_PAIR < value <= longest:
        raise InputError(
            f"{name} is {value!r}, allowed are {_SPECIAL_TOKENS_OF_PAIR + 1} to {longest}"
        )
    return value
