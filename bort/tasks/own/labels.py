"""Labels of an own task: classes or numbers, their checks, and the metrics that fit them."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from bort.errors import InputError
from bort.tasks.items import Label
from bort.tasks.own.task import check_metric
from bort.tasks.records import ACCURACY, MACRO_F1, MATTHEWS, PEARSON, SPEARMAN

CLASSES, NUMBER = "classes", "number"
LABEL_KINDS = (CLASSES, NUMBER)

MOST_CLASSES = 1000
IMBALANCE = 4
"""Classes are imbalanced if the largest has more than this many times the rows of the smallest."""

_WHOLE = re.compile(r"[+-]?[0-9]+(?:\.0+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+")
_MISSING = ("nan", "NaN", "None", "null", "NULL", "n/a", "N/A", "#N/A", "NA")
_SHOWN = 5


@dataclass(frozen=True)
class LabelSummary:
    """The labels of a file, and the metrics that follow from them.

    Attributes:
        labels: the classes in the order of their ids; () for numbers.
        label_range: least and largest number; None for classes.
        counts: rows of each class; {} for numbers.
        metrics: names of the metrics.
    """

    labels: Tuple[str, ...]
    label_range: Optional[Tuple[float, float]]
    counts: Mapping[str, int]
    metrics: Tuple[str, ...]

    @property
    def text(self) -> str:
        """The kind of the labels and their shares, in words."""
        if self.label_range is not None:
            low, high = self.label_range
            return f"numbers from {low:g} to {high:g}"
        total = sum(self.counts.values())
        shares = [f"{name} {100 * count / total:.0f} %" for name, count in self.counts.items()]
        more = f", and {len(shares) - _SHOWN} more" if len(shares) > _SHOWN else ""
        return f"{len(shares)} classes ({', '.join(shares[:_SHOWN])}{more})"

    @property
    def doubts(self) -> List[str]:
        """Classes that are probably not meant, in words."""
        spellings: Dict[str, List[str]] = {}
        for name in self.labels:
            spellings.setdefault(" ".join(name.casefold().split()), []).append(name)
        same = [" and ".join(map(repr, names)) for names in spellings.values() if len(names) > 1]
        missing = [name for name in self.labels if name in _MISSING]
        lines: List[str] = []
        if same:
            lines.append(f"classes that differ in upper and lower case only: {', '.join(same)}")
        if missing:
            lines.append(f"classes that look like a missing label: {', '.join(missing)}")
        return lines


def summarise_labels(
    values: Sequence[str],
    places: Sequence[str],
    column: str,
    kind: Optional[str] = None,
    metric: Optional[str] = None,
) -> LabelSummary:
    """Decide whether labels are classes or numbers, and check them.

    Labels are numbers if more than half of them are numbers that are not whole, or if `kind` says
    so. The classes are in the order of their numbers if all are whole numbers, else of their names.

    Args:
        values: the labels of the rows that have one.
        places: file and line of each.
        column: file and column of the labels, for error messages.
        kind: `classes` or `number`; None: what the labels look like.
        metric: the metric; None: accuracy and macro F1 for classes (macro F1 and Matthews'
            correlation if they are imbalanced), Pearson's and Spearman's correlation for numbers.

    Raises:
        InputError: there is one class or one number only, labels are as many as rows, one of them
            is no number, or the metric does not fit.
    """
    if not values:
        raise InputError(f"{column}: no row has a label")
    if kind is None:
        parsed = [as_number(value) for value in values]
        fractions = sum(1 for x in parsed if x is not None and math.isfinite(x) and x % 1)
        kind = NUMBER if 2 * fractions > len(values) else CLASSES
    if kind == NUMBER:
        return _numbers(values, places, column, metric)
    return _classes(values, column, metric)


def class_names(values: Sequence[str]) -> Dict[str, str]:
    """Return the class that each different label names.

    If all labels are whole numbers, `1.0` and `1` name the same class: a column of whole numbers
    with gaps is often written with decimal points.

    >>> class_names(["1.0", "0", "1"])
    {'1.0': '1', '0': '0', '1': '1'}
    """
    different = list(dict.fromkeys(values))
    if all(_WHOLE.fullmatch(value) for value in different):
        return {value: _whole(value) for value in different}
    return {value: value for value in different}


def read_label(
    text: str, labels: Sequence[str], label_range: Optional[Tuple[float, float]], where: str
) -> Label:
    """Return the label of a row of an own task.

    Args:
        text: the label as it is written.
        labels: the task's classes; () for numbers.
        label_range: least and largest number of the task; None for classes. A number of a file may
            lie outside.
        where: file and line for error messages.

    Raises:
        InputError: the class is unknown, or the label is no finite number.
    """
    if label_range is not None:
        number = as_number(text)
        if number is None or not math.isfinite(number):
            raise InputError(
                f"{where}: label is {_cut(text)}, allowed is a finite number, such as 1234.5"
            )
        return number
    if text in labels:
        return text
    if _WHOLE.fullmatch(text) and _whole(text) in labels:
        return _whole(text)
    raise InputError(f"{where}: label is {_cut(text)}, allowed are {_listed(labels)}")


def as_number(text: str) -> Optional[float]:
    """Return a text as a number, which may be infinite or NaN; None if it is no number.

    A comma is a decimal one, unless it may separate thousands.

    >>> [as_number(text) for text in ("3.75", "3,75", "1,234", "many")]
    [3.75, 3.75, None, None]
    """
    if _DECIMAL_COMMA.fullmatch(text) and not _THOUSANDS.fullmatch(text):
        text = text.replace(",", ".")
    try:
        return float(text) if "_" not in text else None
    except ValueError:
        return None


def _classes(values: Sequence[str], column: str, metric: Optional[str]) -> LabelSummary:
    names = class_names(values)
    counted = Counter(names[value] for value in values)
    if len(counted) == 1:
        all_of_them = f"all {len(values)} labels are" if len(values) > 1 else "the only label is"
        raise InputError(
            f"{column}: {all_of_them} {_cut(next(iter(counted)))}, allowed are two classes or more"
        )
    if len(counted) > max(2, len(values) // 2):
        raise InputError(
            f"{column}: {len(values)} rows have {len(counted)} different labels, which are no "
            "classes; name the column of the labels with --label_column, or ask for numbers with "
            "--kind number"
        )
    if len(counted) > MOST_CLASSES:
        raise InputError(
            f"{column}: has {len(counted)} different labels, allowed are {MOST_CLASSES} classes"
        )
    is_whole = all(_WHOLE.fullmatch(name) for name in counted)
    labels = sorted(counted, key=lambda name: (int(name) if is_whole else 0, name))
    if metric is not None:
        check_metric(metric, len(labels), column)
    balanced = max(counted.values()) <= IMBALANCE * min(counted.values())
    chosen = (ACCURACY, MACRO_F1) if balanced else (MACRO_F1, MATTHEWS)
    counts = {name: counted[name] for name in labels}
    return LabelSummary(tuple(labels), None, counts, (metric,) if metric else chosen)


def _numbers(
    values: Sequence[str], places: Sequence[str], column: str, metric: Optional[str]
) -> LabelSummary:
    found: List[float] = []
    for value, where in zip(values, places):
        number = read_label(value, (), (0.0, 0.0), where)
        assert isinstance(number, float)
        found.append(number)
    low, high = min(found), max(found)
    if low == high:
        raise InputError(
            f"{column}: all {len(found)} numbers are {low:g}, allowed are two different ones or "
            "more"
        )
    if metric is not None:
        check_metric(metric, 0, column)
    return LabelSummary((), (low, high), {}, (metric,) if metric else (PEARSON, SPEARMAN))


def _whole(text: str) -> str:
    return str(int(text.split(".")[0]))


def _cut(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "…")


def _listed(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - 20} more" if len(labels) > 20 else ""
    return ", ".join(labels[:20]) + more
