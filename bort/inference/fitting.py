"""Do a model, its vocabulary, its labels and its task fit together? Nothing is answered before."""

from __future__ import annotations

from typing import Optional, Tuple

from bort.engines.protocol import ModelDescription
from bort.errors import InputError
from bort.tasks.formulations import input_labels, output_count
from bort.tasks.options import TaskOptions
from bort.tasks.records import TaskRecord, get_task
from bort.text.vocabulary import Vocabulary

_SPECIAL_TOKENS_OF_PAIR = 4


def check_vocabulary(described: ModelDescription, vocabulary: Vocabulary, source: str) -> None:
    """Raise `InputError` unless the vocabulary is the one that the model was trained with."""
    size = described.architecture.vocabulary_size
    if len(vocabulary) != size:
        raise InputError(f"{source}: knows {size} tokens, the vocabulary has {len(vocabulary)}")
    expected = described.extra.get("vocabulary")
    if expected and expected != vocabulary.fingerprint:
        raise InputError(
            f"{source}: the vocabulary ({vocabulary.fingerprint[:12]}) is not the one that the "
            f"model was trained with ({str(expected)[:12]})"
        )


def task_of(described: ModelDescription, source: str) -> Tuple[Optional[TaskRecord], TaskOptions]:
    """The task that a model was fine-tuned on, None for none, and how its inputs were made.

    Raises:
        InputError: the model says so in a way that cannot be, or has not the task's outputs.
    """
    if "task" not in described.extra or not described.num_classes:
        return None, TaskOptions()
    given = described.extra.get("options", {})
    if not isinstance(given, dict):
        raise InputError(f"{source}: options is {given!r}, an object is expected")
    record = get_task(str(described.extra["task"]))
    options = TaskOptions.from_dict(given, source)
    expected = input_labels(record, options)
    if described.num_classes != output_count(record, options) or described.labels != expected:
        raise InputError(
            f"{source}: has {described.num_classes} outputs with the labels "
            f"{list(described.labels)}, {record.name} needs {list(expected) or 'one number'}"
        )
    return record, options


def labels_of(described: ModelDescription, source: str) -> Tuple[str, ...]:
    """Names of a classifier's outputs, `LABEL_0`, … if it has none; () without classes to name.

    Raises:
        InputError: there are more or fewer labels than outputs, or two are the same.
    """
    if described.num_classes <= 1:
        return ()
    if not described.labels:
        return tuple(f"LABEL_{number}" for number in range(described.num_classes))
    different = len(set(described.labels))
    if not different == len(described.labels) == described.num_classes:
        raise InputError(
            f"{source}: has {described.num_classes} outputs and {different} different labels"
        )
    return described.labels


def maximum_length(described: ModelDescription, given: Optional[int], source: str) -> int:
    """Most tokens of an input: what is given, or that of fine-tuning, or what the model takes.

    Raises:
        InputError: it is more than the model takes, or leaves no room for text.
    """
    longest = described.architecture.maximum_length
    if given is not None:
        name, value = "max_length", given
    else:
        name, value = f"{source}: max_len", described.extra.get("max_len", longest)
    if type(value) is not int or not _SPECIAL_TOKENS_OF_PAIR < value <= longest:
        raise InputError(
            f"{name} is {value!r}, allowed are {_SPECIAL_TOKENS_OF_PAIR + 1} to {longest}"
        )
    return value
