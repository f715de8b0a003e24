"""`AllowedLabels`: checks of the labels in stored points, answers and trainings."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Tuple

from bort.agora.examples import PointLabel
from bort.errors import InputError
from bort.storage.json_fields import JsonFields, shown
from bort.tasks.formulations import input_labels
from bort.tasks.options import TaskOptions
from bort.tasks.records import TaskRecord


class AllowedLabels(NamedTuple):
    """The labels that inputs of a task can have.

    Attributes:
        classes: number of classes; 0 for a regression.
        limits: least and largest value of a regression; None for a classification.
    """

    classes: int
    limits: Optional[Tuple[float, float]] = None

    @classmethod
    def of(cls, record: TaskRecord, options: TaskOptions) -> AllowedLabels:
        """Return the labels of a task's inputs."""
        return cls(len(input_labels(record, options)), record.label_range)

    def checked(self, value: Any, where: str) -> PointLabel:
        """Return a label.

        Args:
            value: a value read from JSON.
            where: file, line and field for the error.

        Raises:
            InputError: the label is not one of the task.
        """
        if self.limits is None:
            if type(value) is not int or not 0 <= value < self.classes:
                allowed = f"allowed are 0 to {self.classes - 1}"
                raise InputError(f"{where} is {shown(value)}, {allowed}")
            return value
        low, high = self.limits
        if type(value) not in (int, float) or not low <= value <= high:
            raise InputError(f"{where} is {shown(value)}, allowed is {low} to {high}")
        return float(value)

    def probabilities(self, fields: JsonFields) -> Optional[Tuple[float, ...]]:
        """Return the field `probabilities`: one for each class, or None.

        Raises:
            InputError: the field is missing or has other numbers.
        """
        if fields.value("probabilities") is None:
            return None
        found = tuple(map(float, fields.numbers("probabilities", 0)))
        if len(found) != self.classes or abs(sum(found) - 1) >= 1e-3:
            raise InputError(
                f"{fields.source}: probabilities are {shown(list(found))}, allowed are "
                f"{self.classes} numbers that sum to 1"
            )
        return found
