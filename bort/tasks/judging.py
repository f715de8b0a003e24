"""From a model's outputs for a set to predictions by official index, and to the task's metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

import numpy as np

from bort.errors import InputError
from bort.tasks.decisions import decide
from bort.tasks.features import TaskFeatures
from bort.tasks.items import TaskItem
from bort.tasks.metrics import by_index, score_task
from bort.tasks.options import TaskOptions
from bort.tasks.records import TaskRecord
from bort.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class TaskSet:
    """One split of a task, tokenised.

    Attributes:
        record: the task.
        split: its name.
        items: official examples.
        features: the inputs made of them.
    """

    record: TaskRecord
    split: str
    items: Sequence[TaskItem]
    features: TaskFeatures

    @property
    def name(self) -> str:
        """Task and split."""
        return f"{self.record.name} {self.split}"


@dataclass(frozen=True)
class TaskData:
    """A task with its sets.

    Attributes:
        record: the task that is trained.
        options: how its items became inputs.
        train: labelled inputs to learn from.
        dev: labelled sets that the best epoch is chosen on; MNLI has two.
        test: sets to predict, perhaps none; also of tasks that this one's model answers.
        vocabulary: that the inputs were tokenised with.
        held_out: SHA-256 of the labelled examples that were carved out of `train`; None if none.
    """

    record: TaskRecord
    options: TaskOptions
    train: TaskSet
    dev: Sequence[TaskSet]
    test: Sequence[TaskSet]
    vocabulary: Vocabulary
    held_out: Optional[str] = None

    @property
    def sets(self) -> Sequence[TaskSet]:
        """All of them."""
        return [self.train, *self.dev, *self.test]


def predict(options: TaskOptions, task_set: TaskSet, outputs: np.ndarray) -> Dict[Any, Any]:
    """Predictions by index from outputs (N, classes) of the set's inputs."""
    record, features = task_set.record, task_set.features
    decided = decide(
        record, task_set.items, features.item_numbers, features.choices, outputs, options
    )
    return by_index(record, task_set.items, decided)


def make_judge(
    options: TaskOptions, task_set: TaskSet
) -> Callable[[np.ndarray], Mapping[str, float]]:
    """What turns outputs for a labelled set into the task's official metrics.

    Raises:
        InputError: an item without a label.
    """
    record = task_set.record
    labels = []
    for item in task_set.items:
        if item.label is None:
            raise InputError(f"{item.where}: has no label, {task_set.split} cannot be scored")
        labels.append(item.label)
    gold = by_index(record, task_set.items, labels)

    def judge(outputs: np.ndarray) -> Mapping[str, float]:
        return score_task(record, predict(options, task_set, outputs), gold)

    return judge
