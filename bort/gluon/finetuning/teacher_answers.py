"""`TeacherAnswersByInput`: the answers of a task's teacher to batches, from all inputs' or live."""

from __future__ import annotations

from typing import Mapping, Optional, Protocol

import mxnet as mx
import numpy as np

from bort.architecture import Architecture
from bort.teacher.answers import Answers
from bort.teacher.features import Features, FeatureTeacher
from bort.teacher.task_features import KeptFeatures
from bort.text.labelled import LabelledBatch


class FeaturesOfBatches(Protocol):
    """A source of a teacher's features of batches of a task.

    Attributes:
        architecture: architecture of the teacher.
    """

    architecture: Architecture

    def of(self, batch: LabelledBatch) -> Features:
        """Return the features of a batch; those of padding are arbitrary finite numbers."""


class LiveFeatures:
    """Features that the teacher computes for every batch; implements `FeaturesOfBatches`.

    Args:
        teacher: the teacher.
    """

    def __init__(self, teacher: FeatureTeacher) -> None:
        self.architecture = teacher.architecture
        self._teacher = teacher

    def of(self, batch: LabelledBatch) -> Features:
        """See `FeaturesOfBatches`."""
        return self._teacher.features(batch.input_ids, batch.valid_lengths, batch.token_types)


class FeaturesByInput:
    """Features that were computed before for all inputs; implements `FeaturesOfBatches`.

    Args:
        kept: the features of all inputs; those that no loss reads may be absent, and are None here.
        architecture: architecture of the teacher.
        context: device of the features.
        columns: order of the columns of some features by name, int64 (width,); the others keep
            theirs.
    """

    def __init__(
        self,
        kept: KeptFeatures,
        architecture: Architecture,
        context: mx.Context,
        columns: Optional[Mapping[str, np.ndarray]] = None,
    ) -> None:
        self.architecture = architecture
        self._kept, self._context = kept, context
        self._columns = dict(columns or {})

    def of(self, batch: LabelledBatch) -> Features:
        """See `FeaturesOfBatches`."""
        found = self._kept.of_batch(batch.example_ids, batch.input_ids.shape[1])
        arrays = {
            name: mx.nd.array(self._in_order(name, values), ctx=self._context, dtype="float32")
            for name, values in found.items()
        }
        return Features(*(arrays.get(name) for name in Features._fields))

    def _in_order(self, name: str, values: np.ndarray) -> np.ndarray:
        columns = self._columns.get(name)
        return values if columns is None else np.take(values, columns, axis=-1)


class TeacherAnswersByInput:
    """The answers of a task's teacher to batches: its outputs for all inputs, and its features.

    Args:
        outputs: float32 (N, C), in the order of the training inputs; None: the answers have none.
        features: gives the features; None: the answers have none.

    Attributes:
        architecture, has_outputs: see `bort.gluon.finetuning.trainer.TaskAnswers`.
        features_kept: whether the features were computed before; None without features.
    """

    def __init__(
        self, outputs: Optional[np.ndarray], features: Optional[FeaturesOfBatches] = None
    ) -> None:
        self.architecture = None if features is None else features.architecture
        self.has_outputs = outputs is not None
        self.features_kept = None if features is None else isinstance(features, FeaturesByInput)
        self._outputs = outputs
        self._features = features

    def answer(self, batch: LabelledBatch) -> Answers:
        """Return the answers to a batch; those to padding rows are arbitrary."""
        kept = self._outputs
        logits = None if kept is None else kept[np.maximum(batch.example_ids, 0)]
        return Answers(logits, None if self._features is None else self._features.of(batch))
