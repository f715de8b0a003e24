"""Conversion of a model's outputs per input into one prediction per official item.

A prediction has the form of an item's label: a label string, a number, a tuple of label strings
(MultiRC, one for each answer; all labels that a text has, if it may have several) or a text
(ReCoRD). Where one of several inputs of an item is chosen,
the score of an input is the output of the class "right" minus that of "wrong", and of equal scores
the first wins. The order of the outputs does not matter.
"""

from __future__ import annotations

from typing import Iterable, List, Sequence, Tuple, Union

import numpy as np

from bort.errors import InputError, WorkError
from bort.tasks import records
from bort.tasks.formulations import candidates, input_labels, output_count
from bort.tasks.items import Label, TaskItem
from bort.tasks.options import TaskOptions
from bort.tasks.records import TaskRecord

THRESHOLD = 0.5
"""A text has a label, of several ones, if the label's probability is above this."""


def decide(
    record: TaskRecord,
    items: Sequence[TaskItem],
    item_numbers: np.ndarray,
    choices: np.ndarray,
    outputs: np.ndarray,
    options: TaskOptions,
) -> List[Label]:
    """Return the predictions of all items, in the order of `items`.

    Args:
        record: the task.
        items: M official examples.
        item_numbers: integers (N,), the index of each input's item.
        choices: integers (N,), the index of the answer that each input is about.
        outputs: (N, classes) logits or log probabilities; (N,) or (N, 1) for a regression.
        options: the task options that the inputs were made with.

    Raises:
        InputError: an input of an item is missing or repeated, or the shapes do not fit.
        WorkError: an output is not finite.
    """
    table = _checked(record, item_numbers, choices, outputs, options)
    counts = np.array([_input_count(record, item, options) for item in items], dtype=np.int64)
    first = np.cumsum(counts) - counts
    if len(item_numbers) and not 0 <= item_numbers.min() <= item_numbers.max() < len(items):
        raise InputError(f"{record.name}: an output belongs to none of the {len(items)} items")
    if (choices < 0).any() or (choices >= counts[item_numbers]).any():
        raise InputError(f"{record.name}: an output is for a choice that its item does not have")
    place = first[item_numbers] + choices
    times = np.bincount(place, minlength=int(counts.sum()))
    if (times != 1).any():
        wrong = int(np.flatnonzero(times != 1)[0])
        item = int(np.searchsorted(first, wrong, side="right")) - 1
        raise InputError(
            f"{items[item].where}: choice {wrong - int(first[item])} has {int(times[wrong])} "
            "outputs, expected one"
        )
    ordered = np.empty_like(table)
    ordered[place] = table
    parts = np.split(ordered, first[1:]) if len(items) else []
    return [_decision(record, item, part, options) for item, part in zip(items, parts)]


def _checked(
    record: TaskRecord,
    item_numbers: np.ndarray,
    choices: np.ndarray,
    outputs: np.ndarray,
    options: TaskOptions,
) -> np.ndarray:
    table = np.asarray(outputs, dtype=np.float64)
    if table.ndim == 1 and record.is_regression:
        table = table[:, None]
    expected = (len(item_numbers), output_count(record, options))
    if table.shape != expected or len(choices) != len(item_numbers):
        raise InputError(f"{record.name}: outputs have the shape {table.shape}, not {expected}")
    if not np.isfinite(table).all():
        row = int(np.flatnonzero(~np.isfinite(table).all(axis=1))[0])
        raise WorkError(f"{record.name}: output {row} is {table[row].tolist()}, not finite")
    return table


def _input_count(record: TaskRecord, item: TaskItem, options: TaskOptions) -> int:
    if record.formulation == records.CHOICES:
        return 2
    if record.formulation == records.ANSWERS:
        return len(item.texts("answers"))
    if record.formulation == records.ENTITIES:
        return len(candidates(item))
    if record.formulation == records.OPTIONS and input_labels(record, options) != record.labels:
        return len(item.texts("options"))
    return 1


def _decision(
    record: TaskRecord, item: TaskItem, outputs: np.ndarray, options: TaskOptions
) -> Label:
    """Return the prediction of an item from outputs (inputs of the item, classes) by choice."""
    if record.label_range is not None:
        return float(np.clip(outputs[0, 0], *record.label_range))
    if record.several_labels:
        return held_labels(record.labels, label_probabilities(outputs[0]))
    if record.formulation == records.ANSWERS:
        return tuple(record.labels[number] for number in outputs.argmax(axis=1))
    if len(outputs) == 0:
        raise InputError(f"{item.where}: has no candidate to choose from")
    if record.formulation == records.ENTITIES:
        return candidates(item)[_best(outputs)]
    several = record.formulation in (records.CHOICES, records.OPTIONS) and len(outputs) > 1
    number: Union[int, np.integer] = _best(outputs) if several else outputs[0].argmax()
    return record.labels[number]


def label_probabilities(outputs: np.ndarray) -> np.ndarray:
    """Return the probability of each of several labels, the sigmoid of its output."""
    from scipy.special import expit  # late, so that commands start without SciPy

    found: np.ndarray = expit(np.asarray(outputs, dtype=np.float64))
    return found


def held_labels(labels: Sequence[str], probabilities: Iterable[float]) -> Tuple[str, ...]:
    """Return the labels whose probability is above `THRESHOLD`.

    >>> held_labels(("a", "b", "c"), (0.9, 0.5, 0.6))
    ('a', 'c')
    """
    return tuple(label for label, chance in zip(labels, probabilities) if chance > THRESHOLD)


def _best(outputs: np.ndarray) -> int:
    return int((outputs[:, 1] - outputs[:, 0]).argmax())
