"""A task's data for Agora: training and dev points, and a sealed report split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Hashable, List, Optional, Sequence

from bort.agora.examples import Point, normalised_key, points_key
from bort.agora.label_classes import LabelClasses
from bort.agora.splits import SealedReport, carve_report
from bort.agora.task_points import TaskPoints
from bort.errors import InputError
from bort.tasks.features import tokenise
from bort.tasks.formulations import make_inputs
from bort.tasks.items import TaskInput, TaskItem
from bort.tasks.judging import TaskData, TaskSet
from bort.tasks.records import REPORT, TaskRecord


@dataclass(frozen=True)
class AgoraTask:
    """The data of a task for a run of Agora.

    Attributes:
        data: the task's data; its `train` no longer has the report split.
        form: converts between examples and inputs.
        training: gold points, in the order of `data.train`.
        dev: gold points of all dev sets, concatenated.
        report: the sealed report split.
        max_length: longest input in tokens.
        report_items: official examples of the report split.
        report_key: SHA-256 of its points.
        is_carved: whether the split comes from the training file. Other models, such as Socrates,
            may have been trained on it.
    """

    data: TaskData
    form: TaskPoints
    training: Sequence[Point]
    dev: Sequence[Point]
    report: SealedReport
    max_length: int
    report_items: Sequence[TaskItem]
    report_key: str
    is_carved: bool

    def open_report(self) -> TaskSet:
        """Return the report split, tokenised.

        Raises:
            WorkError: the winner is not fixed yet.
        """
        self.report.open()
        record, options = self.data.record, self.data.options
        inputs = make_inputs(record, self.report_items, options)
        features = tokenise(inputs, self.data.vocabulary, self.max_length, self.data.pairs)
        return TaskSet(record, REPORT, self.report_items, features)


def check_has_points(record: TaskRecord) -> None:
    """Raise `InputError` if the inputs of a task are no points: those with spans."""
    if record.has_spans:
        raise InputError(
            f"task is {record.name!r}, whose answers are spans of a passage; allowed for Agora and "
            "its report split are tasks with classes or numbers"
        )


def check_agora_learns(record: TaskRecord) -> None:
    """Raise `InputError` if Agora cannot learn a task: one with spans or with several labels."""
    check_has_points(record)
    if record.several_labels:
        raise InputError(
            f"task is {record.name!r}, whose texts have several labels each; allowed for Agora are "
            "tasks with classes or numbers"
        )


def make_agora_task(
    data: TaskData,
    max_length: int,
    *,
    share: float,
    seed: int,
    report_items: Optional[Sequence[TaskItem]] = None,
) -> AgoraTask:
    """Take the report split out of the training data and turn inputs into points.

    Items that share a passage stay in the same split. A training example that is also in the dev
    set (the official files have some) stays in training, together with its passage.

    Args:
        data: the task's data; its test sets are ignored.
        max_length: longest input in tokens.
        share: share of the training items that goes into the report split.
        seed: seed of the split.
        report_items: labelled items to use as the report split instead of training items.

    Raises:
        InputError: an item has no label, a split has no examples, or a report item is in the
            training or dev data.
    """
    record, options = data.record, data.options
    check_has_points(record)
    items = list(data.train.items)
    whole = make_inputs(record, items, options)
    if not whole:
        raise InputError(f"{record.name}: the training data has no example")
    form = TaskPoints(whole)
    dev = [
        point
        for dev_set in data.dev
        for point in form.points(make_inputs(record, dev_set.items, options))
    ]
    is_carved = report_items is None
    if report_items is None:
        taken = _carved(record, items, whole, form, dev, share, seed)
        report_items = [items[number] for number in sorted(taken)]
        items = [item for number, item in enumerate(items) if number not in taken]
    report_points = form.points(make_inputs(record, report_items, options))
    report = SealedReport(report_points)
    inputs = make_inputs(record, items, options, training=True)
    training = form.points(inputs)
    report.refuse_leaks(training, "training data")
    report.refuse_leaks(dev, "dev data")
    features = tokenise(inputs, data.vocabulary, max_length, data.pairs)
    train = TaskSet(record, data.train.split, items, features)
    kept, key = tuple(report_items), points_key(report_points)
    left = TaskData(record, options, train, data.dev, [], data.vocabulary, key, data.pairs)
    return AgoraTask(left, form, training, dev, report, max_length, kept, key, is_carved)


def _carved(
    record: TaskRecord,
    items: Sequence[TaskItem],
    inputs: Sequence[TaskInput],
    form: TaskPoints,
    dev: Sequence[Point],
    share: float,
    seed: int,
) -> List[int]:
    """Return the indices of the items that become the report split."""
    points = form.points(inputs)
    groups = [_group(record, items[one.item], one.item) for one in inputs]
    in_dev = {normalised_key(point.example) for point in dev}
    bound = {g for p, g in zip(points, groups) if normalised_key(p.example) in in_dev}
    free = [number for number, group in enumerate(groups) if group not in bound]
    if not free:
        raise InputError(f"{record.name}: every training example is also in the dev set")
    _, report = carve_report(
        [points[n] for n in free],
        share,
        seed,
        groups=[groups[n] for n in free],
        classes=LabelClasses.of_task(record),
    )
    chosen = set(report)  # equal points are never in both splits
    return sorted({inputs[n].item for n in free if points[n] in chosen})


def _group(record: TaskRecord, item: TaskItem, number: int) -> Hashable:
    """Return the key of an item's group: its passage, or the item itself."""
    return item.text(record.passage) if record.passage else number
