"""Task classes with the interface of the original release.

    from data.classification import BoolQTask
    task = BoolQTask()
    segment, rows = task.dataset_train()

A row holds an item's fields, followed by its label unless the segment is a test set. Fields and
labels of every task are in `bort.tasks.records`.
"""

from __future__ import annotations

import os
from typing import List, Optional, Tuple, Type, Union

from bort.tasks.items import FieldValue, Label
from bort.tasks.records import DEV, SINGLE, SUPERGLUE, TEST, TRAIN, TaskRecord, get_task
from data.tasks.files import read_items

ItemRow = Tuple[Union[FieldValue, Label], ...]
Dataset = Tuple[str, List[ItemRow]]


class ClassificationTask:
    """A task: its record and the location of its files.

    Args:
        data_dir: a folder in the official layout; by default GluonNLP's cache folders.
        sample: read the small sample that is part of this project.

    Attributes:
        name: the name of the task's record.
        record: the task's record in `bort.tasks.records`.
        class_labels: label strings in the order of class ids; None for a regression.
        metrics: names of the metrics, in published order.
        is_pair: whether an item has more than one sentence.
        output_format: the file format that the benchmark accepts, "tsv" or "jsonl".
    """

    name = ""

    def __init__(
        self,
        data_dir: Optional[Union[str, os.PathLike[str]]] = None,
        sample: bool = False,
    ) -> None:
        self.record: TaskRecord = get_task(self.name)
        self.class_labels = list(self.record.labels) or None
        self.metrics = list(self.record.metrics)
        self.is_pair = self.record.formulation != SINGLE
        self.output_format = "jsonl" if self.record.suite == SUPERGLUE else "tsv"
        self._data_dir = data_dir
        self._sample = sample

    def get_dataset(self, segment: str = TRAIN) -> List[ItemRow]:
        """Return the rows of one segment.

        Args:
            segment: the name of a split, e.g. "train", "dev", "dev_matched".

        Raises:
            InputError: the task has no such segment, or its file is missing or invalid.
        """
        items = read_items(self.record, segment, self._data_dir, self._sample)
        labels = [() if item.label is None else (item.label,) for item in items]
        return [
            (*(item.fields[name] for name in self.record.fields), *label)
            for item, label in zip(items, labels)
        ]

    def dataset_train(self) -> Dataset:
        """Return the name of the training segment and its rows."""
        return TRAIN, self.get_dataset(TRAIN)

    def dataset_dev(self) -> Union[Dataset, List[Dataset]]:
        """Return the name of the dev segment and its rows; for MNLI a list of two such pairs."""
        return self._datasets(DEV)

    def dataset_test(self) -> Union[Dataset, List[Dataset]]:
        """Return the name of the test segment and its rows; for MNLI a list of two such pairs."""
        return self._datasets(TEST)

    def _datasets(self, role: str) -> Union[Dataset, List[Dataset]]:
        names = [split.name for split in self.record.splits_of(role)] or [role]
        datasets = [(name, self.get_dataset(name)) for name in names]
        return datasets[0] if len(datasets) == 1 else datasets


def _view(name: str, task: str) -> Type[ClassificationTask]:
    title = get_task(task).title
    return type(
        name, (ClassificationTask,), {"name": task, "__doc__": title, "__module__": __name__}
    )


CoLATask = _view("CoLATask", "CoLA")
SSTTask = _view("SSTTask", "SST-2")
MRPCTask = _view("MRPCTask", "MRPC")
STSBTask = _view("STSBTask", "STS-B")
QQPTask = _view("QQPTask", "QQP")
MNLITask = _view("MNLITask", "MNLI")
QNLITask = _view("QNLITask", "QNLI")
RTETask = _view("RTETask", "RTE")
WNLITask = _view("WNLITask", "WNLI")
AXTask = _view("AXTask", "AX")
BoolQTask = _view("BoolQTask", "BoolQ")
CBTask = _view("CBTask", "CB")
COPATask = _view("COPATask", "COPA")
MultiRCTask = _view("MultiRCTask", "MultiRC")
ReCoRDTask = _view("ReCoRDTask", "ReCoRD")
SuperGLUERTETask = _view("SuperGLUERTETask", "SuperGLUE-RTE")
WiCTask = _view("WiCTask", "WiC")
WSCTask = _view("WSCTask", "WSC")
AXbTask = _view("AXbTask", "AX-b")
AXgTask = _view("AXgTask", "AX-g")
RACEHTask = _view("RACEHTask", "RACE-H")
RACEMTask = _view("RACEMTask", "RACE-M")

TASK_CLASSES = (
    CoLATask, SSTTask, MRPCTask, STSBTask, QQPTask, MNLITask, QNLITask, RTETask, WNLITask, AXTask,
    BoolQTask, CBTask, COPATask, MultiRCTask, ReCoRDTask, SuperGLUERTETask, WiCTask, WSCTask,
    AXbTask, AXgTask, RACEHTask, RACEMTask,
)  # fmt: skip
