"""Labels of an own task: classes, numbers or several labels, their checks, and their metrics."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Collection, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from bort.errors import InputError
from bort.settings.config import LARGEST_NUMBER
from bort.storage.json_text import LONGEST_INTEGER
from bort.tasks.items import Label
from bort.tasks.own.label_fields import (
    CLASSES,
    LABELS_METRICS,
    NUMBER,
    SEVERAL_LABELS,
    check_metric,
)
from bort.tasks.records import ACCURACY, MACRO_F1, MATTHEWS, PEARSON, SPEARMAN

WrittenLabel = Union[str, Tuple[str, ...]]
"""The label of a row as it is written; of several labels a tuple, () for none of them."""

MOST_CLASSES = 1000
IMBALANCE = 4
"""Classes are imbalanced if the largest has more than this many times the rows of the smallest."""

_WHOLE = re.compile(rf"[+-]?(?:0|[1-9][0-9]{{0,{LONGEST_INTEGER - 1}}})(?:\.0+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+")
_MISSING = ("nan", "NaN", "None", "null", "NULL", "n/a", "N/A", "#N/A", "NA")
_SHOWN = 5


@dataclass(frozen=True)
class LabelSummary:
    """The labels of a file, and the metrics that follow from them.

    Attributes:
        labels: the classes or labels in the order of their ids; () for numbers.
        label_range: least and largest number; None for classes and labels.
        counts: rows of each class or label; {} for numbers.
        metrics: names of the metrics.
        kind: one of `bort.tasks.own.label_fields.LABEL_KINDS`.
        rows: number of rows.
        bare: rows with none of several labels.
    """

    labels: Tuple[str, ...]
    label_range: Optional[Tuple[float, float]]
    counts: Mapping[str, int]
    metrics: Tuple[str, ...]
    kind: str
    rows: int
    bare: int = 0

    @property
    def text(self) -> str:
        """The kind of the labels and their shares, in words."""
        if self.label_range is not None:
            low, high = self.label_range
            return f"numbers from {low:g} to {high:g}"
        counts = self.counts.items()
        shares = [f"{name} {_share(count, self.rows)}" for name, count in counts]
        more = f", and {len(shares) - _SHOWN} more" if len(shares) > _SHOWN else ""
        shown = f"({', '.join(shares[:_SHOWN])}{more})"
        if self.kind == CLASSES:
            return f"{len(shares)} classes {shown}"
        rows = "row" if self.bare == 1 else "rows"
        none = f", {self.bare:,} {rows} with none" if self.bare else ""
        mean = sum(self.counts.values()) / self.rows
        return f"{len(shares)} labels, {mean:.1f} a row {shown}{none}"

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
    values: Sequence[WrittenLabel],
    places: Sequence[str],
    column: str,
    kind: Optional[str] = None,
    metric: Optional[str] = None,
    columns: Sequence[str] = (),
) -> LabelSummary:
    """Decide whether labels are classes or numbers, and check them.

    Labels are numbers if more than half of them are numbers that are not whole or have a comma, or
    if `kind` says so. Several labels for each row are tuples. Classes and labels are in the order
    of their numbers if all are whole numbers, else of their names, or in the order of their
    columns.

    Args:
        values: the labels of the rows that have one.
        places: file and line of each.
        column: file and column of the labels, for error messages.
        kind: `classes`, `number` or, for tuples, `labels`; None: what the labels look like.
        metric: the metric; None: accuracy and macro F1 for classes (macro F1 and Matthews'
            correlation if they are imbalanced), Pearson's and Spearman's correlation for numbers,
            micro F1, macro F1 and subset accuracy for labels.
        columns: names of the columns of labels that have one each; () for other labels.

    Raises:
        InputError: there is one class or one number only, labels are as many as rows, one of them
            is no number or in no row, or the metric does not fit.
    """
    if not values:
        raise InputError(f"{column}: no row has a label")
    several = [value for value in values if isinstance(value, tuple)]
    if several:
        return _several(several, column, metric, columns)
    single = [value for value in values if isinstance(value, str)]
    return _summarise_single(single, places, column, kind, metric)


def _summarise_single(
    values: Sequence[str],
    places: Sequence[str],
    column: str,
    kind: Optional[str],
    metric: Optional[str],
) -> LabelSummary:
    if kind is None:
        fractions = sum(1 for value in values if _has_fraction(value))
        kind = NUMBER if 2 * fractions > len(values) else CLASSES
    if kind == NUMBER:
        return _numbers(values, places, column, metric)
    return _classes(values, column, metric)


def class_names(values: Sequence[str]) -> Dict[str, str]:
    """Return the class that each different label names.

    If all labels are whole numbers, `1.0` and `1` name the same class: a column of whole numbers
    with gaps is often written with decimal points. Labels are names, and not numbers, if one has
    leading zeros, as codes have them, or more than 300 digits.

    >>> class_names(["1.0", "0", "1"])
    {'1.0': '1', '0': '0', '1': '1'}
    >>> class_names(["007", "7"])
    {'007': '007', '7': '7'}
    """
    different = list(dict.fromkeys(values))
    if all(_WHOLE.fullmatch(value) for value in different):
        return {value: _whole(value) for value in different}
    return {value: value for value in different}


def read_label(
    text: WrittenLabel,
    labels: Sequence[str],
    label_range: Optional[Tuple[float, float]],
    where: str,
) -> Label:
    """Return the label of a row of an own task.

    Args:
        text: the label as it is written.
        labels: the task's classes or labels; () for numbers.
        label_range: least and largest number of the task; None for others. A number of a file may
            lie outside.
        where: file and line for error messages.

    Returns:
        A class, a number, or several labels in the order of the task's.

    Raises:
        InputError: a class or label is unknown, or the label is no finite number.
    """
    if isinstance(text, tuple):
        held = {read_label(one, labels, None, where) for one in text}
        return tuple(label for label in labels if label in held)
    if label_range is not None:
        number = _finite_number(text)
        if number is None:
            raise InputError(
                f"{where}: label is {_cut(text)}, allowed is a finite number, such as 1234.5"
                f"{_on_size(text)}{_on_comma(text)}"
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


def _finite_number(text: str) -> Optional[float]:
    number = as_number(text)
    return number if number is not None and abs(number) <= LARGEST_NUMBER else None


def _has_fraction(text: str) -> bool:
    """Return whether a label is a number that is not whole, or has a comma of unknown meaning."""
    return _may_be_either(text) or bool((_finite_number(text) or 0.0) % 1)


def _may_be_either(text: str) -> bool:
    """Return whether a comma of a number may be a decimal one, or separate thousands."""
    return bool(_DECIMAL_COMMA.fullmatch(text) and _THOUSANDS.fullmatch(text))


def _on_size(text: str) -> str:
    """Return what the error on a finite number adds, which float32 cannot hold; "" for others."""
    number = as_number(text)
    is_large = number is not None and math.isfinite(number)
    return f", at most {LARGEST_NUMBER:g}" if is_large else ""


def _on_comma(text: str) -> str:
    """Return the end of the error on a number with a comma that may mean either; "" for others."""
    if not _may_be_either(text):
        return ""
    either = text.replace(",", "."), text.replace(",", "")
    return f"; its comma may be a decimal one or separate thousands: write {' or '.join(either)}"


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
    labels = _in_order(counted, column)
    if metric is not None:
        check_metric(metric, CLASSES, len(labels), column)
    balanced = max(counted.values()) <= IMBALANCE * min(counted.values())
    chosen = (ACCURACY, MACRO_F1) if balanced else (MACRO_F1, MATTHEWS)
    counts = {name: counted[name] for name in labels}
    metrics = (metric,) if metric else chosen
    return LabelSummary(tuple(labels), None, counts, metrics, CLASSES, len(values))


def _in_order(names: Collection[str], column: str) -> List[str]:
    """Return the names of classes or labels by number, or by name if not all are whole numbers."""
    if len(names) > MOST_CLASSES:
        raise InputError(
            f"{column}: has {len(names)} different labels, allowed are {MOST_CLASSES} classes"
        )
    is_whole = all(_WHOLE.fullmatch(name) for name in names)
    return sorted(names, key=lambda name: (int(name) if is_whole else 0, name))


def _several(
    values: Sequence[Tuple[str, ...]],
    column: str,
    metric: Optional[str],
    columns: Sequence[str],
) -> LabelSummary:
    names = dict(zip(columns, columns)) or class_names([one for value in values for one in value])
    counted = Counter(name for value in values for name in {names[one] for one in value})
    for name in columns:
        if name not in counted:
            raise InputError(f"{column}: no row has the label {_cut(name)}, allowed is one or more")
    if len(counted) < 2:
        found = _listed(list(counted)) or "none"
        raise InputError(
            f"{column}: all {len(values)} rows together have the labels {found}, allowed are two "
            "different ones or more"
        )
    labels = list(columns) or _in_order(counted, column)
    if metric is not None:
        check_metric(metric, SEVERAL_LABELS, len(labels), column)
    counts = {name: counted[name] for name in labels}
    bare = sum(1 for value in values if not value)
    metrics = (metric,) if metric else LABELS_METRICS
    return LabelSummary(tuple(labels), None, counts, metrics, SEVERAL_LABELS, len(values), bare)


def _numbers(
    values: Sequence[str], places: Sequence[str], column: str, metric: Optional[str]
) -> LabelSummary:
    found: List[float] = []
    wrong = sum(1 for value in values if _finite_number(value) is None)
    for value, where in zip(values, places):
        try:
            number = read_label(value, (), (0.0, 0.0), where)
        except InputError as error:
            more = f"; {wrong:,} rows have no such number" if wrong > 1 else ""
            raise InputError(f"{error}{more}") from error
        assert isinstance(number, float)
        found.append(number)
    low, high = min(found), max(found)
    if low == high:
        raise InputError(
            f"{column}: all {len(found)} numbers are {low:g}, allowed are two different ones or "
            "more"
        )
    if metric is not None:
        check_metric(metric, NUMBER, 0, column)
    metrics = (metric,) if metric else (PEARSON, SPEARMAN)
    return LabelSummary((), (low, high), {}, metrics, NUMBER, len(found))


def _share(count: int, rows: int) -> str:
    """Return the share of a class, or its rows if the share would be rounded to none or all."""
    percent = f"{100 * count / rows:.0f}"
    if percent in ("0", "100") and 0 < count < rows:
        return f"{count:,} row" if count == 1 else f"{count:,} rows"
    return f"{percent} %"


def _whole(text: str) -> str:
    return str(int(text.split(".")[0]))


def _cut(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "…")


def _listed(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - 20} more" if len(labels) > 20 else ""
    return ", ".join(labels[:20]) + more
