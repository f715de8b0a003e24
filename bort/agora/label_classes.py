"""`LabelClasses`: the classes by which labels are balanced, stratified and judged."""

from __future__ import annotations

from typing import NamedTuple, Optional

from bort.agora.examples import PointLabel
from bort.tasks.records import TaskRecord

_STEPS = 5


class LabelClasses(NamedTuple):
    """The classes of labels: class ids, or equally wide steps of a regression's values.

    A regression has six classes, 0 to 5, whose centres are equally spaced from its least to its
    largest value. For STS-B, whose values are 0 to 5, that is the rounding of the paper. Values of
    another scale, such as prices, were all different or all equal when rounded; the steps are our
    assumption.

    Attributes:
        low: centre of class 0.
        width: distance of two centres.
        last: largest class of a regression; None for class ids. A number below the range has class
            0, one above it the last class.

    >>> LabelClasses().of(3), LabelClasses.between(20_000, 25_000).of(22_600)
    (3, 3)
    """

    low: float = 0.0
    width: float = 1.0
    last: Optional[int] = None

    @classmethod
    def between(cls, low: float, high: float) -> LabelClasses:
        """Return the classes of a regression.

        Args:
            low: least value.
            high: largest value, above `low`.
        """
        return cls(low, (high - low) / _STEPS, _STEPS)

    @classmethod
    def of_task(cls, record: TaskRecord) -> LabelClasses:
        """Return the classes of a task's labels."""
        return cls() if record.label_range is None else cls.between(*record.label_range)

    def of(self, label: PointLabel) -> int:
        """Return the class of a label; halves belong to the higher class.

        >>> [LabelClasses.between(0, 5).of(value) for value in (0.49, 0.5, 1.5, 2.5, 3)]
        [0, 1, 2, 3, 3]
        """
        steps = (label - self.low) / self.width
        found = int(steps // 1 + (1 if steps % 1 >= 0.5 else 0))
        return found if self.last is None else min(max(found, 0), self.last)


CLASS_IDS = LabelClasses()
"""The classes of a classification: its class ids themselves."""
