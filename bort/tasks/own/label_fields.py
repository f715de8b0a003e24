"""The fields of a task file about the labels of an own task, and the metrics that fit them."""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

from bort.errors import InputError
from bort.storage.json_fields import JsonFields
from bort.tasks.records import (
    ACCURACY,
    F1,
    MACRO_F1,
    MATTHEWS,
    MICRO_F1,
    PEARSON,
    SPEARMAN,
    SUBSET_ACCURACY,
)

CLASSES, NUMBER, SEVERAL_LABELS = "classes", "number", "labels"
LABEL_KINDS = (CLASSES, NUMBER, SEVERAL_LABELS)
"""One class for each row, one number for each row, or any number of labels for each row."""

CLASS_METRICS = (ACCURACY, MACRO_F1, MATTHEWS, F1)
NUMBER_METRICS = (PEARSON, SPEARMAN)
LABELS_METRICS = (MICRO_F1, MACRO_F1, SUBSET_ACCURACY)
METRICS = tuple(dict.fromkeys((*CLASS_METRICS, *LABELS_METRICS, *NUMBER_METRICS)))

FORMS = "label_separator", "label_columns"
"""Fields that kind `labels` alone has."""


class LabelFields(NamedTuple):
    """The labels of a task, and the places where they stand.

    Attributes:
        kind: one of `LABEL_KINDS`.
        labels: the classes or labels in the order of their ids; () for numbers.
        label_range: least and largest number; None for classes and labels.
        metrics: names of the metrics.
        label_column: name of the column with the labels; "" if each has a column.
        label_separator: text between several labels in a cell; "" if there is none.
        label_columns: names of the columns with 0 and 1, one for each label; () if there are none.
    """

    kind: str
    labels: Tuple[str, ...]
    label_range: Optional[Tuple[float, float]]
    metrics: Tuple[str, ...]
    label_column: str
    label_separator: str
    label_columns: Tuple[str, ...]


def read_label_fields(given: JsonFields) -> LabelFields:
    """Return the fields about labels of an object of JSON.

    Raises:
        InputError: a field is missing, has a bad value, or does not fit the kind of the labels.
    """
    has_range = given.has("label_range")
    if has_range == given.has("labels"):
        raise InputError(
            f"{given.source}: labels and label_range are "
            f"{'both given' if has_range else 'both missing'}, allowed is one of them"
        )
    kind = _kind(given, has_range)
    labels = () if has_range else some_texts(given, "labels", 2, None)
    separator, columns = _forms(given, kind)
    if columns and columns != labels:
        raise InputError(
            f"{given.source}: label_columns is {list(columns)!r:.200}, allowed are the labels, "
            f"{list(labels)!r:.200}"
        )
    return LabelFields(
        kind,
        labels,
        _range(given) if has_range else None,
        _metrics(given, kind, labels),
        "" if columns else _filled(given, "label_column"),
        separator,
        columns,
    )


def check_metric(metric: str, kind: str, classes: int, source: str) -> None:
    """Check that a metric fits a task.

    Args:
        metric: name of the metric.
        kind: one of `LABEL_KINDS`.
        classes: number of classes or labels; 0 for numbers.
        source: name of the file in error messages.

    Raises:
        InputError: names the metrics that are allowed.
    """
    allowed = {CLASSES: CLASS_METRICS, NUMBER: NUMBER_METRICS, SEVERAL_LABELS: LABELS_METRICS}[kind]
    if kind == CLASSES and classes > 2:
        allowed = tuple(one for one in allowed if one != F1)  # of the second of two labels
    if metric not in allowed:
        what = "numbers" if kind == NUMBER else f"{classes} {kind}"
        raise InputError(
            f"{source}: metric is {metric!r}, allowed for {what} are {', '.join(allowed)}"
        )


def some_texts(given: JsonFields, name: str, least: int, most: Optional[int]) -> Tuple[str, ...]:
    """Return a field with different texts that are not empty.

    Raises:
        InputError: there are fewer than `least` or more than `most` (None: any number).
    """
    texts = given.texts(name)
    enough = least <= len(texts) <= (most or len(texts))
    if not enough or len(set(texts)) < len(texts) or not all(text.strip() for text in texts):
        counts = f"{least} or {most}" if most else f"{least} or more"
        raise InputError(
            f"{given.source}: {name} is {list(texts)!r:.200}, allowed are {counts} different texts"
        )
    return texts


def _kind(given: JsonFields, has_range: bool) -> str:
    kind = given.text("kind") if given.has("kind") else NUMBER if has_range else CLASSES
    allowed = (NUMBER,) if has_range else (CLASSES, SEVERAL_LABELS)
    if kind not in allowed:
        with_field = "label_range" if has_range else "labels"
        raise InputError(
            f"{given.source}: kind is {kind!r}, allowed with {with_field} is {' or '.join(allowed)}"
        )
    return kind


def _forms(given: JsonFields, kind: str) -> Tuple[str, Tuple[str, ...]]:
    """Return the separator and the columns of several labels."""
    for name in FORMS:
        if kind != SEVERAL_LABELS and given.has(name):
            raise InputError(
                f"{given.source}: {name} is given, allowed with kind {SEVERAL_LABELS!r} only"
            )
    if not given.has("label_columns"):
        return _filled(given, "label_separator") if given.has("label_separator") else "", ()
    for name in ("label_separator", "label_column", "positions"):
        if given.has(name):
            raise InputError(
                f"{given.source}: label_columns and {name} are both given, allowed is one of them"
            )
    return "", some_texts(given, "label_columns", 2, None)


def _filled(given: JsonFields, name: str) -> str:
    text = given.text(name)
    if not text.strip() and name == "label_column":
        raise InputError(f"{given.source}: {name} is {text!r}, allowed is the name of a column")
    if not text:
        raise InputError(f"{given.source}: {name} is {text!r}, allowed is a text between labels")
    return text


def _range(given: JsonFields) -> Tuple[float, float]:
    numbers = given.numbers("label_range")
    if len(numbers) != 2 or numbers[0] >= numbers[1]:
        raise InputError(
            f"{given.source}: label_range is {list(numbers)}, allowed are two numbers, the lower "
            "one first"
        )
    return float(numbers[0]), float(numbers[1])


def _metrics(given: JsonFields, kind: str, labels: Tuple[str, ...]) -> Tuple[str, ...]:
    metrics = some_texts(given, "metrics", 1, None)
    for metric in metrics:
        check_metric(metric, kind, len(labels), given.source)
    return metrics
