"""The inputs of a task that a training learns from, and how many there are of each class."""

from __future__ import annotations

from typing import Dict, Iterator

import numpy as np

from bort.tasks.formulations import input_labels
from bort.tasks.judging import TaskData
from bort.text.labelled import LabelledExamples, WithUnlabelled


def training_examples(data: TaskData) -> LabelledExamples:
    """Return the inputs that are trained on: the training set, then those without labels."""
    if data.unlabelled is None:
        return data.train.features
    return WithUnlabelled(data.train.features, data.unlabelled.features)


def class_counts(data: TaskData) -> Dict[str, int]:
    """Return the number of training inputs of each class or label; empty for a regression."""
    labels = input_labels(data.record, data.options)
    if not labels:
        return {}
    if data.record.several_labels:
        held = np.asarray(data.train.features.labels).sum(axis=0)
        return {label: int(count) for label, count in zip(labels, held)}
    counts = np.bincount(data.train.features.labels, minlength=len(labels))
    return {label: int(count) for label, count in zip(labels, counts)}


def data_lines(data: TaskData) -> Iterator[str]:
    """Yield lines that tell the number of inputs of each set, and the shares of the classes."""
    for task_set in data.sets:
        examples, inputs = len(task_set.items), len(task_set.features)
        yield f"{task_set.name}: {examples} examples, {inputs} inputs"
    counts = class_counts(data)
    if counts:
        total = max(1, len(data.train.features))
        shares = ", ".join(f"{label} {count / total:.0%}" for label, count in counts.items())
        yield f"classes in training: {shares}"
