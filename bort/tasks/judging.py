"""Conversion of a model's outputs for a set into predictions by official index and into metrics."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Union

import numpy as np

from bort.errors import InputError
from bort.tasks.decisions import decide
from bort.tasks.features import TaskFeatures
from bort.tasks.items import TaskItem
from bort.tasks.metrics import by_index, score_task
from bort.tasks.options import TaskOptions
from bort.tasks.records import TaskRecord
from bort.tasks.squad.decoding import SpanAnswer, decode_spans
from bort.tasks.squad.windows import SpanFeatures
from bort.text.pair_form import ROBERTA_PAIRS, PairForm
from bort.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class TaskSet:
    """One split of a task, tokenised.

    Attributes:
        record: the task.
        split: name of the split.
        items: official examples.
        features: the tokenised inputs of the items: windows of passages for a task with spans.
    """

    record: TaskRecord
    split: str
    items: Sequence[TaskItem]
    features: Union[TaskFeatures, SpanFeatures]

    @property
    def name(self) -> str:
        """The task and the split, for messages."""
        return f"{self.record.name} {self.split}"

    def followed_by(self, other: TaskSet) -> TaskSet:
        """Return this set and another one of the same task, without spans, as one set.

        Args:
            other: has the same vocabulary and, where both have labels, the same kind of labels.
        """
        own, more = self.features, other.features
        assert isinstance(own, TaskFeatures)
        assert isinstance(more, TaskFeatures)
        fingerprints = f"{own.fingerprint} {more.fingerprint}"
        features = TaskFeatures(
            tokens=np.concatenate([own.tokens, more.tokens]),
            offsets=np.concatenate([own.offsets, own.offsets[-1] + more.offsets[1:]]),
            labels=np.concatenate([own.labels, more.labels]),
            item_numbers=np.concatenate([own.item_numbers, len(self.items) + more.item_numbers]),
            choices=np.concatenate([own.choices, more.choices]),
            truncated=own.truncated + more.truncated,
            dropped_tokens=own.dropped_tokens + more.dropped_tokens,
            vocabulary_fingerprint=own.vocabulary_fingerprint,
            fingerprint=hashlib.sha256(fingerprints.encode()).hexdigest(),
            type_separator=own.type_separator,
        )
        return TaskSet(self.record, self.split, [*self.items, *other.items], features)


@dataclass(frozen=True)
class TaskData:
    """A task with its tokenised sets.

    Attributes:
        record: the task to train.
        options: options that its inputs were made with.
        train: labelled training set.
        dev: labelled sets on which the best epoch is chosen; MNLI has two.
        test: sets to predict, possibly none; also those of diagnostics that use this task's model.
        vocabulary: vocabulary of the inputs.
        held_out: SHA-256 of the labelled examples that were held out of `train`; None if none.
        pairs: form of inputs of two texts.
        unlabelled: inputs without labels, which learn from a teacher alone; None if there are none.
    """

    record: TaskRecord
    options: TaskOptions
    train: TaskSet
    dev: Sequence[TaskSet]
    test: Sequence[TaskSet]
    vocabulary: Vocabulary
    held_out: Optional[str] = None
    pairs: PairForm = ROBERTA_PAIRS
    unlabelled: Optional[TaskSet] = None

    @property
    def sets(self) -> Sequence[TaskSet]:
        """All sets: train, unlabelled, dev and test."""
        unlabelled = [] if self.unlabelled is None else [self.unlabelled]
        return [self.train, *unlabelled, *self.dev, *self.test]


Outputs = Union[np.ndarray, Sequence[np.ndarray]]
"""Outputs of a set's inputs: (N, classes). Of a task with spans they are (T, 2), for the T tokens
of all windows in order, or a list of (length, 2) for each window."""


def predict(options: TaskOptions, task_set: TaskSet, outputs: Outputs) -> Dict[Any, Any]:
    """Return predictions by official index from the outputs of a set's inputs."""
    record, features = task_set.record, task_set.features
    if isinstance(features, SpanFeatures):
        answers = answer_spans(options, task_set, outputs)
        return by_index(record, task_set.items, [answer.text for answer in answers])
    decided = decide(
        record,
        task_set.items,
        features.item_numbers,
        features.choices,
        np.asarray(outputs),
        options,
    )
    return by_index(record, task_set.items, decided)


def answer_spans(options: TaskOptions, task_set: TaskSet, outputs: Outputs) -> List[SpanAnswer]:
    """Return the answers to a set's questions, with their n-best lists, from the outputs.

    Args:
        options: options of the task.
        task_set: a set of a task with spans.
        outputs: float (T, 2) or a list of (length, 2); see `Outputs`.

    Raises:
        InputError: the task has no spans, or the outputs do not fit the windows.
        WorkError: an output is not finite.
    """
    if not isinstance(task_set.features, SpanFeatures):
        raise InputError(f"{task_set.name}: its answers are not spans of a passage")
    features, allows_no_answer = task_set.features, task_set.record.answers_optional
    windows: Sequence[np.ndarray] = list(outputs)
    if isinstance(outputs, np.ndarray) and len(outputs) == features.offsets[-1]:
        windows = [outputs[a:b] for a, b in zip(features.offsets, features.offsets[1:])]
    return decode_spans(task_set.items, features, windows, options.spans, allows_no_answer)


def gold_of(task_set: TaskSet) -> Dict[Any, Any]:
    """Return the labels of a set by official index.

    Raises:
        InputError: an item has no label.
    """
    labels = []
    for item in task_set.items:
        if item.label is None:
            raise InputError(f"{item.where}: has no label, {task_set.split} cannot be scored")
        labels.append(item.label)
    return by_index(task_set.record, task_set.items, labels)


def make_judge(options: TaskOptions, task_set: TaskSet) -> Callable[[Outputs], Mapping[str, float]]:
    """Return a function from the outputs for a labelled set to the official metrics.

    Raises:
        InputError: an item has no label.
    """
    record, gold = task_set.record, gold_of(task_set)

    def judge(outputs: Outputs) -> Mapping[str, float]:
        return score_task(record, predict(options, task_set, outputs), gold)

    return judge
