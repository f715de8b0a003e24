"""`best_constant_score`: the score of a model that gives the same answer to every question."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, List, Mapping

from bort.tasks.metrics import mean_score, score_task
from bort.tasks.records import ENTITIES, TaskRecord

_MOST_ANSWERS = 20


def best_constant_score(record: TaskRecord, gold: Mapping[Any, Any]) -> float:
    """Return the largest mean of a task's metrics that one answer to all questions reaches.

    It is the share of the most frequent class for an accuracy, and 0 for a correlation.

    Args:
        record: the task.
        gold: official index of each example → its label, or a tuple of all right texts (ReCoRD); of
            many labels, or texts, the 20 most frequent ones are tried.
    """
    if record.is_regression:
        return 0.0  # a constant has no correlation
    labels: List[Any] = list(gold.values())
    if record.formulation == ENTITIES:
        labels = [text for texts in labels for text in texts]
    values = {repr(label): label for label in labels}
    frequent = Counter(map(repr, labels)).most_common(_MOST_ANSWERS)
    return max(
        mean_score(score_task(record, dict.fromkeys(gold, values[name]), gold))
        for name, _ in frequent
    )


def is_better_than_guessing(score: float, constant: float, examples: int) -> bool:
    """Return whether a score is above that of a constant answer by more than chance.

    The score must be larger by 1/√n, which is two standard errors of an accuracy of one half.

    Args:
        score: mean of the metrics.
        constant: the result of `best_constant_score`.
        examples: number n of examples, at least 1.

    >>> is_better_than_guessing(0.55, 0.5, 100), is_better_than_guessing(0.55, 0.5, 1000)
    (False, True)
    """
    return score > constant + 1 / math.sqrt(examples)
